//! A registry that lies, asks for too much or never has enough: typed errors, nothing leaks.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may stop at the first surprise")]

mod support;

use acr_core::{
    Action, ErrorKind, RepositoryName, Scope,
    http::{Body, Request, response},
    layer::RetryPolicy,
};
use http::StatusCode;
use support::{
    challenge, count, endpoint, entra, get, ok, pipeline, scopes, token_service, transport,
};

const PATH: &str = "/acr/v1/library/app";
const LINE: &str = "GET /acr/v1/library/app";

fn read() -> Scope {
    let name: RepositoryName = "library/app".parse().unwrap();
    Scope::repository(&name, &[Action::METADATA_READ])
}

#[tokio::test(start_paused = true)]
async fn a_challenge_for_more_than_the_operation_needs_ends_the_call() {
    for wider in [
        "repository:other:pull",
        "repository:library/app:metadata_read repository:other:pull",
        "repository:*:*",
        "repository:library/app:*",
        "registry:catalog:*",
    ] {
        let (transport, sent) = transport(move |call, _| {
            token_service(call, "[]").unwrap_or_else(|| challenge(&format!(r#",scope="{wider}""#)))
        });
        let error = pipeline(transport, entra()).send(get(PATH, Some(read()))).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Policy, "{wider}");
        assert_eq!(error.status(), Some(StatusCode::UNAUTHORIZED));
        assert!(!error.is_retryable());
        assert_eq!(scopes(&sent), ["repository:library/app:metadata_read"], "{wider}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_realm_elsewhere_ends_the_call_and_is_never_asked() {
    for realm in [
        "https://evil.example/oauth2/token",
        "http://reg.azurecr.io/oauth2/token",
        "https://reg.azurecr.io:444/oauth2/token",
        "https://reg.azurecr.io.evil.example/token",
        "https://reg.azurecr.io@evil.example/token",
        "/oauth2/token",
        "",
    ] {
        for scope in [Some(read()), None] {
            let (transport, sent) = transport(move |call, _| {
                token_service(call, "[]").unwrap_or_else(|| {
                    http::Response::builder()
                        .status(401)
                        .header(
                            "www-authenticate",
                            format!(r#"Bearer realm="{realm}",service="s""#),
                        )
                        .body(Body::empty())
                        .unwrap()
                })
            });
            let is_scoped = scope.is_some();
            let error = pipeline(transport, entra()).send(get(PATH, scope)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Policy, "{realm}");
            assert_eq!(count(&sent, LINE), 1, "{realm}");
            assert_eq!(count(&sent, "POST /oauth2/token"), usize::from(is_scoped));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_endless_401_costs_two_requests_whatever_it_says() {
    for (parameters, access, kind) in [
        ("", "[]", ErrorKind::Forbidden),
        (
            "",
            r#"[{"type":"repository","name":"library/app","actions":["metadata_read"]}]"#,
            ErrorKind::Unauthenticated,
        ),
        (r#",error="invalid_token""#, r#""opaque""#, ErrorKind::Unauthenticated),
        (r#",scope="repository:library/app:pull""#, r#""opaque""#, ErrorKind::Unauthenticated),
    ] {
        let (transport, sent) = transport(move |call, _| {
            token_service(call, access).unwrap_or_else(|| challenge(parameters))
        });
        let pipeline = pipeline(transport, entra());
        let answer = pipeline.send(get(PATH, Some(read()))).await.unwrap();
        assert_eq!(response::into_error(answer).await.kind(), kind, "{parameters}");
        assert_eq!(count(&sent, LINE), 2, "{parameters}");
        assert_eq!(count(&sent, "POST /oauth2/token"), 2, "{parameters}");
        assert_eq!(count(&sent, "POST /oauth2/exchange"), 1, "{parameters}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_endless_401_to_a_request_without_a_scope_costs_two_requests() {
    let (transport, sent) = transport(|call, _| {
        let wanted = r#",scope="repository:library/app:pull""#;
        token_service(call, r#""opaque""#).unwrap_or_else(|| challenge(wanted))
    });
    let answer = pipeline(transport, entra()).send(get(PATH, None)).await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(count(&sent, LINE), 2, "once without and once with a token");
    assert_eq!(count(&sent, "POST /oauth2/token"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_keeps_asking_for_more_does_not_fill_memory() {
    let (transport, sent) = transport(|call, earlier| {
        let more =
            format!(r#",scope="repository:library/app:{}""#, format!("x{earlier:05}").repeat(20));
        token_service(call, r#""opaque""#).unwrap_or_else(|| challenge(&more))
    });
    let pipeline = pipeline(transport, entra());
    let mut kinds = Vec::new();
    for _ in 0..50 {
        let answer = pipeline.send(get(PATH, Some(read()))).await;
        kinds.push(answer.map_or_else(|error| error.kind(), |_| ErrorKind::Unauthenticated));
    }
    assert_eq!(kinds.last(), Some(&ErrorKind::Policy));
    assert!(scopes(&sent).iter().all(|scope| scope.len() <= 1_024));
}

#[tokio::test(start_paused = true)]
async fn a_redirect_that_comes_back_to_the_registry_is_not_signed_in() {
    let (transport, sent) = transport(|call, _| {
        let to = |target: &str| {
            let response = http::Response::builder().status(307).header("location", target);
            response.body(Body::empty()).unwrap()
        };
        token_service(call, r#""opaque""#).unwrap_or_else(|| match call.line.as_str() {
            LINE => to("https://storage.example/blob"),
            "GET /blob" => to("https://reg.azurecr.io/v2/library/secret/blobs/x"),
            _ => challenge(r#",scope="repository:library/secret:pull""#),
        })
    });
    let mut request = get(PATH, Some(read()));
    request.extensions_mut().insert(acr_core::http::FollowRedirects::default());
    let answer = pipeline(transport, entra()).send(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    let sent = sent.lock().unwrap();
    let signed_in: Vec<_> = sent
        .iter()
        .filter(|call| call.authorization.is_some())
        .map(|call| call.line.as_str())
        .collect();
    assert_eq!(signed_in, [LINE]);
}

#[tokio::test(start_paused = true)]
async fn a_fresh_token_without_the_right_is_not_fetched_again() {
    let (transport, sent) = transport(|call, _| {
        token_service(call, "[]").unwrap_or_else(|| challenge(r#",error="insufficient_scope""#))
    });
    let answer = pipeline(transport, entra()).send(get(PATH, Some(read()))).await.unwrap();
    assert_eq!(response::into_error(answer).await.kind(), ErrorKind::Forbidden);
    assert_eq!(sent.lock().unwrap().len(), 3, "exchange, token, the call itself");
}

#[tokio::test(start_paused = true)]
async fn all_attempts_of_a_call_sign_in_anew_twice_at_most() {
    // Each attempt meets a 401 first and a 503 after it.
    let (transport, sent) = transport(|call, earlier| {
        token_service(call, r#""opaque""#).unwrap_or_else(|| match earlier % 2 {
            0 => challenge(""),
            _ => http::Response::builder().status(503).body(Body::empty()).unwrap(),
        })
    });
    let pipeline = acr_core::Pipeline::builder(endpoint())
        .transport(transport)
        .retry(RetryPolicy::default().retries(5))
        .layer_per_hop(acr_auth::AuthLayer::new(&endpoint(), entra()))
        .build()
        .unwrap();
    let answer = pipeline.send(get(PATH, Some(read()))).await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(count(&sent, LINE), 5, "two attempts of two requests, and one that gives up");
}

#[tokio::test(start_paused = true)]
async fn token_answers_of_any_size_and_shape_are_errors_without_their_text() {
    let huge = format!(r#"{{"access_token":"{}"}}"#, "canary".repeat(200_000));
    for (answer, kind) in [
        (huge, ErrorKind::TooLarge),
        ("[".repeat(60_000), ErrorKind::Protocol),
        (r#"{"access_token":"canary\u0000"}"#.to_owned(), ErrorKind::Protocol),
        (r#"{"access_token":["canary"]}"#.to_owned(), ErrorKind::Protocol),
        ("<html>canary</html>".to_owned(), ErrorKind::Protocol),
        (String::new(), ErrorKind::Protocol),
    ] {
        let (transport, sent) = transport(move |call, _| match call.line.as_str() {
            "POST /oauth2/token" => ok(answer.clone()),
            _ => token_service(call, "[]").unwrap(),
        });
        let error = pipeline(transport, entra()).send(get(PATH, Some(read()))).await.unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(!format!("{error} {error:?}").contains("canary"));
        assert_eq!(count(&sent, LINE), 0, "nothing is sent without a token");
    }
}

#[tokio::test(start_paused = true)]
async fn a_huge_challenge_is_not_read_and_not_quoted() {
    let (transport, _) = transport(|call, _| {
        token_service(call, r#""opaque""#).unwrap_or_else(|| {
            challenge(&format!(r#",scope="{}""#, "repository:canary:pull ".repeat(1_000)))
        })
    });
    let answer = pipeline(transport, entra()).send(get(PATH, Some(read()))).await.unwrap();
    let error = response::into_error(answer).await;
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert!(!format!("{error} {error:?}").contains("canary"));
}

#[tokio::test(start_paused = true)]
async fn a_write_that_cannot_be_sent_twice_gets_its_401_and_is_not_sent_empty() {
    let (transport, sent) =
        transport(|call, _| token_service(call, r#""opaque""#).unwrap_or_else(|| challenge("")));
    let body = http_body_util::Full::new(bytes::Bytes::from_static(b"once"));
    let mut request: Request = get(PATH, Some(read())).map(|_| Body::stream(body));
    *request.method_mut() = http::Method::PUT;
    let answer = pipeline(transport, entra()).send(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    let sent = sent.lock().unwrap();
    let puts: Vec<_> = sent.iter().filter(|call| call.line.starts_with("PUT")).collect();
    assert_eq!(puts.iter().map(|call| call.body.as_str()).collect::<Vec<_>>(), ["once"]);
}
