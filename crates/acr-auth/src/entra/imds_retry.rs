//! The identity service of virtual machines asks for more patience than others: it answers
//! 404 or 410 while it is updated, for up to 70 seconds.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use acr_core::{
    Attempt, Error, ErrorKind, HttpService, Request, Response, Result,
    layer::{ResponseFuture, RetryPolicy, drain, take},
};
use http::StatusCode;
use tower_layer::Layer;
use tower_service::Service;

/// Turns the answers that its documentation says to repeat into errors that the one retry
/// loop outside repeats, with waits of 1, 2, 4, 8 and then 16 seconds.
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

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let attempt = request.extensions().get::<Attempt>().map_or(1, |attempt| attempt.get());
        let mut inner = take(&mut self.inner);
        Box::pin(async move {
            let answer = match inner.call(request).await {
                // Nobody is there: that is an answer, too.
                Err(error) if error.kind() == ErrorKind::Connect => return Err(error.permanent()),
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

fn wait(attempt: u32) -> Duration {
    let doublings = attempt.saturating_sub(1).min(4);
    Duration::from_secs(1 << doublings)
}
