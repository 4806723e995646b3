//! Waits for the head of an answer while the request body is sent.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

use super::{answered::TimeoutBody, timeouts::timed_out, watched::Progress};
use crate::{http::error::BoxError, layer::deadline::after};

pin_project! {
    /// The future of [`Timeout`](super::Timeout).
    pub struct TimeoutFuture<F> {
        #[pin]
        future: F,
        start: Instant,
        progress: Option<Progress>,
        head: Duration,
        idle: Duration,
        // Made when there is something to wait for.
        #[pin]
        timer: Option<Sleep>,
    }
}

impl<F> TimeoutFuture<F> {
    pub(super) fn new(
        future: F,
        progress: Option<Progress>,
        head: Duration,
        idle: Duration,
    ) -> Self {
        Self { future, start: Instant::now(), progress, head, idle, timer: None }
    }
}

impl<F, R, E> Future for TimeoutFuture<F>
where
    F: Future<Output = Result<http::Response<R>, E>>,
    E: Into<BoxError>,
    R: http_body::Body,
{
    type Output = Result<http::Response<TimeoutBody<R>>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Poll::Ready(answer) = this.future.poll(cx) {
            let answer = answer.map_err(Into::into)?;
            return Poll::Ready(Ok(answer.map(|body| TimeoutBody::new(body, *this.idle))));
        }
        loop {
            let progress = this.progress.as_ref().map(Progress::get);
            let (since, is_sending) = progress.unwrap_or((*this.start, false));
            let limit = if is_sending { *this.idle } else { *this.head };
            let (end, now) = (after(since, limit), Instant::now());
            if now >= end {
                let what = if is_sending {
                    "the server takes no more of the request body"
                } else {
                    "no answer"
                };
                return Poll::Ready(Err(timed_out(what, limit)));
            }
            // The body may begin or end while this waits, and what is due next is then due
            // earlier: no wait is longer than the shorter of both.
            let shorter = (*this.head).min(*this.idle).max(SHORTEST_LOOK);
            let next_look =
                if this.progress.is_some() { end.min(after(now, shorter)) } else { end };
            match this.timer.as_mut().as_pin_mut() {
                None => this.timer.set(Some(sleep_until(next_look))),
                // A timer that goes off earlier is left as it is: pieces come often.
                Some(timer) if timer.deadline() <= now || timer.deadline() > next_look => {
                    timer.reset(next_look);
                }
                Some(_) => {}
            }
            if let Some(timer) = this.timer.as_mut().as_pin_mut() {
                ready!(timer.poll(cx));
            }
        }
    }
}

impl<F> fmt::Debug for TimeoutFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimeoutFuture").field("head", &self.head).finish_non_exhaustive()
    }
}

/// How often a body is looked at, at most, whatever the time-outs are.
const SHORTEST_LOOK: Duration = Duration::from_millis(10);
