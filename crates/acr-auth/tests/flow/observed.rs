//! An observer of a pipeline is told of token calls too, apart from attempts.

use std::sync::{Arc, Mutex};

use acr_core::{
    Pipeline,
    layer::{AttemptEnded, CallEnded, Observed, Observer, Target, TokenCallEnded},
};
use acr_testkit::FakeRegistry;
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
        self.add("attempt", of, event.ending.as_str());
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
        "attempt list_repositories 2xx",
        "call list_repositories 2xx",
    ];
    // The second one has its token.
    let second = &first[2..];
    assert_eq!(*told.0.lock().unwrap(), [&first[..], second].concat());
}
