//! Every sign-in defect of the official SDKs (Go, Python, JavaScript, Java, .NET), by name:
//! ours does not have it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop at the first surprise"
)]

mod support;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use acr_auth::{AccessToken, AuthLayer, Credential, credential_fn};
use acr_core::{
    Action, Endpoint, ErrorKind, Pipeline, RepositoryName, Scope,
    http::{Body, Request},
};
use bytes::Bytes;
use futures_util::stream;
use http::Method;
use http_body::Frame;
use http_body_util::{Full, StreamBody};
use support::{
    challenge, count, endpoint, entra, get, ok, pipeline, scopes, token_service, transport,
};

const PATH: &str = "/v2/library/app/manifests/v1";
const LINE: &str = "GET /v2/library/app/manifests/v1";

fn on(name: &str, action: Action) -> Scope {
    let name: RepositoryName = name.parse().unwrap();
    Scope::repository(&name, &[action])
}

fn pull() -> Scope {
    on("library/app", Action::PULL)
}

/// Payloads with `-` and `_` and every padding class (protocol §14.5); `exp` 1700011700.
fn awkward_tokens() -> [String; 4] {
    let head = "eyJpc3MiOiJBenVyZSBDb250YWluZXIgUmVnaXN0cnkiLCJhdWQiOiJteXJlZy5henVyZWNyLmlvIiwiZXhwIjoxNzAwMDExNzAwLCJncmFudF90eXBlIjoicmVmcmVzaF90b2tlbiIsIm5vdGUiOi";
    ["I_PyJ9", "I-Pj4ifQ", "J-fn4_Pz8ifQ", "I_Pj8-In0"].map(|tail| format!("e30.{head}{tail}.s"))
}

#[tokio::test(start_paused = true)]
async fn go_1_python_3_tokens_in_the_url_alphabet_are_read() {
    for token in awkward_tokens() {
        let (refresh, access) = (token.clone(), token);
        let (transport, sent) = transport(move |call, _| match call.line.as_str() {
            "POST /oauth2/exchange" => ok(format!(r#"{{"refresh_token":"{refresh}"}}"#)),
            "POST /oauth2/token" => ok(format!(r#"{{"access_token":"{access}"}}"#)),
            _ => ok("{}"),
        });
        let pipeline = pipeline(transport, entra());
        for _ in 0..3 {
            assert_eq!(pipeline.send(get(PATH, Some(pull()))).await.unwrap().status(), 200);
        }
        assert_eq!(sent.lock().unwrap().len(), 5);
    }
}

#[tokio::test(start_paused = true)]
async fn go_2_python_4_challenges_with_blanks_bare_values_and_nothing_are_read() {
    for (parameters, asked) in [
        (r#" , scope = "repository:library/app:pull" "#, "repository:library/app:pull"),
        (", scope=repository:library/app:pull", "repository:library/app:pull"),
        (r#",scope="repository:a=b:pull""#, "repository:a=b:pull"),
        ("", ""),
    ] {
        let (transport, sent) = transport(move |call, _| {
            token_service(call, "[]").unwrap_or_else(|| match &call.authorization {
                Some(_) => ok("{}"),
                None => challenge(parameters),
            })
        });
        let answer = pipeline(transport, entra()).send(get(PATH, None)).await.unwrap();
        assert_eq!(answer.status(), 200, "{parameters}");
        assert_eq!(scopes(&sent), [asked]);
    }
}

#[tokio::test(start_paused = true)]
async fn go_3_the_first_request_is_sent_with_its_body() {
    // A registry that lets everybody write would take an empty body for the real one.
    for scope in [Some(pull()), None] {
        let (transport, sent) =
            transport(|call, _| token_service(call, "[]").unwrap_or_else(|| ok("{}")));
        let mut request: Request = get(PATH, scope).map(|_| Body::from("content"));
        *request.method_mut() = Method::PUT;
        pipeline(transport, entra()).send(request).await.unwrap();
        let sent = sent.lock().unwrap();
        let puts: Vec<_> = sent.iter().filter(|call| call.line.starts_with("PUT")).collect();
        assert_eq!(puts.len(), 1);
        assert_eq!(puts[0].body, "content");
    }
}

#[tokio::test(start_paused = true)]
async fn go_4_javascript_2_python_2_each_scope_has_its_own_cached_token() {
    let (transport, sent) =
        transport(|call, _| token_service(call, r#""opaque""#).unwrap_or_else(|| ok("{}")));
    let pipeline = pipeline(transport, entra());
    for _ in 0..2 {
        for n in 0..100 {
            let name = format!("library/app{n}");
            let request = get(&format!("/acr/v1/{name}"), Some(on(&name, Action::METADATA_READ)));
            assert_eq!(pipeline.send(request).await.unwrap().status(), 200);
        }
    }
    assert_eq!(count(&sent, "POST /oauth2/token"), 100);
    assert_eq!(count(&sent, "POST /oauth2/exchange"), 1);
    assert_eq!(sent.lock().unwrap().len(), 301, "200 calls, none of them challenged");
}

#[tokio::test(start_paused = true)]
async fn go_5_a_refresh_token_that_is_refused_is_dropped() {
    let (transport, sent) = transport(|call, earlier| match (call.line.as_str(), earlier) {
        ("POST /oauth2/exchange", n) => ok(format!(r#"{{"refresh_token":"r{n}"}}"#)),
        ("POST /oauth2/token", _) if call.body.ends_with("refresh_token=r0") && earlier > 0 => {
            challenge("")
        }
        ("POST /oauth2/token", _) => ok(r#"{"access_token":"a"}"#),
        _ => ok("{}"),
    });
    let pipeline = pipeline(transport, entra());
    for name in ["one", "two", "three"] {
        let request = get(PATH, Some(on(name, Action::PULL)));
        assert_eq!(pipeline.send(request).await.unwrap().status(), 200);
    }
    assert_eq!(count(&sent, "POST /oauth2/exchange"), 2, "anew once, and the new one is kept");
    assert_eq!(count(&sent, "POST /oauth2/token"), 4);
}

#[tokio::test(start_paused = true)]
async fn go_6_the_body_of_a_401_is_read_so_that_its_connection_is_used_again() {
    let is_read = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&is_read);
    let (transport, _) = transport(move |call, earlier| {
        token_service(call, r#""opaque""#).unwrap_or_else(|| match earlier {
            0 => {
                let flag = Arc::clone(&flag);
                let end = stream::once(async move {
                    flag.store(true, Ordering::Relaxed);
                    Ok::<_, acr_core::Error>(Frame::data(Bytes::from_static(b"last piece")))
                });
                challenge("").map(|_| Body::stream(StreamBody::new(Box::pin(end))))
            }
            _ => {
                assert!(flag.load(Ordering::Relaxed), "the answer was dropped unread");
                ok("{}")
            }
        })
    });
    let answer = pipeline(transport, entra()).send(get(PATH, Some(pull()))).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(is_read.load(Ordering::Relaxed));
}

#[tokio::test]
async fn go_15_no_entra_token_goes_over_plain_http() {
    let endpoint = Endpoint::insecure_loopback("127.0.0.1:9".parse().unwrap()).unwrap();
    let (transport, sent) = transport(|_, _| ok("{}"));
    let auth = AuthLayer::new(&endpoint, entra()).trust_entra_for("127.0.0.1");
    let pipeline = Pipeline::builder(endpoint.clone())
        .transport(transport)
        .layer_per_hop(auth)
        .build()
        .unwrap();
    let request = acr_core::http::RequestBuilder::new(Method::GET, &endpoint, &["v2", ""]);
    let error = pipeline.send(request.scope(pull()).build().unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Policy);
    assert!(sent.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn python_1_a_refresh_token_is_kept_while_it_lives_and_replaced_before_it_dies() {
    let (transport, sent) = transport(|call, _| match call.line.as_str() {
        "POST /oauth2/exchange" => {
            let token = support::jwt(r#"{"iat":1000,"exp":12700}"#);
            ok(format!(r#"{{"refresh_token":"{token}"}}"#))
        }
        _ => token_service(call, r#""opaque""#).unwrap_or_else(|| ok("{}")),
    });
    let pipeline = pipeline(transport, entra());
    let mut exchanges = Vec::new();
    // 11,700 seconds of life; access tokens live 4,500.
    for _ in 0..6 {
        assert_eq!(pipeline.send(get(PATH, Some(pull()))).await.unwrap().status(), 200);
        exchanges.push(count(&sent, "POST /oauth2/exchange"));
        tokio::time::advance(Duration::from_secs(4_500)).await;
    }
    assert_eq!(exchanges, [1, 1, 1, 2, 2, 2]);
    assert_eq!(count(&sent, LINE), 6, "never challenged");
}

#[tokio::test(start_paused = true)]
async fn python_5_a_body_that_cannot_be_sent_twice_is_sent_with_its_token() {
    let (transport, sent) =
        transport(|call, _| token_service(call, "[]").unwrap_or_else(|| ok("{}")));
    let body = Body::stream(Full::new(Bytes::from_static(b"once")));
    let mut request: Request = get(PATH, Some(pull())).map(|_| body);
    *request.method_mut() = Method::PATCH;
    assert_eq!(pipeline(transport, entra()).send(request).await.unwrap().status(), 200);
    let sent = sent.lock().unwrap();
    let last = sent.last().unwrap();
    assert_eq!((sent.len(), last.body.as_str()), (3, "once"));
    assert!(last.authorization.is_some());
}

#[tokio::test(start_paused = true)]
async fn python_17_java_the_audience_is_the_registries_and_never_arm_by_itself() {
    for (audience, scope) in [
        (None, "https://containerregistry.azure.net/.default"),
        (Some("https://management.azure.com"), "https://management.azure.com/.default"),
    ] {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let note = Arc::clone(&asked);
        let source = credential_fn(move |scopes| {
            note.lock().unwrap().extend(scopes);
            let expires = std::time::SystemTime::now() + Duration::from_secs(3600);
            async move { Ok(AccessToken::new("entra", expires)) }
        });
        let (transport, _) =
            transport(|call, _| token_service(call, "[]").unwrap_or_else(|| ok("{}")));
        let mut auth = AuthLayer::new(&endpoint(), Credential::entra(source));
        if let Some(audience) = audience {
            auth = auth.audience(audience);
        }
        let builder = Pipeline::builder(endpoint()).transport(transport);
        let pipeline = builder.layer_per_hop(auth).build().unwrap();
        pipeline.send(get(PATH, Some(pull()))).await.unwrap();
        assert_eq!(*asked.lock().unwrap(), [scope]);
    }
}

#[tokio::test(start_paused = true)]
async fn all_sdks_a_dead_token_in_the_cache_costs_one_repetition_and_not_one_per_call() {
    // .NET, Python: no access-token cache at all; the others: one slot.
    let (transport, sent) = transport(|call, earlier| {
        token_service(call, r#""opaque""#).unwrap_or_else(|| match earlier {
            5 => challenge(r#",error="invalid_token""#),
            _ => ok("{}"),
        })
    });
    let pipeline = pipeline(transport, entra());
    for _ in 0..10 {
        assert_eq!(pipeline.send(get(PATH, Some(pull()))).await.unwrap().status(), 200);
    }
    assert_eq!(count(&sent, LINE), 11);
    assert_eq!(count(&sent, "POST /oauth2/token"), 2);
}
