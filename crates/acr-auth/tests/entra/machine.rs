//! Managed identity.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use acr_auth::{
    TokenCredential as _, TokenRequest,
    entra::{ManagedIdentity, ManagedIdentityCredential, SourceOptions},
};
use acr_core::{
    Error, ErrorKind, Transport,
    http::{Body, Request, Response},
};
use acr_testkit::FakeIdentityService;
use http::StatusCode;
use tokio::time::Instant;
use tower::service_fn;

use crate::support::{environment, is_unavailable, nobody, shown, token};

fn options(service: &FakeIdentityService) -> SourceOptions {
    SourceOptions::new().identity_transport(service.transport()).environment(environment(&[]))
}

fn machine(service: &FakeIdentityService) -> ManagedIdentityCredential {
    let identity = ManagedIdentity::SystemAssigned;
    ManagedIdentityCredential::configured(identity, &options(service)).unwrap()
}

#[tokio::test]
async fn a_virtual_machine_gives_its_identities() {
    let service = FakeIdentityService::imds()
        .client_id("cid")
        .object_id("oid")
        .resource_id("/subscriptions/s/x y&z")
        .token("the-token")
        .serve()
        .await
        .unwrap();
    // The transport that is used by default, to a socket; the authority's, which may have a
    // proxy, is never taken.
    let options = SourceOptions::new()
        .imds(service.endpoint())
        .transport(nobody())
        .environment(environment(&[]));
    for (identity, expected) in [
        (ManagedIdentity::SystemAssigned, Ok("the-token")),
        (ManagedIdentity::ClientId("cid".into()), Ok("the-token")),
        (ManagedIdentity::ObjectId("oid".into()), Ok("the-token")),
        (ManagedIdentity::ResourceId("/subscriptions/s/x y&z".into()), Ok("the-token")),
        (ManagedIdentity::ClientId("oid".into()), Err("Identity not found")),
    ] {
        let source = ManagedIdentityCredential::configured(identity, &options).unwrap();
        match (token(&source).await, expected) {
            (Ok(token), Ok(expected)) => assert_eq!(token, expected),
            (Err(error), Err(expected)) => {
                assert!(error.to_string().contains(expected), "{error}");
                assert!(!is_unavailable(&error), "an identity that was named and is not there");
            }
            (got, _) => panic!("{got:?}"),
        }
    }
    assert_eq!(service.calls(), 10, "a probe and a request each");
}

#[tokio::test]
async fn app_service_gives_its_identities_to_whoever_knows_the_header() {
    let service = FakeIdentityService::app_service("header-canary")
        .client_id("cid")
        .object_id("oid")
        .resource_id("/r")
        .token("the-token")
        .serve()
        .await
        .unwrap();
    let url = service.url();
    let make = |header: &str, identity| {
        let variables = [("IDENTITY_ENDPOINT", url.as_str()), ("IDENTITY_HEADER", header)];
        let options = SourceOptions::new().environment(environment(&variables)).transport(nobody());
        ManagedIdentityCredential::configured(identity, &options).unwrap()
    };
    for identity in [
        ManagedIdentity::SystemAssigned,
        ManagedIdentity::ClientId("cid".into()),
        ManagedIdentity::ObjectId("oid".into()),
        ManagedIdentity::ResourceId("/r".into()),
    ] {
        let source = make("header-canary", identity);
        assert_eq!(token(&source).await.unwrap(), "the-token");
        assert_eq!(token(&source).await.unwrap(), "the-token");
        assert!(!format!("{source:?}").contains("canary"));
    }
    assert_eq!(service.calls(), 4, "no probe, and tokens are kept");
    let error = token(&make("wrong-canary", ManagedIdentity::SystemAssigned)).await.unwrap_err();
    assert!(!is_unavailable(&error) && !shown(&error).contains("canary"), "{error}");
    let unknown = ManagedIdentity::ClientId("x".into());
    let error = token(&make("header-canary", unknown)).await.unwrap_err();
    assert!(error.to_string().contains("Identity not found"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn platforms_that_are_not_supported_are_named() {
    for (variables, platform) in [
        (&[("IDENTITY_ENDPOINT", "http://x"), ("IMDS_ENDPOINT", "http://y")][..], "Azure Arc"),
        (&[("IDENTITY_ENDPOINT", "http://x")], "Azure Arc"),
        (
            &[
                ("IDENTITY_ENDPOINT", "https://x"),
                ("IDENTITY_HEADER", "h"),
                ("IDENTITY_SERVER_THUMBPRINT", "t"),
            ],
            "Azure Service Fabric",
        ),
        (&[("MSI_ENDPOINT", "http://x"), ("MSI_SECRET", "s")], "Azure Machine Learning"),
        (&[("MSI_ENDPOINT", "http://x")], "Azure Cloud Shell"),
    ] {
        let options = SourceOptions::new().environment(environment(variables));
        let source = ManagedIdentityCredential::configured(ManagedIdentity::default(), &options);
        let error = token(&source.unwrap()).await.unwrap_err();
        assert!(error.to_string().contains(platform), "{error}");
        // There `az` is the same identity; elsewhere it is another.
        assert_eq!(is_unavailable(&error), platform == "Azure Cloud Shell", "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_network_is_left_within_a_second() {
    let silent =
        Transport::new(service_fn(|_: Request| std::future::pending::<Result<Response, Error>>()));
    let options = SourceOptions::new().identity_transport(silent).environment(environment(&[]));
    let source = ManagedIdentityCredential::configured(ManagedIdentity::default(), &options);
    let start = Instant::now();
    let error = token(&source.unwrap()).await.unwrap_err();
    assert!(is_unavailable(&error) && error.to_string().contains("no answer within 1s"), "{error}");
    assert_eq!(start.elapsed(), Duration::from_secs(1));
}

/// Something that gives the same answer to everything, and counts what it was asked.
fn constant(status: u16, content_type: &'static str) -> (Transport, Arc<AtomicU32>) {
    let calls = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&calls);
    let transport = Transport::new(service_fn(move |_: Request| {
        counter.fetch_add(1, Ordering::Relaxed);
        async move {
            let answer = http::Response::builder().status(status);
            let answer = answer.header("content-type", content_type);
            Ok::<_, Error>(answer.body(Body::from("{}")).unwrap())
        }
    }));
    (transport, calls)
}

fn at(transport: Transport) -> ManagedIdentityCredential {
    let options = SourceOptions::new().identity_transport(transport).environment(environment(&[]));
    ManagedIdentityCredential::configured(ManagedIdentity::default(), &options).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_machine_elsewhere_has_no_identity_service() {
    // Other clouds answer at the same address, with pages or with JSON of their own.
    for status in [200, 204, 302, 400, 401, 403, 404, 405, 418] {
        for content_type in ["application/json", "text/html"] {
            if (status, content_type) == (400, "application/json") {
                continue;
            }
            let (transport, calls) = constant(status, content_type);
            let start = Instant::now();
            let error = token(&at(transport)).await.unwrap_err();
            assert!(is_unavailable(&error), "{status} {content_type}: {error}");
            let text = format!("what answers there ({status}) is none");
            assert!(error.to_string().contains(&text), "{error}");
            assert_eq!(start.elapsed(), Duration::ZERO, "{status} {content_type}");
            assert_eq!(calls.load(Ordering::Relaxed), 1, "{status} {content_type}");
        }
    }
    let start = Instant::now();
    let error = token(&at(nobody())).await.unwrap_err();
    assert!(is_unavailable(&error) && start.elapsed().is_zero(), "{error}");
    let error = token(&at(nobody()).without_probe()).await.unwrap_err();
    assert!(is_unavailable(&error), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_identity_service_that_is_in_trouble_when_looked_for_is_there() {
    // Pages, too: those of a proxy inside of the service.
    for status in [410, 429, 500, 503, 504, 599] {
        for content_type in ["application/json; charset=utf-8", "text/html"] {
            let (transport, calls) = constant(status, content_type);
            let error = token(&at(transport)).await.unwrap_err();
            assert!(!is_unavailable(&error), "{status} {content_type}: {error}");
            // The question whether it is there, and then the whole patience for a token.
            assert_eq!(calls.load(Ordering::Relaxed), 10, "{status} {content_type}");
        }
    }
    let (transport, calls) = constant(400, "application/json; charset=utf-8");
    let error = token(&at(transport)).await.unwrap_err();
    assert!(error.to_string().contains("no identity is assigned to this machine"), "{error}");
    assert_eq!(calls.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn a_machine_without_identity_is_no_failure() {
    let service = FakeIdentityService::imds().without_system_assigned().in_process();
    let error = token(&machine(&service)).await.unwrap_err();
    assert!(is_unavailable(&error) && error.to_string().contains("Identity not found"), "{error}");
    assert_eq!(service.calls(), 2, "a 400 is not repeated");
}

#[tokio::test(start_paused = true)]
async fn an_identity_service_in_trouble_is_waited_for() {
    for status in [404, 410, 429, 500, 503, 504] {
        let service = FakeIdentityService::imds().token("the-token").in_process();
        let source = machine(&service).without_probe();
        let trouble = StatusCode::from_u16(status).unwrap();
        (0..3).for_each(|_| service.answer_next(trouble, "{}"));
        let start = Instant::now();
        assert_eq!(token(&source).await.unwrap(), "the-token");
        assert_eq!((service.calls(), start.elapsed().as_secs()), (4, 1 + 2 + 4), "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_update_of_seventy_seconds_is_outlasted_and_a_dead_service_is_not() {
    let service = FakeIdentityService::imds().token("the-token").in_process();
    let source = machine(&service);
    (0..9).for_each(|_| service.answer_next(StatusCode::GONE, "{}"));
    let start = Instant::now();
    assert_eq!(token(&source).await.unwrap(), "the-token");
    // One of the nine answered the probe.
    assert_eq!((service.calls(), start.elapsed().as_secs()), (10, 79));

    let service = FakeIdentityService::imds().in_process();
    let source = machine(&service).without_probe();
    (0..100).for_each(|_| service.answer_next(StatusCode::GONE, "{}"));
    let error = token(&source).await.unwrap_err();
    assert!(error.to_string().contains("answered 410 after 9 attempts"), "{error}");
    assert!(!is_unavailable(&error));
    assert_eq!(service.calls(), 9);
}

#[tokio::test(start_paused = true)]
async fn the_service_is_looked_for_once() {
    let service = FakeIdentityService::imds().lifetime(Duration::ZERO).in_process();
    let source = machine(&service);
    for calls in [2, 3, 4] {
        token(&source).await.unwrap();
        assert_eq!(service.calls(), calls);
    }
}

#[tokio::test(start_paused = true)]
async fn one_scope_at_a_time_and_none_that_is_none() {
    let service = FakeIdentityService::imds().in_process();
    let source = machine(&service);
    for scopes in [&["a", "b"][..], &[], &["--x"]] {
        let error = source.get_token(TokenRequest::new(scopes)).await.unwrap_err();
        assert_eq!(error.downcast_ref::<Error>().unwrap().kind(), ErrorKind::InvalidInput);
    }
    assert_eq!(service.calls(), 0);
}
