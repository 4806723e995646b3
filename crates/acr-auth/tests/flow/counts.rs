//! How many requests a sign-in costs, and what is kept.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime},
};

use acr_auth::{AccessToken, AuthLayer, Credential, credential_fn};
use acr_core::{
    Action, Endpoint, Error, Pipeline, Scope, Transport,
    http::{Body, Request},
};
use acr_testkit::{Anonymous, FakeRegistry, Kind};
use futures_util::future::join_all;
use tower::service_fn;

use crate::{catalog, get, identity, pipeline, status};

#[tokio::test(start_paused = true)]
async fn cold_three_requests_warm_one_and_nothing_is_ever_challenged() {
    let registry = FakeRegistry::new();
    let (credential, asked) = identity(&registry);
    let pipeline = pipeline(&registry, credential);
    for expected in [3, 4, 5] {
        assert_eq!(status(&pipeline, catalog(pipeline.endpoint())).await, 200);
        assert_eq!(registry.journal().entries().len(), expected);
    }
    let journal = registry.journal();
    assert_eq!(journal.count(Kind::Exchange), 1);
    assert_eq!(journal.count(Kind::Token), 1);
    assert_eq!(journal.count(Kind::Challenge), 0);
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn each_scope_is_fetched_once_and_the_exchange_is_shared() {
    let registry = FakeRegistry::new();
    let pipeline = pipeline(&registry, identity(&registry).0);
    let name = "library/app".parse().unwrap();
    let read = Scope::repository(&name, &[Action::METADATA_READ]);
    for _ in 0..5 {
        let request = get(pipeline.endpoint(), "/acr/v1/library/app", read.clone());
        assert_eq!(status(&pipeline, request).await, 404);
        assert_eq!(status(&pipeline, catalog(pipeline.endpoint())).await, 200);
    }
    assert_eq!(registry.journal().count(Kind::Exchange), 1);
    assert_eq!(registry.journal().count(Kind::Token), 2);
    assert_eq!(registry.journal().count(Kind::Challenge), 0);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_concurrent_calls_cause_one_exchange_and_one_token_call() {
    let registry = FakeRegistry::new();
    let (credential, asked) = identity(&registry);
    let pipeline = pipeline(&registry, credential);
    let calls = (0..1_000).map(|_| pipeline.send(catalog(pipeline.endpoint())));
    for answer in join_all(calls).await {
        assert_eq!(answer.unwrap().status(), 200);
    }
    assert_eq!(registry.journal().count(Kind::Exchange), 1);
    assert_eq!(registry.journal().count(Kind::Token), 1);
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn an_expired_token_is_refreshed_before_it_is_used() {
    let registry = FakeRegistry::builder()
        .access_token_lifetime(Duration::from_secs(600))
        .refresh_token_lifetime(Duration::from_secs(1_800))
        .build();
    let pipeline = pipeline(&registry, identity(&registry).0);
    for _ in 0..10 {
        assert_eq!(status(&pipeline, catalog(pipeline.endpoint())).await, 200);
        tokio::time::advance(Duration::from_secs(500)).await;
    }
    let journal = registry.journal();
    assert_eq!(journal.count(Kind::Challenge), 0);
    assert_eq!(journal.count(Kind::Token), 10);
    assert_eq!(journal.count(Kind::Exchange), 4);
}

#[tokio::test(start_paused = true)]
async fn anonymous_access_asks_for_a_token_and_never_exchanges() {
    let registry = FakeRegistry::builder().anonymous(Anonymous::Pull).build();
    let pipeline = pipeline(&registry, Credential::anonymous());
    let name = "library/app".parse().unwrap();
    let read = Scope::repository(&name, &[Action::METADATA_READ]);
    let request = get(pipeline.endpoint(), "/acr/v1/library/app", read);
    assert_eq!(status(&pipeline, request).await, 404);
    assert_eq!(registry.journal().count(Kind::Exchange), 0);
    assert_eq!(registry.journal().count(Kind::Token), 1);
}

#[tokio::test(start_paused = true)]
async fn tokens_that_say_nothing_are_taken_to_live_shortly() {
    let log = Arc::new(std::sync::Mutex::new(Vec::new()));
    let calls = Arc::clone(&log);
    let endpoint: Endpoint = "reg.azurecr.io".parse().unwrap();
    let transport = Transport::new(service_fn(move |request: Request| {
        calls.lock().unwrap().push(request.uri().path().to_owned());
        let body = match request.uri().path() {
            "/oauth2/exchange" => r#"{"refresh_token":"opaque"}"#,
            _ => r#"{"access_token":"opaque"}"#,
        };
        async move { Ok::<_, Error>(http::Response::new(Body::from(body))) }
    }));
    let source = credential_fn(|_| async {
        Ok(AccessToken::new("e", SystemTime::now() + Duration::from_secs(3600)))
    });
    let pipeline = Pipeline::builder(endpoint.clone())
        .transport(transport)
        .layer_per_hop(AuthLayer::new(&endpoint, Credential::entra(source)))
        .build()
        .unwrap();
    let mut counts = Vec::new();
    // An access token: 60 s, due after 24 to 30. A refresh token: 300 s, due after 228 to 240.
    for seconds in [0, 23, 8, 190, 30] {
        tokio::time::advance(Duration::from_secs(seconds)).await;
        assert_eq!(status(&pipeline, catalog(&endpoint)).await, 200);
        let log = log.lock().unwrap();
        let count = |path: &str| log.iter().filter(|p| *p == path).count();
        counts.push((count("/oauth2/exchange"), count("/oauth2/token")));
    }
    assert_eq!(counts, [(1, 1), (1, 1), (1, 2), (1, 3), (2, 4)]);
}

#[tokio::test(start_paused = true)]
async fn a_hundred_repositories_in_turn_twice_cost_a_hundred_tokens() {
    let registry = FakeRegistry::new();
    let pipeline = pipeline(&registry, identity(&registry).0);
    for _ in 0..2 {
        for n in 0..100 {
            let name = format!("library/app{n}").parse().unwrap();
            let read = Scope::repository(&name, &[Action::METADATA_READ]);
            let request = get(pipeline.endpoint(), &format!("/acr/v1/{name}"), read);
            assert_eq!(status(&pipeline, request).await, 404);
        }
    }
    let journal = registry.journal();
    assert_eq!((journal.count(Kind::Exchange), journal.count(Kind::Token)), (1, 100));
    assert_eq!(journal.entries().len(), 301);
}

#[tokio::test(start_paused = true)]
async fn a_new_repository_costs_two_requests_and_the_first_one_again_one() {
    let registry = FakeRegistry::new();
    let pipeline = pipeline(&registry, identity(&registry).0);
    for (name, requests) in [("one", 3), ("two", 5), ("one", 6)] {
        let name = name.parse().unwrap();
        let read = Scope::repository(&name, &[Action::METADATA_READ]);
        let request = get(pipeline.endpoint(), &format!("/acr/v1/{name}"), read);
        assert_eq!(status(&pipeline, request).await, 404);
        assert_eq!(registry.journal().entries().len(), requests);
    }
}

#[tokio::test(start_paused = true)]
async fn more_scopes_than_the_cache_holds_are_served_all_the_same() {
    let registry = FakeRegistry::new();
    let pipeline = pipeline(&registry, identity(&registry).0);
    for n in 0..1_030 {
        let name = format!("library/app{n}").parse().unwrap();
        let read = Scope::repository(&name, &[Action::METADATA_READ]);
        let request = get(pipeline.endpoint(), &format!("/acr/v1/{name}"), read);
        assert_eq!(status(&pipeline, request).await, 404);
    }
    assert_eq!(registry.journal().count(Kind::Exchange), 1);
    assert_eq!(registry.journal().count(Kind::Token), 1_030);
    // The first ones had to go when the cache was full.
    let first = Scope::repository(&"library/app0".parse().unwrap(), &[Action::METADATA_READ]);
    let request = get(pipeline.endpoint(), "/acr/v1/library/app0", first);
    assert_eq!(status(&pipeline, request).await, 404);
    assert_eq!(registry.journal().count(Kind::Token), 1_031);
}
