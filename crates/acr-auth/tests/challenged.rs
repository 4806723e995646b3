//! What a challenge teaches: rights that are missing, actions that complete a scope, and
//! everything for requests that do not say what they need.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may stop at the first surprise")]

mod support;

use acr_core::{
    Action, ErrorKind, MissingRights, RepositoryName, Scope,
    http::{Body, Request, response},
};
use http::{Method, StatusCode};
use support::{challenge, count, entra, get, ok, pipeline, scopes, token_service, transport};

const PATH: &str = "/v2/library/app/manifests/v1";
const LINE: &str = "GET /v2/library/app/manifests/v1";

fn pull() -> Scope {
    let name: RepositoryName = "library/app".parse().unwrap();
    Scope::repository(&name, &[Action::PULL])
}

#[tokio::test(start_paused = true)]
async fn a_missing_right_is_named_with_those_that_are_there() {
    let have = r#"[{"type":"repository","name":"library/app","actions":["pull"]}]"#;
    let (transport, _) = transport(move |call, _| {
        token_service(call, have).unwrap_or_else(|| challenge(r#",error="insufficient_scope""#))
    });
    let name: RepositoryName = "library/app".parse().unwrap();
    let need = Scope::repository(&name, &[Action::METADATA_READ]);
    let answer = pipeline(transport, entra()).send(get(PATH, Some(need.clone()))).await.unwrap();
    let missing = answer.extensions().get::<MissingRights>().unwrap();
    assert_eq!((missing.need(), missing.have()), (&need, Some(&pull())));
    let error = response::into_error(answer).await;
    assert_eq!(
        (error.kind(), error.status()),
        (ErrorKind::Forbidden, Some(StatusCode::UNAUTHORIZED))
    );
    let text = error.to_string();
    assert!(text.contains("have `pull`, need `metadata_read` on `library/app`"), "{text}");
    assert!(text.contains("authentication required"), "the registry's words stay: {text}");
}

#[tokio::test(start_paused = true)]
async fn a_challenge_completes_the_scope_once_and_for_all() {
    // A registry that wants `metadata_read` beside `pull`.
    let (transport, sent) = transport(|call, _| {
        let grants = |scope: &str| call.body.contains(scope);
        let access = match grants("metadata_read%2Cpull") {
            true => {
                r#"[{"type":"repository","name":"library/app","actions":["metadata_read","pull"]}]"#
            }
            false => r#"[{"type":"repository","name":"library/app","actions":["pull"]}]"#,
        };
        token_service(call, access).unwrap_or_else(|| {
            let both = support::jwt(r#"{"iat":1,"exp":4501,"access":[{"type":"repository","name":"library/app","actions":["metadata_read","pull"]}]}"#);
            match call.authorization == Some(format!("Bearer {both}")) {
                true => ok("{}"),
                false => challenge(r#",scope="repository:library/app:pull,metadata_read",error="insufficient_scope""#),
            }
        })
    });
    let pipeline = pipeline(transport, entra());
    for _ in 0..3 {
        assert_eq!(pipeline.send(get(PATH, Some(pull()))).await.unwrap().status(), 200);
    }
    assert_eq!(
        scopes(&sent),
        ["repository:library/app:pull", "repository:library/app:metadata_read,pull"]
    );
    assert_eq!(count(&sent, LINE), 4, "challenged once, never again");
}

#[tokio::test(start_paused = true)]
async fn a_token_with_more_rights_answers_for_fewer() {
    let all = r#"[{"type":"repository","name":"library/app","actions":["push","pull"]}]"#;
    let (transport, sent) =
        transport(move |call, _| token_service(call, all).unwrap_or_else(|| ok("{}")));
    let pipeline = pipeline(transport, entra());
    let name: RepositoryName = "library/app".parse().unwrap();
    let push = Scope::repository(&name, &[Action::PULL, Action::PUSH]);
    for scope in [push, pull(), Scope::empty()] {
        assert_eq!(pipeline.send(get(PATH, Some(scope))).await.unwrap().status(), 200);
    }
    assert_eq!(scopes(&sent), ["repository:library/app:pull,push"]);
    let other = Scope::repository(&"other".parse().unwrap(), &[Action::PULL]);
    pipeline.send(get("/v2/other/manifests/v1", Some(other))).await.unwrap();
    assert_eq!(scopes(&sent).len(), 2, "another repository is another matter");
}

#[tokio::test(start_paused = true)]
async fn a_refused_superset_is_not_tried_again() {
    let all = r#"[{"type":"repository","name":"library/app","actions":["push","pull"]}]"#;
    let (transport, sent) = transport(move |call, earlier| {
        token_service(call, all).unwrap_or_else(|| match earlier {
            1 => challenge(""),
            _ => ok("{}"),
        })
    });
    let pipeline = pipeline(transport, entra());
    let name: RepositoryName = "library/app".parse().unwrap();
    let push = Scope::repository(&name, &[Action::PULL, Action::PUSH]);
    for scope in [push, pull()] {
        assert_eq!(pipeline.send(get(PATH, Some(scope))).await.unwrap().status(), 200);
    }
    assert_eq!(scopes(&sent), ["repository:library/app:pull,push", "repository:library/app:pull"]);
}

#[tokio::test(start_paused = true)]
async fn a_request_without_a_scope_gets_what_its_challenge_names() {
    let (transport, sent) = transport(|call, _| {
        token_service(call, r#""opaque""#).unwrap_or_else(|| match &call.authorization {
            Some(_) => ok(call.body.clone()),
            None => challenge(r#",scope="repository:library/app:push,pull""#),
        })
    });
    let pipeline = pipeline(transport, entra());
    let mut request: Request = get(PATH, None).map(|_| Body::from("content"));
    *request.method_mut() = Method::PUT;
    let answer = pipeline.send(request).await.unwrap();
    assert_eq!(answer.into_body().bytes(100).await.unwrap(), "content");
    assert_eq!(scopes(&sent), ["repository:library/app:pull,push"]);
    let lines: Vec<_> = sent.lock().unwrap().iter().map(|call| call.line.clone()).collect();
    let put = "PUT /v2/library/app/manifests/v1";
    assert_eq!(lines, [put, "POST /oauth2/exchange", "POST /oauth2/token", put]);
}

#[tokio::test(start_paused = true)]
async fn a_challenge_without_a_scope_gets_a_token_without_one() {
    let (transport, sent) = transport(|call, _| {
        token_service(call, "[]").unwrap_or_else(|| match &call.authorization {
            Some(_) => ok("{}"),
            None => challenge(""),
        })
    });
    assert_eq!(pipeline(transport, entra()).send(get("/v2/", None)).await.unwrap().status(), 200);
    assert_eq!(scopes(&sent), [""]);
}

#[tokio::test(start_paused = true)]
async fn unscoped_requests_that_are_not_ours_to_answer_keep_their_401() {
    let answer = |call: &support::Call, _: usize| {
        token_service(call, "[]").unwrap_or_else(|| challenge(r#",scope="repository:a:pull""#))
    };
    // Signed in by somebody else.
    let (first, sent) = transport(answer);
    let mut request = get(PATH, None);
    request.headers_mut().insert("authorization", "Basic dTpw".parse().unwrap());
    let got = pipeline(first, entra()).send(request).await.unwrap();
    assert_eq!(got.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(sent.lock().unwrap().len(), 1);
    // Challenged for everything.
    let (second, sent) = transport(|call, _| {
        token_service(call, "[]").unwrap_or_else(|| challenge(r#",scope="repository:*:*""#))
    });
    let error = pipeline(second, entra()).send(get(PATH, None)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Policy);
    assert_eq!(sent.lock().unwrap().len(), 1);
    // Challenged for Basic.
    let (third, sent) = transport(|_, _| {
        let basic = r#"Basic realm="Azure Container Registry""#;
        let response = http::Response::builder().status(401).header("www-authenticate", basic);
        response.body(Body::empty()).unwrap()
    });
    let got = pipeline(third, entra()).send(get(PATH, None)).await.unwrap();
    assert_eq!(got.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(sent.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn token_calls_carry_the_id_of_the_call_they_are_made_for() {
    let (transport, sent) =
        transport(|call, _| token_service(call, "[]").unwrap_or_else(|| ok("{}")));
    pipeline(transport, entra()).send(get(PATH, Some(pull()))).await.unwrap();
    let sent = sent.lock().unwrap();
    let ids: Vec<_> = sent.iter().map(|call| call.request_id.clone().unwrap()).collect();
    assert_eq!(ids.len(), 3);
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}
