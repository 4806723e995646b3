//! The sign-in flow against the fake registry: what goes over the wire, and when.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests may stop at the first surprise"
)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, SystemTime},
};

use acr_auth::{AccessToken, AuthLayer, Credential, credential_fn};
use acr_core::{
    Action, Body, Effect, Endpoint, Error, ErrorKind, Operation, Pipeline, Request, RequestBuilder,
    Response, Result, Scope, Transport, layer::RetryPolicy, response,
};
use acr_testkit::{Anonymous, FakeRegistry, Fault, Kind, ScopeMap};
use futures_util::future::join_all;
use http::{Method, StatusCode};
use tower::{ServiceExt as _, service_fn};

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
    registry.inject(Fault::status("list_repositories", 1, 401).times(100));
    let pipeline = pipeline(&registry, identity(&registry).0);
    assert_eq!(status(&pipeline, catalog(pipeline.endpoint())).await, 401);
    let calls = registry.journal().entries();
    assert_eq!(calls.iter().filter(|e| e.operation == "list_repositories").count(), 2);
    assert_eq!(registry.journal().count(Kind::Exchange), 1);
}

#[tokio::test(start_paused = true)]
async fn one_401_brings_a_new_token_and_success() {
    let registry = FakeRegistry::new();
    let pipeline = pipeline(&registry, identity(&registry).0);
    assert_eq!(status(&pipeline, catalog(pipeline.endpoint())).await, 200);
    registry.inject(Fault::status("list_repositories", 1, 401));
    assert_eq!(status(&pipeline, catalog(pipeline.endpoint())).await, 200);
    assert_eq!(registry.journal().count(Kind::Token), 2);
    assert_eq!(registry.journal().count(Kind::Exchange), 1);
}

#[tokio::test(start_paused = true)]
async fn a_failing_token_service_is_retried_by_the_one_loop_outside() {
    for (fault, attempts) in [
        (Fault::status("token", 1, 503), 2),
        (Fault::status("exchange", 1, 429).retry_after("7"), 2),
    ] {
        let registry = FakeRegistry::new();
        registry.inject(fault);
        let pipeline = pipeline(&registry, identity(&registry).0);
        let answer = pipeline.send(catalog(pipeline.endpoint())).await.unwrap();
        assert_eq!(answer.status(), 200);
        let attempt = answer.extensions().get::<acr_core::Attempt>().unwrap().get();
        assert_eq!(attempt, attempts);
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_service_that_stays_down_is_an_error_of_its_own_kind() {
    let registry = FakeRegistry::new();
    registry.inject(Fault::status("exchange", 1, 429).times(100));
    let pipeline = pipeline(&registry, identity(&registry).0);
    let error = pipeline.send(catalog(pipeline.endpoint())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Throttled);
    assert_eq!(error.operation(), Some("exchange_entra_token"));
    assert_eq!(error.attempts(), 4);
}

#[tokio::test]
async fn an_entra_token_is_not_sent_to_a_strange_host() {
    let registry = FakeRegistry::new();
    let transport = Transport::new(service_fn(|_: Request| async {
        panic!("nothing may be sent");
        #[expect(unreachable_code, reason = "names the type")]
        Ok::<Response, Error>(http::Response::new(Body::empty()))
    }));
    let endpoint: Endpoint = "x.azurecr.io.evil.example".parse().unwrap();
    let (credential, asked) = identity(&registry);
    let pipeline = Pipeline::builder(endpoint.clone())
        .transport(transport)
        .layer_per_hop(AuthLayer::new(&endpoint, credential))
        .build()
        .unwrap();
    let error = pipeline.send(catalog(&endpoint)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Policy);
    assert_eq!(asked.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_failing_credential_source_is_a_credential_error() {
    let registry = FakeRegistry::new();
    let source = credential_fn(|_| async { Err::<AccessToken, _>("no identity here".into()) });
    let pipeline = pipeline(&registry, Credential::entra(source));
    let error = pipeline.send(catalog(pipeline.endpoint())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Credential);
    assert!(registry.journal().entries().is_empty());
}

#[cfg(feature = "entra")]
#[tokio::test(start_paused = true)]
async fn what_a_source_of_ours_answers_is_in_the_words_of_the_error_and_behind_it() {
    use acr_auth::entra::CredentialUnavailable;
    let registry = FakeRegistry::new();
    let source = credential_fn(|_| async {
        Err::<AccessToken, _>(CredentialUnavailable::new("no smart card is inserted").into())
    });
    let pipeline = pipeline(&registry, Credential::entra(source));
    let error = pipeline.send(catalog(pipeline.endpoint())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Credential);
    assert!(error.to_string().contains("no smart card is inserted"), "{error}");
    assert!(CredentialUnavailable::is_cause_of(&error));
}

/// A registry that answers as the test says, behind the auth layer; token calls succeed.
fn scripted<F>(answer: F, policy: RetryPolicy) -> Pipeline
where
    F: Fn(&Request) -> Response + Clone + Send + Sync + 'static,
{
    let transport = Transport::new(service_fn(move |request: Request| {
        let response = match request.uri().path() {
            "/oauth2/exchange" => http::Response::new(Body::from(r#"{"refresh_token":"r"}"#)),
            "/oauth2/token" => http::Response::new(Body::from(r#"{"access_token":"a"}"#)),
            _ => answer(&request),
        };
        async move { Ok::<_, Error>(response) }
    }));
    let endpoint: Endpoint = "reg.azurecr.io".parse().unwrap();
    let source = credential_fn(|_| async {
        Ok(AccessToken::new("e", SystemTime::now() + Duration::from_secs(3600)))
    });
    let auth = AuthLayer::new(&endpoint, Credential::entra(source));
    Pipeline::builder(endpoint)
        .transport(transport)
        .retry(policy)
        .layer_per_hop(auth)
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_foreign_realm_is_refused_and_never_followed() {
    let challenge = r#"Bearer realm="https://evil.example/oauth2/token",service="reg.azurecr.io""#;
    let pipeline = scripted(
        move |request| {
            assert_eq!(request.uri().host(), Some("reg.azurecr.io"));
            let response = http::Response::builder().status(401);
            response.header("www-authenticate", challenge).body(Body::empty()).unwrap()
        },
        RetryPolicy::default(),
    );
    let error = pipeline.send(catalog(pipeline.endpoint())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Policy);
}

#[tokio::test]
async fn authorization_goes_to_the_registry_only_and_only_once() -> Result<()> {
    let pipeline = scripted(
        |request| {
            let sent: Vec<_> = request.headers().get_all("authorization").iter().collect();
            let is_registry = request.uri().to_string().starts_with("https://reg.azurecr.io/");
            assert_eq!(sent.len(), usize::from(is_registry), "{}", request.uri());
            assert!(sent.iter().all(|value| value.is_sensitive()));
            http::Response::new(Body::empty())
        },
        RetryPolicy::default(),
    );
    pipeline.send(catalog(pipeline.endpoint())).await?;
    for elsewhere in [
        "https://other.azurecr.io/acr/v1/_catalog",
        "https://reg.azurecr.io:444/",
        "http://reg.azurecr.io/",
    ] {
        let mut request = RequestBuilder::to(Method::GET, elsewhere.parse().unwrap())
            .scope(Scope::catalog())
            .build()?;
        request.headers_mut().insert("authorization", "Bearer planted".parse().unwrap());
        pipeline.send(request).await?;
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_refused_refresh_token_is_exchanged_anew_once() {
    let registry = FakeRegistry::new();
    let pipeline = pipeline(&registry, identity(&registry).0);
    assert_eq!(status(&pipeline, catalog(pipeline.endpoint())).await, 200);
    registry.inject(Fault::status("token", 1, 401));
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
    registry.inject(Fault::status("token", 1, 401).times(100));
    let pipeline = pipeline(&registry, identity(&registry).0);
    let error = pipeline.send(catalog(pipeline.endpoint())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    let journal = registry.journal();
    assert_eq!((journal.count(Kind::Exchange), journal.count(Kind::Token)), (1, 1), "it was new");
}

#[tokio::test(start_paused = true)]
async fn a_source_in_trouble_costs_nothing_while_the_tokens_live() {
    let registry = FakeRegistry::new();
    let is_broken = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (broken, token) = (Arc::clone(&is_broken), registry.entra_token());
    let source = credential_fn(move |_| {
        let expires = SystemTime::now() + Duration::from_secs(3600);
        let answer = match broken.load(Ordering::Relaxed) {
            true => Err("the tool crashed".into()),
            false => Ok(AccessToken::new(token.clone(), expires)),
        };
        async move { answer }
    });
    let pipeline = pipeline(&registry, Credential::entra(source));
    assert_eq!(status(&pipeline, catalog(pipeline.endpoint())).await, 200);
    is_broken.store(true, Ordering::Relaxed);
    // The refresh token lives 11,700 s and is due from 11,400 s on; an access token that is
    // fetched at 7,100 s is due as early. At 11,600 s the refresh token serves once more.
    for seconds in [7_100, 4_400, 100] {
        tokio::time::advance(Duration::from_secs(seconds)).await;
        assert_eq!(status(&pipeline, catalog(pipeline.endpoint())).await, 200, "{seconds}");
    }
    tokio::time::advance(Duration::from_secs(5_000)).await;
    let error = pipeline.send(catalog(pipeline.endpoint())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Credential, "both are dead now");
    assert!(!error.to_string().contains("crashed"), "a stranger's words may be secret");
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_token_call_failed_was_not_sent_and_is_repeated() {
    let registry = FakeRegistry::new();
    registry.inject(Fault::status("token", 1, 503));
    let pipeline = pipeline(&registry, identity(&registry).0);
    let name = "library/app".parse().unwrap();
    let push = Scope::repository(&name, &[Action::PULL, Action::PUSH]);
    let uri = pipeline.endpoint().uri("/v2/library/app/blobs/uploads/").unwrap();
    let request = RequestBuilder::to(Method::POST, uri).scope(push).effect(Effect::Append);
    assert_eq!(status(&pipeline, request.build().unwrap()).await, StatusCode::ACCEPTED);
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
async fn an_identity_source_that_hangs_is_a_timeout() {
    let registry = FakeRegistry::new();
    let source = credential_fn(|_| std::future::pending());
    let auth = AuthLayer::new(&registry.endpoint(), Credential::entra(source));
    let pipeline = Pipeline::builder(registry.endpoint())
        .transport(registry.transport())
        .retry(RetryPolicy::default().retries(0))
        .layer_per_hop(auth)
        .build()
        .unwrap();
    let start = tokio::time::Instant::now();
    let error = pipeline.send(catalog(pipeline.endpoint())).await.unwrap_err();
    assert_eq!((error.kind(), start.elapsed().as_secs()), (ErrorKind::Timeout, 120));
}

#[tokio::test]
async fn an_identity_token_that_seems_expired_is_tried_for_the_clock_may_be_wrong() {
    let registry = FakeRegistry::new();
    for (token, kind) in
        [(registry.entra_token(), None), ("old".to_owned(), Some(ErrorKind::Unauthenticated))]
    {
        let source = credential_fn(move |_| {
            let token = AccessToken::new(token.clone(), SystemTime::UNIX_EPOCH);
            async move { Ok(token) }
        });
        let pipeline = pipeline(&registry, Credential::entra(source));
        let error = pipeline.send(catalog(pipeline.endpoint())).await.err();
        assert_eq!(error.as_ref().map(Error::kind), kind);
        if let Some(error) = error {
            let hint = std::error::Error::source(&error).unwrap().to_string();
            assert!(hint.contains("expired by this machine's clock"), "{hint}");
        }
    }
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

#[tokio::test(start_paused = true)]
async fn a_strangers_stack_needs_neither_a_pipeline_nor_scopes() {
    let registry = FakeRegistry::new();
    let stack = tower::ServiceBuilder::new()
        .layer(AuthLayer::new(&registry.endpoint(), identity(&registry).0))
        .service(registry.transport());
    let index = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
    let uri = |path: &str| registry.endpoint().uri(path).unwrap();
    let put = http::Request::put(uri("/v2/library/app/manifests/v1"))
        .header("content-type", "application/vnd.oci.image.index.v1+json")
        .body(Body::from(index))
        .unwrap();
    assert_eq!(stack.clone().oneshot(put).await.unwrap().status(), StatusCode::CREATED);
    for path in ["/v2/library/app/manifests/v1", "/acr/v1/_catalog", "/v2/", "/acr/v1/library/app"]
    {
        let get = http::Request::get(uri(path)).header("accept", "*/*").body(Body::empty());
        let get = get.unwrap();
        assert_eq!(stack.clone().oneshot(get).await.unwrap().status(), StatusCode::OK, "{path}");
    }
    let journal = registry.journal();
    assert_eq!(journal.count(Kind::Challenge), 5, "one for each request");
    assert_eq!(journal.count(Kind::Exchange), 1);
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
