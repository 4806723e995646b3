//! The two token calls by themselves: against the fake registry, and field by field.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop at the first surprise"
)]

mod support;

use std::time::Duration;

use acr_auth::{ExchangeRequest, GrantType, TokenClient};
use acr_core::{Action, Endpoint, ErrorKind, Pipeline, RepositoryName, Scope, Secret, Transport};
use acr_testkit::{Anonymous, FakeRegistry, Kind};
use support::{ok, transport};

fn client(endpoint: Endpoint, transport: Transport) -> TokenClient {
    TokenClient::new(Pipeline::builder(endpoint).transport(transport).build().unwrap())
}

fn read() -> Scope {
    let name: RepositoryName = "library/app".parse().unwrap();
    Scope::repository(&name, &[Action::PULL, Action::METADATA_READ])
}

#[tokio::test(start_paused = true)]
async fn an_entra_token_becomes_a_refresh_token_and_that_an_access_token() {
    let registry = FakeRegistry::new();
    let client = client(registry.endpoint(), registry.transport());
    let entra = Secret::new(registry.entra_token());
    let refresh = client.exchange_entra_token(&entra, Some("contoso.example")).await.unwrap();
    assert_eq!(refresh.lifetime(), Some(Duration::from_secs(11_700)));
    let access = client.exchange_refresh_token(refresh.token(), &read()).await.unwrap();
    assert_eq!(access.lifetime(), Some(Duration::from_secs(4_500)));
    assert_eq!(access.granted(), Some(&read()));
    assert_eq!(registry.journal().count(Kind::Exchange), 1);
    assert_eq!(registry.journal().count(Kind::Token), 1);
    for secret in [refresh.token(), access.token(), &entra] {
        let text = format!("{refresh:?} {access:?} {client:?}");
        assert!(!text.contains(secret.expose()));
    }
}

#[tokio::test(start_paused = true)]
async fn users_and_nobody_get_access_tokens_without_an_exchange() {
    let registry = FakeRegistry::builder().user("u", "p").anonymous(Anonymous::Pull).build();
    let client = client(registry.endpoint(), registry.transport());
    let access = client.exchange_password("u", &Secret::new("p"), &read()).await.unwrap();
    assert_eq!(access.granted(), Some(&read()));
    let push = Scope::repository(&"a".parse().unwrap(), &[Action::PULL, Action::PUSH]);
    let access = client.anonymous_token(&push).await.unwrap();
    let pull = Scope::repository(&"a".parse().unwrap(), &[Action::PULL]);
    assert_eq!(access.granted(), Some(&pull), "what is granted, not what was asked for");
    let error = client.exchange_password("u", &Secret::new("no"), &read()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert_eq!(registry.journal().count(Kind::Exchange), 0);
}

#[tokio::test]
async fn every_field_of_an_exchange_is_sent() {
    let (transport, sent) = transport(|_, _| ok(r#"{"refresh_token":"r"}"#));
    let client = client(support::endpoint(), transport);
    for request in [
        ExchangeRequest::new(GrantType::ACCESS_TOKEN).access_token("a").tenant("t"),
        ExchangeRequest::new(GrantType::ACCESS_TOKEN_REFRESH_TOKEN)
            .access_token("a")
            .refresh_token("r")
            .service("other.azurecr.io"),
        ExchangeRequest::new(GrantType::REFRESH_TOKEN).refresh_token("r").tenant("t&x"),
        ExchangeRequest::new(GrantType::new("new kind")),
    ] {
        assert_eq!(client.exchange(request).await.unwrap().token().expose(), "r");
    }
    let bodies: Vec<_> = sent.lock().unwrap().iter().map(|call| call.body.clone()).collect();
    assert_eq!(
        bodies,
        [
            "grant_type=access_token&service=reg.azurecr.io&tenant=t&access_token=a",
            "grant_type=access_token_refresh_token&service=other.azurecr.io&refresh_token=r&access_token=a",
            "grant_type=refresh_token&service=reg.azurecr.io&tenant=t%26x&refresh_token=r",
            "grant_type=new%20kind&service=reg.azurecr.io",
        ]
    );
}

#[tokio::test]
async fn what_a_grant_type_needs_is_checked_before_anything_is_sent() {
    let (transport, sent) = transport(|_, _| ok("{}"));
    let client = client(support::endpoint(), transport);
    for request in [
        ExchangeRequest::new(GrantType::ACCESS_TOKEN).refresh_token("canary"),
        ExchangeRequest::new(GrantType::REFRESH_TOKEN).access_token("canary"),
        ExchangeRequest::new(GrantType::ACCESS_TOKEN_REFRESH_TOKEN).access_token("canary"),
    ] {
        assert!(!format!("{request:?}").contains("canary"));
        let error = client.exchange(request).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(!format!("{error} {error:?}").contains("canary"));
    }
    assert!(sent.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_entra_token_goes_to_registries_and_trusted_hosts_only() {
    for (host, trusted, is_sent) in [
        ("x.azurecr.io.evil.example", None, false),
        ("registry.example", None, false),
        ("registry.example", Some("registry.example"), true),
        ("reg.azurecr.cn", None, true),
    ] {
        let (transport, sent) = transport(|_, _| ok(r#"{"refresh_token":"r"}"#));
        let mut client = client(host.parse().unwrap(), transport);
        if let Some(trusted) = trusted {
            client = client.trust_entra_for(trusted);
        }
        let answer = client.exchange_entra_token(&Secret::new("e"), None).await;
        assert_eq!(
            answer.as_ref().err().map(|e| e.kind()),
            (!is_sent).then_some(ErrorKind::Policy)
        );
        assert_eq!(sent.lock().unwrap().len(), usize::from(is_sent), "{host}");
    }
}
