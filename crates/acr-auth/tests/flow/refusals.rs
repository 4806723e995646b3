//! Answers that refuse: 401, missing rights, a token service in trouble.

use std::time::{Duration, SystemTime};

use acr_auth::{AccessToken, Credential, credential_fn};
use acr_core::{
    Action, ErrorKind, Scope,
    http::{Effect, RequestBuilder, response},
};
use acr_testkit::{Anonymous, FakeRegistry, Fault, Kind, Operation, ScopeMap};
use http::{Method, StatusCode};

use crate::{catalog, get, identity, pipeline, status};

#[tokio::test(start_paused = true)]
async fn missing_rights_end_at_once_as_forbidden() {
    let registry = FakeRegistry::builder().anonymous(Anonymous::Pull).build();
    let pipeline = pipeline(&registry, Credential::anonymous());
    let delete = Scope::repository(&"library/app".parse().unwrap(), &[Action::DELETE]);
    let uri = pipeline.endpoint().uri("/acr/v1/library/app").unwrap();
    let request =
        RequestBuilder::to(Method::DELETE, uri).scope(delete).effect(Effect::Set).build().unwrap();
    let answer = pipeline.send(request).await.unwrap();
    let error = response::into_error(answer).await;
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert_eq!(error.status(), Some(StatusCode::UNAUTHORIZED));
    assert_eq!(registry.journal().entries().len(), 2, "one token, one call, no loop");
}

#[tokio::test(start_paused = true)]
async fn an_endless_401_is_answered_twice_and_no_more() {
    let registry = FakeRegistry::new();
    registry.inject(Fault::status(Operation::ListRepositories, 1, 401).times(100));
    let pipeline = pipeline(&registry, identity(&registry).0);
    assert_eq!(status(&pipeline, catalog(pipeline.endpoint())).await, 401);
    let calls = registry.journal().entries();
    assert_eq!(
        calls.iter().filter(|e| e.operation == Some(Operation::ListRepositories)).count(),
        2
    );
    assert_eq!(registry.journal().count(Kind::Exchange), 1);
}

#[tokio::test(start_paused = true)]
async fn one_401_brings_a_new_token_and_success() {
    let registry = FakeRegistry::new();
    let pipeline = pipeline(&registry, identity(&registry).0);
    assert_eq!(status(&pipeline, catalog(pipeline.endpoint())).await, 200);
    registry.inject(Fault::status(Operation::ListRepositories, 1, 401));
    assert_eq!(status(&pipeline, catalog(pipeline.endpoint())).await, 200);
    assert_eq!(registry.journal().count(Kind::Token), 2);
    assert_eq!(registry.journal().count(Kind::Exchange), 1);
}

#[tokio::test(start_paused = true)]
async fn a_failing_token_service_is_retried_by_the_one_loop_outside() {
    for (fault, attempts) in [
        (Fault::status(Operation::FetchAccessToken, 1, 503), 2),
        (Fault::status(Operation::ExchangeEntraToken, 1, 429).retry_after("7"), 2),
    ] {
        let registry = FakeRegistry::new();
        registry.inject(fault);
        let pipeline = pipeline(&registry, identity(&registry).0);
        let answer = pipeline.send(catalog(pipeline.endpoint())).await.unwrap();
        assert_eq!(answer.status(), 200);
        let attempt = answer.extensions().get::<acr_core::http::Attempt>().unwrap().get();
        assert_eq!(attempt, attempts);
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_service_that_stays_down_is_an_error_of_its_own_kind() {
    let registry = FakeRegistry::new();
    registry.inject(Fault::status(Operation::ExchangeEntraToken, 1, 429).times(100));
    let pipeline = pipeline(&registry, identity(&registry).0);
    let error = pipeline.send(catalog(pipeline.endpoint())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Throttled);
    assert_eq!(error.operation(), Some("exchange_entra_token"));
    assert_eq!(error.attempts(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_refused_refresh_token_is_exchanged_anew_once() {
    let registry = FakeRegistry::new();
    let pipeline = pipeline(&registry, identity(&registry).0);
    assert_eq!(status(&pipeline, catalog(pipeline.endpoint())).await, 200);
    registry.inject(Fault::status(Operation::FetchAccessToken, 1, 401));
    let name = "library/app".parse().unwrap();
    let read = Scope::repository(&name, &[Action::METADATA_READ]);
    let request = get(pipeline.endpoint(), "/acr/v1/library/app", read);
    assert_eq!(status(&pipeline, request).await, 404);
    assert_eq!(registry.journal().count(Kind::Exchange), 2);
    assert_eq!(registry.journal().count(Kind::Token), 3);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_token_refused_for_ever_ends_in_an_error() {
    let registry = FakeRegistry::new();
    registry.inject(Fault::status(Operation::FetchAccessToken, 1, 401).times(100));
    let pipeline = pipeline(&registry, identity(&registry).0);
    let error = pipeline.send(catalog(pipeline.endpoint())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    let journal = registry.journal();
    assert_eq!((journal.count(Kind::Exchange), journal.count(Kind::Token)), (1, 1), "it was new");
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_token_call_failed_was_not_sent_and_is_repeated() {
    let registry = FakeRegistry::new();
    registry.inject(Fault::status(Operation::FetchAccessToken, 1, 503));
    let pipeline = pipeline(&registry, identity(&registry).0);
    let name = "library/app".parse().unwrap();
    let push = Scope::repository(&name, &[Action::PULL, Action::PUSH]);
    let uri = pipeline.endpoint().uri("/v2/library/app/blobs/uploads/").unwrap();
    let request = RequestBuilder::to(Method::POST, uri).scope(push).effect(Effect::Append);
    assert_eq!(status(&pipeline, request.build().unwrap()).await, StatusCode::ACCEPTED);
}

#[tokio::test(start_paused = true)]
async fn who_may_pull_only_is_told_so_also_where_rights_go_by_attributes() {
    for is_abac in [false, true] {
        let rights = ScopeMap::parse(["repositories/library/app/content/read"]).unwrap();
        let builder = FakeRegistry::builder().scoped_entra_token("limited", rights);
        let registry = if is_abac { builder.abac().build() } else { builder.build() };
        let source = credential_fn(|_| async {
            Ok(AccessToken::new("limited", SystemTime::now() + Duration::from_secs(3600)))
        });
        let pipeline = pipeline(&registry, Credential::entra(source));
        let name = "library/app".parse().unwrap();
        let need = Scope::repository(&name, &[Action::PULL, Action::METADATA_READ]);
        let request = get(pipeline.endpoint(), "/acr/v1/library/app", need);
        let error = response::into_error(pipeline.send(request).await.unwrap()).await;
        assert_eq!(error.kind(), ErrorKind::Forbidden);
        let words = "have `pull`, need `metadata_read` on `library/app`";
        assert!(error.to_string().contains(words), "{error}");
        let pull = Scope::repository(&name, &[Action::PULL]);
        let request = get(pipeline.endpoint(), "/v2/library/app/manifests/v1", pull);
        assert_eq!(status(&pipeline, request).await, StatusCode::NOT_FOUND, "it may look");
        assert_eq!(registry.journal().entries().len(), 5, "exchange, and two calls with tokens");
    }
}
