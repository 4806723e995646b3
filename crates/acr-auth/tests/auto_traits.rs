//! What programs rely on: clients, builders, credentials and streams move between tasks.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop at the first surprise"
)]

use acr_auth::{
    AccessToken, Auth, AuthLayer, Credential, ExchangeRequest, GrantType, TokenClient,
    TokenRequest, credential_fn,
};
use acr_core::Transport;

fn send_sync<T: Send + Sync + std::fmt::Debug>() {}
fn send_sync_clone<T: Send + Sync + Clone + std::fmt::Debug + 'static>() {}

#[test]
fn g8_layers_clients_and_credentials_are_send_sync_clone() {
    send_sync_clone::<AccessToken>();
    send_sync_clone::<Auth<Transport>>();
    send_sync_clone::<AuthLayer>();
    send_sync_clone::<Credential>();
    send_sync_clone::<GrantType>();
    send_sync_clone::<TokenClient>();
    send_sync::<ExchangeRequest>();
    send_sync::<TokenRequest<'static>>();
}

#[test]
fn g8_sources_of_tokens_move_between_tasks() {
    fn source<T: acr_auth::TokenCredential>(_: T) {}
    source(credential_fn(|_| async {
        Ok(AccessToken::new("t", std::time::SystemTime::UNIX_EPOCH))
    }));
}
