//! Tokens that the registry takes no more, and rights that were granted meanwhile.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use acr_auth::{
    AccessToken, AuthLayer, BoxFuture, Credential, TokenCredential, TokenRequest, credential_fn,
};
use acr_core::{
    Action, ErrorKind, Pipeline, Scope,
    http::{BoxError, Response},
};

use crate::support::{self, Sent, count, endpoint, entra, get, jwt, ok, token_service, transport};

const EXCHANGE: &str = "POST /oauth2/exchange";
const TOKEN: &str = "POST /oauth2/token";

fn answer(status: u16, body: &str) -> Response {
    let mut answer = ok(body);
    *answer.status_mut() = status.try_into().unwrap();
    answer
}

fn pull(name: &str) -> Scope {
    Scope::repository(&name.parse().unwrap(), &[Action::PULL])
}

/// What services say of a token that serves no more.
const REFUSALS: [(u16, &str); 6] = [
    (400, r#"{"error":"invalid_grant"}"#),
    (400, r#"{"errors":[{"code":"UNAUTHORIZED","message":"invalid refresh token"}]}"#),
    (401, r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#),
    (401, ""),
    (403, r#"{"errors":[{"code":"DENIED","message":"token is revoked"}]}"#),
    (403, "<html>"),
];

#[tokio::test(start_paused = true)]
async fn b4_a_refresh_token_refused_in_any_words_is_exchanged_anew_once() {
    for (status, body) in REFUSALS {
        for times in [1, 100] {
            let (transport, sent) = transport(move |call, earlier| {
                // The first token call is good, the ones after it are not.
                if call.line == TOKEN && (1..=times).contains(&earlier) {
                    return answer(status, body);
                }
                token_service(call, "[]").unwrap_or_else(|| ok("{}"))
            });
            let pipeline = support::pipeline(transport, entra());
            pipeline.send(get("/v2/", Some(pull("one")))).await.unwrap();
            let second = pipeline.send(get("/v2/", Some(pull("two")))).await;
            assert_eq!(second.is_ok(), times == 1, "{status} {body}: {second:?}");
            assert_eq!((count(&sent, EXCHANGE), count(&sent, TOKEN)), (2, 3), "{status} {body}");
        }
    }
}

/// A registry that knows the role only of refresh tokens that were fetched after it was
/// granted, and says so with this status and challenge.
fn roles(status: u16, granted: Arc<AtomicUsize>) -> (acr_core::Transport, Sent) {
    transport(move |call, earlier| match call.line.as_str() {
        EXCHANGE => {
            let name = if granted.load(Ordering::Relaxed) > 0 { "with" } else { "without" };
            ok(format!(r#"{{"refresh_token":"{name}-{earlier}"}}"#))
        }
        TOKEN => {
            let access = match call.body.contains("=with-") {
                true => r#"[{"type":"repository","name":"a","actions":["pull"]}]"#,
                false => "[]",
            };
            let payload = format!(r#"{{"iat":1,"exp":4501,"access":{access},"n":{earlier}}}"#);
            ok(format!(r#"{{"access_token":"{}"}}"#, jwt(&payload)))
        }
        _ => {
            let bearer = call.authorization.as_deref().unwrap();
            let payload = bearer.split('.').nth(1).unwrap();
            use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
            let claims = String::from_utf8(URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
            match claims.contains("pull") {
                true => ok("{}"),
                false if status == 401 => support::challenge(r#",error="insufficient_scope""#),
                false => answer(status, r#"{"errors":[{"code":"DENIED","message":"no"}]}"#),
            }
        }
    })
}

#[tokio::test(start_paused = true)]
async fn b4_a_role_granted_meanwhile_is_seen_once_the_refresh_token_is_a_minute_old() {
    for status in [401, 403] {
        for is_warm in [true, false] {
            let granted = Arc::new(AtomicUsize::new(0));
            let (transport, sent) = roles(status, Arc::clone(&granted));
            let pipeline = support::pipeline(transport, entra());
            let send = |name: &'static str| pipeline.send(get("/v2/a/x", Some(pull(name))));
            // What was asked for before: this scope, or another one.
            assert_eq!(send(if is_warm { "a" } else { "b" }).await.unwrap().status(), status);
            granted.store(1, Ordering::Relaxed);
            assert_eq!(send("a").await.unwrap().status(), status, "younger than a minute");
            assert_eq!(count(&sent, EXCHANGE), 1);
            tokio::time::advance(Duration::from_secs(62)).await;
            assert_eq!(send("a").await.unwrap().status(), 200, "{status}");
            assert_eq!(count(&sent, EXCHANGE), 2);
            let calls = sent.lock().unwrap().len();
            assert_eq!(send("a").await.unwrap().status(), 200);
            assert_eq!(sent.lock().unwrap().len(), calls + 1, "and it is kept");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn b4_rights_that_stay_missing_cost_one_exchange_a_minute_for_any_number_of_callers() {
    for status in [401, 403] {
        let (transport, sent) = roles(status, Arc::new(AtomicUsize::new(0)));
        let pipeline = support::pipeline(transport, entra());
        let refused = async |n: usize| {
            let calls = (0..n).map(|_| pipeline.send(get("/v2/a/x", Some(pull("a")))));
            for answer in futures_util::future::join_all(calls).await {
                let error = acr_core::http::response::into_error(answer.unwrap()).await;
                assert_eq!(error.kind(), ErrorKind::Forbidden);
            }
        };
        refused(1).await;
        tokio::time::advance(Duration::from_secs(61)).await;
        refused(100).await;
        assert_eq!(count(&sent, EXCHANGE), 2, "{status}");
        for _ in 0..20 {
            tokio::time::advance(Duration::from_secs(2)).await;
            refused(1).await;
        }
        assert_eq!(count(&sent, EXCHANGE), 2, "{status}");
    }
}

/// A source that keeps its token until it is told that it is dead.
#[derive(Debug, Default)]
struct Keeping {
    dropped: Mutex<Vec<String>>,
    kept: Mutex<Option<String>>,
    fetched: AtomicUsize,
}

impl TokenCredential for Shared {
    fn get_token<'a>(
        &'a self,
        _: TokenRequest<'a>,
    ) -> BoxFuture<'a, Result<AccessToken, BoxError>> {
        let source = &self.0;
        let mut kept = source.kept.lock().unwrap();
        let token = kept.get_or_insert_with(|| {
            format!("entra-{}", source.fetched.fetch_add(1, Ordering::Relaxed))
        });
        let token = AccessToken::new(token.clone(), SystemTime::now() + Duration::from_secs(3600));
        Box::pin(async move { Ok(token) })
    }

    fn refused(&self, token: &AccessToken) {
        let source = &self.0;
        let token = token.token().expose().to_owned();
        source.kept.lock().unwrap().take_if(|kept| *kept == token);
        source.dropped.lock().unwrap().push(token);
    }
}

/// The same, for the layer and for the test.
#[derive(Clone, Debug, Default)]
struct Shared(Arc<Keeping>);

#[tokio::test(start_paused = true)]
async fn b2_an_entra_token_that_the_registry_refuses_is_dropped_by_value_and_asked_again_once() {
    for (status, body) in REFUSALS {
        for is_dead_for_ever in [false, true] {
            let (transport, sent) = transport(move |call, _| {
                let is_dead = is_dead_for_ever || call.body.contains("entra-0");
                if call.line == EXCHANGE && is_dead {
                    return answer(status, body);
                }
                token_service(call, "[]").unwrap_or_else(|| ok("{}"))
            });
            let source = Shared::default();
            let pipeline = support::pipeline(transport, Credential::entra(source.clone()));
            let result = pipeline.send(get("/v2/", Some(pull("a")))).await;
            assert_eq!(result.is_err(), is_dead_for_ever, "{status} {body}");
            assert_eq!(count(&sent, EXCHANGE), 2, "{status} {body}");
            assert_eq!(*source.0.dropped.lock().unwrap(), ["entra-0"], "{status} {body}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn b2_a_source_that_gives_the_same_token_again_is_believed() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count_asked = Arc::clone(&asked);
    let source = credential_fn(move |_| {
        count_asked.fetch_add(1, Ordering::Relaxed);
        async { Ok(AccessToken::new("same", SystemTime::now() + Duration::from_secs(3600))) }
    });
    let (transport, sent) = transport(|call, _| match call.line.as_str() {
        EXCHANGE => answer(401, ""),
        _ => ok("{}"),
    });
    let pipeline = support::pipeline(transport, Credential::entra(source));
    let error = pipeline.send(get("/v2/", Some(pull("a")))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert_eq!((asked.load(Ordering::Relaxed), count(&sent, EXCHANGE)), (2, 1));
}

#[cfg(feature = "azure-core")]
#[tokio::test(start_paused = true)]
async fn b2_a_credential_of_the_azure_sdk_is_asked_again_too() {
    use azure_core::credentials::{AccessToken as AzureToken, TokenRequestOptions};
    type Answer<'a> =
        std::pin::Pin<Box<dyn Future<Output = azure_core::Result<AzureToken>> + Send + 'a>>;

    #[derive(Debug, Default)]
    struct Sdk(AtomicUsize);

    impl azure_core::credentials::TokenCredential for Sdk {
        fn get_token<'a, 'b, 'c, 'd, 'e>(
            &'a self,
            _: &'b [&'c str],
            _: Option<TokenRequestOptions<'d>>,
        ) -> Answer<'e>
        where
            'a: 'e,
            'b: 'e,
            'c: 'e,
            'd: 'e,
            Self: 'e,
        {
            let token = format!("entra-{}", self.0.fetch_add(1, Ordering::Relaxed));
            let expires = (SystemTime::now() + Duration::from_secs(3600)).into();
            Box::pin(async move { Ok(AzureToken::new(token, expires)) })
        }
    }

    let (transport, sent) = transport(|call, _| match call.line.as_str() {
        EXCHANGE if call.body.contains("entra-0") => answer(401, ""),
        _ => token_service(call, "[]").unwrap_or_else(|| ok("{}")),
    });
    let pipeline = support::pipeline(transport, Credential::azure_core(Arc::new(Sdk::default())));
    pipeline.send(get("/v2/", Some(pull("a")))).await.unwrap();
    assert_eq!(count(&sent, EXCHANGE), 2);
}

#[tokio::test(start_paused = true)]
async fn d4_debug_prints_nothing_of_a_callers_source() {
    #[derive(Debug)]
    struct Talkative(#[expect(dead_code, reason = "printed by Debug")] &'static str);
    impl TokenCredential for Talkative {
        fn get_token<'a>(
            &'a self,
            _: TokenRequest<'a>,
        ) -> BoxFuture<'a, Result<AccessToken, BoxError>> {
            Box::pin(async { Err("none".into()) })
        }
    }
    let credential = Credential::entra(Talkative("canary"));
    let layer = AuthLayer::new(&endpoint(), credential.clone());
    let service = tower::Layer::layer(&layer, transport(|_, _| ok("")).0);
    let builder = Pipeline::builder(endpoint()).layer_per_hop(layer.clone());
    let shown = format!("{credential:?} {layer:?} {layer:#?} {service:?} {builder:?}");
    assert!(!shown.contains("canary"), "{shown}");
    let password = Credential::password("me", "canary");
    let shown = format!("{password:?} {:?}", AuthLayer::new(&endpoint(), password.clone()));
    assert!(!shown.contains("canary"), "{shown}");
}
