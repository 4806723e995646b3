//! Which scopes are remembered, and whose token answers for them.

use std::sync::atomic::{AtomicUsize, Ordering};

use acr_core::{
    Transport,
    http::{Body, Request},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::StatusCode;
use tower::service_fn;

use super::*;
use crate::{clock::tests::Manual, credential::credential_fn};

fn tokens(credential: Credential) -> Tokens {
    let endpoint = "reg.azurecr.io".parse().unwrap();
    Tokens::new(endpoint, credential, "a".to_owned(), Vec::new(), Manual::clock().0)
}

fn scope(name: &str) -> Scope {
    Scope::parse_lenient(&format!("repository:{name}:pull"))
}

/// A token that lives for an hour.
fn lease(tokens: &Tokens) -> Lease<Access> {
    let judged = tokens.clock.now();
    let bearer = HeaderValue::from_static("Bearer t");
    let access =
        Access { bearer, granted: None, nobody: None, refresh: None, sought: None, judged };
    Lease::new(access, judged, Duration::from_secs(3_600), 0.0)
}

async fn find(
    tokens: &Tokens,
    service: &Transport,
    name: &str,
    reuse: Reuse,
) -> Result<Arc<Access>> {
    let caller = Caller { service, request_id: None, options: None };
    let found = Box::pin(tokens.find(&caller, &scope(name), reuse)).await;
    found.map(|found| found.token)
}

/// A registry whose exchange answers with this status and whose tokens permit to read `a` and
/// `b`, and how many requests it got.
fn registry(exchange: StatusCode) -> (Transport, Arc<AtomicUsize>) {
    let count: Arc<AtomicUsize> = Arc::default();
    let calls = Arc::clone(&count);
    let transport = Transport::new(service_fn(move |request: Request| {
        calls.fetch_add(1, Ordering::Relaxed);
        let right =
            |name: &str| format!(r#"{{"type":"repository","name":"{name}","actions":["pull"]}}"#);
        let claims = format!(r#"{{"iat":1,"exp":3601,"access":[{},{}]}}"#, right("a"), right("b"));
        let token = format!("e30.{}.s", URL_SAFE_NO_PAD.encode(claims));
        let is_exchange = request.uri().path() == "/oauth2/exchange";
        let status = if is_exchange { exchange } else { StatusCode::OK };
        let body = Body::from(format!(r#"{{"refresh_token":"r","access_token":"{token}"}}"#));
        let answer = http::Response::builder().status(status).body(body).unwrap();
        async move { Ok::<_, Error>(answer) }
    }));
    (transport, count)
}

#[tokio::test]
async fn a_token_for_another_scope_answers_unless_it_must_be_the_own_one() {
    let (registry, calls) = registry(StatusCode::OK);
    let tokens = tokens(Credential::anonymous());
    let first = find(&tokens, &registry, "a", Reuse::Supersets).await.unwrap();
    let own = find(&tokens, &registry, "b", Reuse::Exact).await.unwrap();
    assert!(!Arc::ptr_eq(&first, &own));
    // The own one is not replaced by what another was asked for.
    let again = find(&tokens, &registry, "b", Reuse::Supersets).await.unwrap();
    assert!(Arc::ptr_eq(&own, &again));
    assert_eq!(calls.load(Ordering::Relaxed), 2);
    tokens.invalidate(&own);
    let lent = find(&tokens, &registry, "b", Reuse::Supersets).await.unwrap();
    assert!(Arc::ptr_eq(&first, &lent));
    assert_eq!(calls.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn only_a_refused_entra_token_is_asked_for_anew() {
    for (status, times) in [
        (StatusCode::UNAUTHORIZED, 2),
        (StatusCode::SERVICE_UNAVAILABLE, 1),
        (StatusCode::TOO_MANY_REQUESTS, 1),
    ] {
        let (registry, calls) = registry(status);
        let asked: Arc<AtomicUsize> = Arc::default();
        let count = Arc::clone(&asked);
        let source = credential_fn(move |_| {
            let number = count.fetch_add(1, Ordering::Relaxed);
            let ends = std::time::SystemTime::now() + Duration::from_secs(3_600);
            let token = AccessToken::new(format!("e{number}"), ends);
            async move { Ok(token) }
        });
        let tokens = tokens(Credential::entra(source));
        assert!(find(&tokens, &registry, "a", Reuse::Supersets).await.is_err());
        assert_eq!(asked.load(Ordering::Relaxed), times, "{status}");
        assert_eq!(calls.load(Ordering::Relaxed), times, "{status}");
    }
}

#[test]
fn scopes_are_forgotten_only_when_there_are_too_many() {
    let tokens = tokens(Credential::anonymous());
    let kept = |tokens: &Tokens| tokens.entries().len();
    for n in 0..MAX_SCOPES {
        tokens.entry(&scope(&format!("r{n}")));
        assert_eq!(kept(&tokens), n + 1);
    }
    tokens.entry(&scope("r0"));
    assert_eq!(kept(&tokens), MAX_SCOPES, "it is known already");
    tokens.entry(&scope("new"));
    assert_eq!(kept(&tokens), 1, "none has a token");
}

#[test]
fn scopes_with_a_token_are_forgotten_last_and_those_in_use_never() {
    for is_each_alive in [false, true] {
        let tokens = tokens(Credential::anonymous());
        let used = tokens.entry(&scope("used"));
        for n in 1..MAX_SCOPES {
            let entry = tokens.entry(&scope(&format!("r{n}")));
            if is_each_alive || n == 1 {
                entry.slot.lend(lease(&tokens));
            }
        }
        tokens.entry(&scope("new"));
        assert!(Arc::ptr_eq(&used, &tokens.entry(&scope("used"))));
        let has_first = tokens.entries().contains_key(&scope("r1"));
        assert_eq!(has_first, !is_each_alive);
        assert_eq!(tokens.entries().len(), if is_each_alive { 2 } else { 3 });
    }
}

#[test]
fn debug_tells_the_registry_and_no_token() {
    let tokens = tokens(Credential::password("me", "secret"));
    let text = format!("{tokens:?}");
    assert!(text.starts_with("Tokens { endpoint: ") && text.contains("reg.azurecr.io"), "{text}");
    assert!(!text.contains("secret"), "{text}");
}
