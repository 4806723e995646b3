//! An observer of a pipeline is told of token calls too, apart from attempts.

use std::sync::{Arc, Mutex};

use acr_core::{
    Pipeline, Scope,
    layer::{AttemptEnded, CallEnded, Observed, Observer, Target, TokenCallEnded},
};
use acr_testkit::{FakeRegistry, Fault, Operation};
use http::StatusCode;

use crate::{catalog, identity, status};

#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Told {
    fn add(&self, what: &str, of: &Observed, how: &str) {
        let operation = of.operation.unwrap();
        self.0.lock().unwrap().push(format!("{what} {operation} {how}"));
    }
}

impl Observer for Told {
    fn call_ended(&self, of: &Observed, event: &CallEnded) {
        self.add("call", of, event.ending.as_str());
    }

    fn attempt_ended(&self, of: &Observed, event: &AttemptEnded) {
        assert_eq!(of.target, Target::Asked);
        let what = if event.is_signed_anew { "again" } else { "attempt" };
        self.add(&format!("{what} {}:", event.number), of, event.ending.as_str());
    }

    fn token_call_ended(&self, of: &Observed, event: &TokenCallEnded) {
        assert_eq!(of.target, Target::TokenService);
        self.add("token call", of, event.ending.as_str());
    }
}

#[tokio::test]
async fn token_calls_are_told_apart_from_attempts_and_belong_to_no_call() {
    let registry = FakeRegistry::new();
    let told = Arc::new(Told::default());
    let auth = acr_auth::AuthLayer::new(&registry.endpoint(), identity(&registry).0);
    let pipeline = Pipeline::builder(registry.endpoint())
        .transport(registry.transport())
        .layer_per_hop(auth)
        .observer(told.clone())
        .build()
        .unwrap();
    for _ in 0..2 {
        let request = catalog(pipeline.endpoint());
        assert_eq!(status(&pipeline, request).await, StatusCode::OK);
    }
    let first = [
        "token call exchange_entra_token 2xx",
        "token call fetch_access_token 2xx",
        "attempt 1: list_repositories 2xx",
        "call list_repositories 2xx",
    ];
    // The second one has its token.
    let second = &first[2..];
    assert_eq!(*told.0.lock().unwrap(), [&first[..], second].concat());
}

/// An operator who counts attempts does not take the second try of sign-in for one.
#[tokio::test]
async fn what_sign_in_sends_once_more_is_marked() {
    let registry = FakeRegistry::new();
    let told = Arc::new(Told::default());
    let auth = acr_auth::AuthLayer::new(&registry.endpoint(), identity(&registry).0);
    let pipeline = Pipeline::builder(registry.endpoint())
        .transport(registry.transport())
        .layer_per_hop(auth)
        .observer(told.clone())
        .build()
        .unwrap();
    let send = async |request| assert_eq!(status(&pipeline, request).await, StatusCode::OK);

    // It does not say what it needs: the registry does, by a challenge.
    let mut unscoped = catalog(pipeline.endpoint());
    unscoped.extensions_mut().remove::<Scope>();
    send(unscoped).await;
    // The token is revoked.
    registry.inject(Fault::status(Operation::ListRepositories, 1, 401));
    send(catalog(pipeline.endpoint())).await;

    let told: Vec<_> = told.0.lock().unwrap().clone();
    let told: Vec<_> = told.iter().filter(|line| !line.starts_with("token call")).collect();
    let twice = [
        "attempt 1: list_repositories 4xx",
        "again 1: list_repositories 2xx",
        "call list_repositories 2xx",
    ];
    assert_eq!(told, [twice, twice].concat());
}
