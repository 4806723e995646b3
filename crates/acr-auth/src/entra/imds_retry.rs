//! The identity service of virtual machines asks for more patience than others: it answers
//! 404 or 410 while it is updated, for up to 70 seconds, and may start after the program.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use acr_core::{
    Error, ErrorKind, Result,
    http::{Attempt, Request, Response},
    layer::{HttpService, ResponseFuture, RetryPolicy, call, drain},
};
use http::StatusCode;
use tokio::time::Instant;
use tower_layer::Layer;
use tower_service::Service;

/// Turns the answers that its documentation says to repeat into errors that the one retry
/// loop outside repeats, with waits of 1, 2, 4, 8 and then 16 seconds; where nobody is reached,
/// three tries are made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ImdsRetryLayer;

#[derive(Clone, Debug)]
pub(crate) struct ImdsRetry<S> {
    inner: S,
}

impl ImdsRetryLayer {
    /// Goes on for 79 seconds: a little longer than an update takes.
    pub(crate) fn policy() -> RetryPolicy {
        RetryPolicy::default().retries(8).last_start(Duration::from_secs(80))
    }
}

impl<S> Layer<S> for ImdsRetryLayer {
    type Service = ImdsRetry<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ImdsRetry { inner }
    }
}

impl<S: HttpService> Service<Request> for ImdsRetry<S> {
    type Response = Response;
    type Error = Error;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let attempt = request.extensions().get::<Attempt>().map_or(1, |attempt| attempt.get());
        let mut inner = self.inner.clone();
        Box::pin(async move {
            let start = Instant::now();
            let answer = match call(&mut inner, request).await {
                Err(error) if error.kind() == ErrorKind::Connect => {
                    return Err(absent(error, attempt, start.elapsed()));
                }
                other => other?,
            };
            let status = answer.status();
            let is_passing = matches!(status.as_u16(), 404 | 410 | 429 | 500..=599);
            if !is_passing {
                return Ok(answer);
            }
            drain(answer.into_body()).await;
            let text = format!("the identity service answered {}", status.as_u16());
            let error = if status == StatusCode::TOO_MANY_REQUESTS {
                Error::new(ErrorKind::Throttled, text).with_status(status)
            } else {
                // Without the status: a 404 would not be repeated.
                Error::new(ErrorKind::Server, text)
            };
            Err(error.with_retry_after(Some(wait(attempt))))
        })
    }
}

/// Nobody is there, or not yet: the tries start at 0, 3 and 8 seconds, however long each took
/// to fail, and the last is given two.
fn absent(error: Error, attempt: u32, took: Duration) -> Error {
    let next = usize::try_from(attempt).ok().and_then(|a| UNTIL_NEXT_TRY.get(a.checked_sub(1)?));
    match next {
        Some(next) => {
            let wait = next.saturating_sub(took);
            error.with_retry_after(Some(wait))
        }
        None => error.permanent(),
    }
}

fn wait(attempt: u32) -> Duration {
    let doublings = attempt.saturating_sub(1).min(4);
    Duration::from_secs(1 << doublings)
}

/// From the start of one try to connect to that of the next.
const UNTIL_NEXT_TRY: [Duration; 2] = [Duration::from_secs(3), Duration::from_secs(5)];
