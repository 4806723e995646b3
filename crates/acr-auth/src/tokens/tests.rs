//! Which tokens are used after the machine slept, or its clock was set.

use std::sync::atomic::{AtomicUsize, Ordering};

use acr_core::{
    Transport,
    http::{Body, Request},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use tower::service_fn;

use super::*;
use crate::{clock::tests::Manual, credential::credential_fn};

/// A registry whose tokens say how long they live, with or without the time of issue; the
/// counts are of exchanges and token calls.
fn registry(clock: &Clock, has_issued: bool) -> (Transport, Arc<[AtomicUsize; 2]>) {
    let counts: Arc<[AtomicUsize; 2]> = Arc::default();
    let (calls, clock) = (Arc::clone(&counts), clock.clone());
    let transport = Transport::new(service_fn(move |request: Request| {
        let (at, field, life) = match request.uri().path() {
            "/oauth2/exchange" => (0, "refresh_token", 11_700),
            _ => (1, "access_token", 4_500),
        };
        calls[at].fetch_add(1, Ordering::Relaxed);
        let now = clock.now().wall.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let issued = if has_issued { format!(r#""iat":{now},"#) } else { String::new() };
        let claims = format!(r#"{{{issued}"exp":{}}}"#, now + life);
        let token = format!("e30.{}.s", URL_SAFE_NO_PAD.encode(claims));
        let body = Body::from(format!(r#"{{"{field}":"{token}"}}"#));
        async move { Ok::<_, Error>(http::Response::new(body)) }
    }));
    (transport, counts)
}

#[tokio::test]
async fn b2_after_a_sleep_of_the_machine_no_dead_token_is_used() {
    for has_issued in [true, false] {
        for is_entra in [true, false] {
            let (clock, hand) = Manual::clock();
            let (transport, counts) = registry(&clock, has_issued);
            let wall = clock.clone();
            let source = credential_fn(move |_| {
                let token = AccessToken::new("e", wall.now().wall + Duration::from_secs(3_600));
                async move { Ok(token) }
            });
            let credential = match is_entra {
                true => Credential::entra(source),
                false => Credential::password("me", "secret"),
            };
            let endpoint = "reg.azurecr.io".parse().unwrap();
            let tokens = Tokens::new(endpoint, credential, "a".to_owned(), Vec::new(), clock);
            let calls = async || {
                let caller = Caller { service: &transport, request_id: None, options: None };
                let scope = Scope::catalog();
                Box::pin(tokens.find(&caller, &scope, Reuse::Supersets)).await.unwrap();
                [0, 1].map(|at| counts[at].load(Ordering::Relaxed))
            };
            let exchanges = |n: usize| if is_entra { n } else { 0 };
            assert_eq!(calls().await, [exchanges(1), 1]);
            hand.suspend(Duration::from_secs(4_000));
            assert_eq!(calls().await, [exchanges(1), 1], "still fresh");
            hand.suspend(Duration::from_secs(500));
            assert_eq!(calls().await, [exchanges(1), 2], "the access token is dead");
            hand.suspend(Duration::from_secs(7_200));
            assert_eq!(calls().await, [exchanges(2), 3], "both are");
            hand.set_back(Duration::from_secs(86_400));
            assert_eq!(calls().await, [exchanges(2), 3], "a clock set back kills nothing");
            hand.advance(Duration::from_secs(4_500));
            assert_eq!(calls().await, [exchanges(2), 4], "nor does it give life");
        }
    }
}
