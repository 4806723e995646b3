//! The sign-in flow against the fake registry: what goes over the wire, and when.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests may stop at the first surprise"
)]

mod counts;
mod identity;
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod never_left;
mod observed;
mod origins;
mod reasons;
mod refusals;
mod renewal;
mod request_ids;
mod shared_failure;
mod stacks;
#[path = "../support/mod.rs"]
mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, SystemTime},
};

use acr_auth::{AccessToken, AuthLayer, Credential, credential_fn};
use acr_core::{
    Endpoint, Pipeline, Scope,
    http::{Effect, Operation, Request, RequestBuilder},
};
use acr_testkit::FakeRegistry;
use http::{Method, StatusCode};

/// A credential for the fake, and a count of how often it was asked.
fn identity(registry: &FakeRegistry) -> (Credential, Arc<AtomicU32>) {
    let asked = Arc::new(AtomicU32::new(0));
    let (counter, token) = (Arc::clone(&asked), registry.entra_token());
    let source = credential_fn(move |scopes| {
        assert_eq!(scopes, ["https://containerregistry.azure.net/.default"]);
        counter.fetch_add(1, Ordering::Relaxed);
        let token = AccessToken::new(token.clone(), SystemTime::now() + Duration::from_secs(3600));
        async move { Ok(token) }
    });
    (Credential::entra(source), asked)
}

fn pipeline(registry: &FakeRegistry, credential: Credential) -> Pipeline {
    let auth = AuthLayer::new(&registry.endpoint(), credential);
    Pipeline::builder(registry.endpoint())
        .transport(registry.transport())
        .layer_per_hop(auth)
        .build()
        .unwrap()
}

fn catalog(endpoint: &Endpoint) -> Request {
    get(endpoint, "/acr/v1/_catalog", Scope::catalog())
}

fn get(endpoint: &Endpoint, path: &str, scope: Scope) -> Request {
    RequestBuilder::to(Method::GET, endpoint.uri(path).unwrap())
        .operation(Operation::new("list_repositories"))
        .scope(scope)
        .effect(Effect::Read)
        .build()
        .unwrap()
}

async fn status(pipeline: &Pipeline, request: Request) -> StatusCode {
    pipeline.send(request).await.unwrap().status()
}
