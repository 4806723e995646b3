//! Many callers who meet one failure of the token service.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use acr_auth::Credential;
use acr_core::{
    Action, CallOptions, Error, ErrorKind, Pipeline, Scope, Transport,
    http::{Body, Effect, Request},
    layer::{RetryPolicy, Timeouts},
};
use futures_util::future::join_all;
use tower::service_fn;

use crate::support::{self, Call, entra, get, ok, token_service};

#[derive(Clone, Copy, Debug)]
enum Trouble {
    Status(u16),
    Refused,
    /// The connection breaks in the middle of the answer.
    Cut,
}

const TROUBLES: [Trouble; 5] = [
    Trouble::Status(503),
    Trouble::Status(500),
    Trouble::Status(429),
    Trouble::Refused,
    Trouble::Cut,
];

/// A registry whose token service is in trouble for the first so many calls to a path; and
/// how many calls that path got.
fn registry(path: &'static str, trouble: Trouble, times: usize) -> (Transport, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let transport = Transport::new(service_fn(move |request: Request| {
        let uri = request.uri().path().to_owned();
        let is_in_trouble = uri == path && calls.fetch_add(1, Ordering::Relaxed) < times;
        async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            if is_in_trouble {
                return match trouble {
                    Trouble::Status(status) => {
                        let mut answer = ok("");
                        *answer.status_mut() = status.try_into().unwrap();
                        Ok(answer)
                    }
                    Trouble::Refused => Err(Error::new(ErrorKind::Connect, "connection refused")),
                    Trouble::Cut => {
                        let cut = Err::<http_body::Frame<bytes::Bytes>, _>(Error::new(
                            ErrorKind::Transport,
                            "connection reset",
                        ));
                        let frames = futures_util::stream::iter([cut]);
                        Ok(http::Response::new(Body::stream(http_body_util::StreamBody::new(
                            frames,
                        ))))
                    }
                };
            }
            let line = format!("POST {uri}");
            let call = Call { line, authorization: None, request_id: None, body: String::new() };
            Ok::<_, Error>(token_service(&call, "[]").unwrap_or_else(|| ok("{}")))
        }
    }));
    (transport, count)
}

fn scope(n: usize) -> Scope {
    Scope::repository(&format!("app{n}").parse().unwrap(), &[Action::PULL])
}

/// A thousand cold calls at once; how many ended well, and the token calls there were.
async fn thousand(pipeline: &Pipeline, calls: &Arc<AtomicUsize>, scopes: usize) -> (usize, usize) {
    let answers = (0..1_000).map(|n| pipeline.send(get("/v2/", Some(scope(n % scopes)))));
    let answers = join_all(answers).await;
    (answers.iter().filter(|answer| answer.is_ok()).count(), calls.load(Ordering::Relaxed))
}

#[tokio::test(start_paused = true)]
async fn b1_one_failing_token_answer_fails_nobody() {
    for trouble in TROUBLES {
        for path in ["/oauth2/token", "/oauth2/exchange"] {
            let (transport, calls) = registry(path, trouble, 1);
            let pipeline = support::pipeline(transport, entra());
            let (well, calls) = thousand(&pipeline, &calls, 1).await;
            assert_eq!(well, 1_000, "{trouble:?} of {path}");
            assert_eq!(calls, 2, "{trouble:?} of {path}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn b1_one_failing_exchange_fails_nobody_whatever_they_want_to_do() {
    for trouble in [Trouble::Status(503), Trouble::Refused] {
        let (transport, calls) = registry("/oauth2/exchange", trouble, 1);
        let pipeline = support::pipeline(transport, entra());
        let (well, calls) = thousand(&pipeline, &calls, 1_000).await;
        assert_eq!((well, calls), (1_000, 2), "{trouble:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn b1_a_dead_token_service_is_not_hit_harder_than_a_live_one() {
    for trouble in TROUBLES {
        for credential in [entra(), Credential::password("me", "secret")] {
            for scopes in [1, 1_000] {
                let (transport, calls) = registry("/oauth2/token", trouble, usize::MAX);
                let pipeline = support::pipeline(transport, credential.clone());
                let (well, calls) = thousand(&pipeline, &calls, scopes).await;
                assert_eq!(well, 0);
                assert!(calls <= 1_300, "{trouble:?}, {scopes} scopes: {calls} token calls");
            }
        }
        // One after another: the budget runs dry.
        let (transport, calls) = registry("/oauth2/token", trouble, usize::MAX);
        let pipeline = support::pipeline(transport, entra());
        for n in 0..1_000 {
            let error = pipeline.send(get("/v2/", Some(scope(n)))).await.unwrap_err();
            assert!(n > 0 || error.attempts() == 4, "a single caller keeps its attempts");
            assert!(n > 0 || calls.load(Ordering::Relaxed) == 4);
        }
        let calls = calls.load(Ordering::Relaxed);
        assert!(calls <= 1_300, "{trouble:?}: {calls} token calls");
    }
}

/// What a token call carries of the call that needs it.
fn observed(seen: Arc<Mutex<Vec<Option<String>>>>) -> Transport {
    Transport::new(service_fn(move |request: Request| {
        let options = request.extensions().get::<CallOptions>().map(|o| format!("{o:?}"));
        let effect = request.extensions().get::<Effect>().copied();
        let line = format!("{} {}", request.method(), request.uri().path());
        if effect == Some(Effect::Token) {
            seen.lock().unwrap().push(options);
        }
        async move {
            let call = Call { line, authorization: None, request_id: None, body: String::new() };
            Ok::<_, Error>(token_service(&call, "[]").unwrap_or_else(|| ok("{}")))
        }
    }))
}

#[tokio::test(start_paused = true)]
async fn b8_the_options_of_a_call_reach_the_token_calls_it_causes() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let transport = observed(Arc::clone(&seen));
    let options = CallOptions::new()
        .quiet()
        .header("x-own".parse().unwrap(), "value".parse().unwrap())
        .unwrap();
    let pipeline = support::pipeline(transport, entra()).with(options.clone());
    pipeline.send(get("/v2/", Some(scope(1)))).await.unwrap();
    let seen = seen.lock().unwrap();
    assert_eq!(*seen, [Some(format!("{options:?}")), Some(format!("{options:?}"))]);
}

#[tokio::test(start_paused = true)]
async fn b8_time_outs_and_deadline_of_a_call_end_a_token_service_that_hangs() {
    let limit = Duration::from_millis(1_700);
    for options in [
        CallOptions::new()
            .timeouts(Timeouts::default().head(limit))
            .retry(RetryPolicy::default().retries(0)),
        CallOptions::new().retry(RetryPolicy::default().deadline(limit)),
    ] {
        for path in ["/oauth2/exchange", "/oauth2/token"] {
            let hanging = Transport::new(service_fn(move |request: Request| async move {
                let uri = request.uri().path().to_owned();
                if uri == path {
                    std::future::pending::<()>().await;
                }
                let line = format!("POST {uri}");
                let call =
                    Call { line, authorization: None, request_id: None, body: String::new() };
                Ok::<_, Error>(token_service(&call, "[]").unwrap_or_else(|| ok("{}")))
            }));
            let pipeline = support::pipeline(hanging, entra()).with(options.clone());
            let start = tokio::time::Instant::now();
            let error = pipeline.send(get("/v2/", Some(scope(1)))).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Timeout);
            let late = start.elapsed().saturating_sub(limit);
            assert!(late < Duration::from_millis(100), "{options:?}, {path}: {late:?} late");
        }
    }
}
