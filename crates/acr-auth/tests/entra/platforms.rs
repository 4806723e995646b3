//! Platforms as they were met: Container Instances, services that start late, private
//! addresses, several identities.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use acr_auth::entra::{
    DefaultCredential, ManagedIdentity, ManagedIdentityCredential, SourceOptions,
};
use acr_core::{
    Endpoint, Error, ErrorKind, Transport,
    http::{Body, Request, Response},
};
use acr_testkit::FakeIdentityService;
use http::StatusCode;
use tokio::time::Instant;
use tower::{ServiceExt as _, service_fn};

use crate::support::{environment, is_unavailable, shown, token};

fn machine(options: &SourceOptions) -> ManagedIdentityCredential {
    ManagedIdentityCredential::configured(ManagedIdentity::SystemAssigned, options).unwrap()
}

fn with(variables: &[(&str, &str)], transport: Transport) -> SourceOptions {
    SourceOptions::new().identity_transport(transport).environment(environment(variables))
}

#[tokio::test]
async fn c1_container_instances_are_found_over_a_socket() {
    let service = FakeIdentityService::container_instances().token("the-token");
    let service = service.serve().await.unwrap();
    let options = SourceOptions::new().imds(service.endpoint()).environment(environment(&[]));
    assert_eq!(token(&machine(&options)).await.unwrap(), "the-token");
    assert_eq!(service.calls(), 2);
}

/// Whatever the media type: what speaks of the header is the identity service.
#[tokio::test(start_paused = true)]
async fn c1_any_400_that_speaks_of_the_metadata_header_is_the_identity_service() {
    for (content_type, body, is_there) in [
        (Some("text/plain"), "Required metadata header not specified or not correct", true),
        (Some("TEXT/HTML"), "<p>required METADATA HEADER not specified</p>", true),
        (None, "Required metadata header not specified", true),
        (Some("Application/JSON"), "{}", true),
        (Some("APPLICATION/json ; charset=utf-8"), "", true),
        (Some("application/jsonp"), "", false),
        (Some("text/plain"), "bad request", false),
        (None, "", false),
    ] {
        let transport = Transport::new(service_fn(move |request: Request| async move {
            let is_probe = !request.headers().contains_key("metadata");
            let answer = match (is_probe, content_type) {
                (false, _) => http::Response::builder()
                    .body(Body::from(r#"{"access_token":"the-token","expires_in":"60"}"#)),
                (true, Some(content_type)) => http::Response::builder()
                    .status(400)
                    .header("content-type", content_type)
                    .body(Body::from(body)),
                (true, None) => http::Response::builder().status(400).body(Body::from(body)),
            };
            Ok::<_, Error>(answer.unwrap())
        }));
        match token(&machine(&with(&[], transport))).await {
            Ok(token) => assert!(is_there && token == "the-token", "{content_type:?} {body}"),
            Err(error) => {
                assert!(!is_there && is_unavailable(&error), "{content_type:?} {body}: {error}");
            }
        }
    }
}

/// An endless answer to the probe is left within its second.
#[tokio::test(start_paused = true)]
async fn c1_an_answer_to_the_probe_without_end_is_not_waited_for() {
    let transport = Transport::new(service_fn(|_: Request| async {
        let answer = http::Response::builder().status(400).header("content-type", "text/plain");
        let silent =
            futures_util::stream::pending::<Result<bytes::Bytes, acr_core::http::BoxError>>();
        let frames = futures_util::StreamExt::map(silent, |item| item.map(http_body::Frame::data));
        Ok::<_, Error>(answer.body(Body::stream(http_body_util::StreamBody::new(frames))).unwrap())
    }));
    let start = Instant::now();
    let error = token(&machine(&with(&[], transport))).await.unwrap_err();
    assert!(is_unavailable(&error), "{error}");
    assert_eq!(start.elapsed(), Duration::from_secs(1));
}

/// Refuses connections for so long, each refusal taking its time, then is the service.
fn late(
    service: &FakeIdentityService,
    starts_after: Duration,
    refusal: Duration,
) -> (Transport, Arc<AtomicU32>) {
    let (tries, inner, begin) = (Arc::new(AtomicU32::new(0)), service.transport(), Instant::now());
    let counter = Arc::clone(&tries);
    let transport = Transport::new(service_fn(move |request: Request| {
        counter.fetch_add(1, Ordering::Relaxed);
        let inner = inner.clone();
        async move {
            if begin.elapsed() < starts_after {
                tokio::time::sleep(refusal).await;
                return Err(Error::new(ErrorKind::Connect, "connection refused"));
            }
            inner.oneshot(request).await
        }
    }));
    (transport, tries)
}

#[tokio::test(start_paused = true)]
async fn c3_a_service_that_starts_after_the_program_is_waited_for_where_it_is_known_to_be() {
    let service = FakeIdentityService::imds().token("the-token").in_process();
    for (starts_after, tries, seconds) in [(0, 1, 0), (1, 2, 3), (3, 2, 3), (4, 3, 8), (8, 3, 8)] {
        for refusal in [Duration::ZERO, Duration::from_secs(2)] {
            let (transport, count) = late(&service, Duration::from_secs(starts_after), refusal);
            let start = Instant::now();
            let source = machine(&with(&[], transport)).without_probe();
            assert_eq!(token(&source).await.unwrap(), "the-token", "{starts_after}");
            assert_eq!(count.load(Ordering::Relaxed), tries, "{starts_after}");
            assert_eq!(start.elapsed(), Duration::from_secs(seconds), "{starts_after}");
        }
    }
    // The selection of this one identity leaves the question out, too.
    let (transport, _) = late(&service, Duration::from_secs(4), Duration::ZERO);
    let selected = [("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential")];
    let source = DefaultCredential::configured(&with(&selected, transport)).unwrap();
    assert_eq!(token(&source).await.unwrap(), "the-token");
}

#[tokio::test(start_paused = true)]
async fn c3_nobody_is_given_up_after_three_tries_and_ten_seconds_and_a_laptop_does_not_wait() {
    let service = FakeIdentityService::imds().in_process();
    for (refusal, seconds) in [(Duration::ZERO, 8), (Duration::from_secs(2), 10)] {
        let (transport, count) = late(&service, Duration::MAX, refusal);
        let start = Instant::now();
        let source = machine(&with(&[], transport)).without_probe();
        let error = token(&source).await.unwrap_err();
        assert!(is_unavailable(&error), "{error}");
        assert_eq!((count.load(Ordering::Relaxed), start.elapsed().as_secs()), (3, seconds));
    }
    let (transport, count) = late(&service, Duration::MAX, Duration::ZERO);
    let start = Instant::now();
    let error = token(&machine(&with(&[], transport))).await.unwrap_err();
    assert!(is_unavailable(&error) && start.elapsed().is_zero(), "{error}");
    assert_eq!(count.load(Ordering::Relaxed), 1);
}

/// A service that answered the probe and is gone is an outage: nobody else takes its place.
#[tokio::test(start_paused = true)]
async fn c3_a_service_that_answered_and_went_away_is_a_failure() {
    let service = FakeIdentityService::imds().token("the-token").in_process();
    for comes_back in [false, true] {
        let (inner, calls) = (service.transport(), Arc::new(AtomicU32::new(0)));
        let counter = Arc::clone(&calls);
        let transport = Transport::new(service_fn(move |request: Request| {
            let call = counter.fetch_add(1, Ordering::Relaxed);
            let inner = inner.clone();
            async move {
                match call {
                    0 => inner.oneshot(request).await,
                    3 if comes_back => inner.oneshot(request).await,
                    _ => Err(Error::new(ErrorKind::Connect, "connection refused")),
                }
            }
        }));
        let start = Instant::now();
        let got = token(&machine(&with(&[], transport))).await;
        assert_eq!((calls.load(Ordering::Relaxed), start.elapsed().as_secs()), (4, 8));
        match got {
            Ok(token) => assert!(comes_back && token == "the-token"),
            Err(error) => {
                assert!(!comes_back && !is_unavailable(&error), "{error}");
                assert_eq!(error.downcast_ref::<Error>().unwrap().kind(), ErrorKind::Connect);
            }
        }
    }
}

/// App Service at whatever address the platform wrote: the fake answers for all of them.
fn app_service_at(authority: &str, service: &FakeIdentityService) -> SourceOptions {
    let url = format!("http://{authority}/msi/token/");
    let (inner, origin) = (service.transport(), service.endpoint());
    let expected = url.clone();
    let transport = Transport::new(service_fn(move |mut request: Request| {
        let (inner, origin, expected) = (inner.clone(), origin.clone(), expected.clone());
        async move {
            assert!(request.uri().to_string().starts_with(&expected), "{}", request.uri());
            let query = request.uri().query().unwrap().to_owned();
            *request.uri_mut() = origin.uri(&format!("/msi/token?{query}"))?;
            inner.oneshot(request).await
        }
    }));
    with(&[("IDENTITY_ENDPOINT", &url), ("IDENTITY_HEADER", "the-header")], transport)
}

#[tokio::test(start_paused = true)]
async fn c2_the_platforms_own_service_is_asked_at_a_private_address() {
    let service = FakeIdentityService::app_service("the-header").token("the-token").in_process();
    for authority in [
        "172.16.5.3:8081",
        "10.0.0.4",
        "192.168.1.1:8080",
        "100.100.0.9:42356",
        "169.254.129.3:8081",
        "127.0.0.1:41056",
        "localhost:42356",
        "[fd00::7]:8081",
    ] {
        let options = app_service_at(authority, &service);
        assert_eq!(token(&machine(&options)).await.unwrap(), "the-token", "{authority}");
        let chain = DefaultCredential::configured(&options).unwrap();
        assert_eq!(token(&chain).await.unwrap(), "the-token", "{authority}");
    }
}

/// A public host is never asked in clear, and nothing a platform set is the caller's input.
#[tokio::test(start_paused = true)]
async fn c2_variables_of_the_platform_are_never_invalid_input_and_nothing_goes_out_in_clear() {
    let calls = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&calls);
    let transport = Transport::new(service_fn(move |_: Request| {
        counter.fetch_add(1, Ordering::Relaxed);
        async { Err::<Response, _>(Error::new(ErrorKind::Connect, "asked")) }
    }));
    for (name, value) in [
        ("IDENTITY_ENDPOINT", "http://canary.example/msi/token"),
        ("IDENTITY_ENDPOINT", "http://8.8.8.8/msi/canary"),
        ("IDENTITY_ENDPOINT", "http://172.32.0.1/msi/canary"),
        ("IDENTITY_ENDPOINT", "http://[2001:db8::1]/canary"),
        ("IDENTITY_ENDPOINT", "https://10.0.0.4/canary"),
        ("IDENTITY_ENDPOINT", "http://user:canary@10.0.0.4/x"),
        ("IDENTITY_ENDPOINT", "http://10.0.0.4/x?a=canary"),
        ("IDENTITY_ENDPOINT", "http://10.0.0.4.canary.example/x"),
        ("IDENTITY_ENDPOINT", "no url canary"),
        ("IDENTITY_ENDPOINT", "http://10.0.0.4:canary/x"),
        ("IDENTITY_HEADER", "cana\nry"),
        ("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://8.8.8.8"),
        ("AZURE_POD_IDENTITY_AUTHORITY_HOST", "canary"),
    ] {
        let mut variables = vec![(name, value)];
        if name == "IDENTITY_ENDPOINT" {
            variables.push(("IDENTITY_HEADER", "canary-header"));
        } else if name == "IDENTITY_HEADER" {
            variables.push(("IDENTITY_ENDPOINT", "http://10.0.0.4/x"));
        }
        let options = with(&variables, transport.clone());
        for error in [
            token(&machine(&options)).await.unwrap_err(),
            token(&DefaultCredential::configured(&options).unwrap()).await.unwrap_err(),
        ] {
            assert!(error.to_string().contains(name), "{error}");
            assert!(!is_unavailable(&error), "somebody is meant: {error}");
            let shown = shown(&error);
            assert!(!shown.contains("canary") && !shown.contains("InvalidInput"), "{shown}");
            assert_eq!(error.downcast_ref::<Error>().unwrap().kind(), ErrorKind::Credential);
        }
    }
    assert_eq!(calls.load(Ordering::Relaxed), 0);
    assert!(Endpoint::insecure_link_local("172.16.5.3").is_err(), "only what a platform named");
}

#[tokio::test(start_paused = true)]
async fn c9_several_identities_ask_for_a_name_and_end_the_chain() {
    let several = FakeIdentityService::imds().client_id("a").client_id("b").token("the-token");
    let service = several.without_system_assigned().in_process();
    let chain = |variables: &[(&str, &str)]| {
        DefaultCredential::configured(&with(variables, service.transport())).unwrap()
    };
    let error = token(&chain(&[])).await.unwrap_err();
    assert!(error.to_string().contains("set AZURE_CLIENT_ID"), "{error}");
    assert!(error.to_string().contains("several identities are assigned"), "{error}");
    assert!(!error.to_string().contains("no identity is assigned"), "{error}");
    assert!(!is_unavailable(&error), "there is somebody to be, and `az` is not it: {error}");
    assert_eq!(token(&chain(&[("AZURE_CLIENT_ID", "b")])).await.unwrap(), "the-token");

    // App Service says less, and its remedy is the same.
    let service = FakeIdentityService::app_service("the-header").client_id("a").client_id("b");
    let service = service.without_system_assigned().in_process();
    let body = r#"{"statusCode":400,"message":"Unable to load the proper Managed Identity."}"#;
    service.answer_next(StatusCode::BAD_REQUEST, body);
    let options = app_service_at("127.0.0.1:1", &service);
    let error = token(&machine(&options)).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("set AZURE_CLIENT_ID") && text.contains("proper Managed"), "{text}");
    assert!(!is_unavailable(&error));
}
