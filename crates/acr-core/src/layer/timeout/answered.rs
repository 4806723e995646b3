//! An answer's body that must make progress.

use std::{
    fmt,
    future::Future as _,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

use super::timeouts::timed_out;
use crate::{http::error::BoxError, layer::deadline::after};

pin_project! {
    /// The body of an answer that came through [`TimeoutLayer`](super::TimeoutLayer): it ends
    /// with an error when nothing comes for as long as [`Timeouts::idle`](super::Timeouts::idle).
    pub struct TimeoutBody<B> {
        #[pin]
        body: B,
        idle: Duration,
        // Made when there is something to wait for; most small bodies are there at once.
        timer: Option<Pin<Box<Sleep>>>,
        is_waiting: bool,
        // Told once, it stays so: what comes late must not look like the rest.
        is_over: bool,
    }
}

impl<B> TimeoutBody<B> {
    pub(super) fn new(body: B, idle: Duration) -> Self {
        Self { body, idle, timer: None, is_waiting: false, is_over: false }
    }
}

impl<B: Body<Error: Into<BoxError>>> Body for TimeoutBody<B> {
    type Data = B::Data;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, BoxError>>> {
        let this = self.project();
        if *this.is_over {
            return Poll::Ready(Some(Err(no_progress(*this.idle))));
        }
        if let Poll::Ready(frame) = this.body.poll_frame(cx) {
            *this.is_waiting = false;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let next = || after(Instant::now(), *this.idle);
        let timer = this.timer.get_or_insert_with(|| Box::pin(sleep_until(next())));
        if !*this.is_waiting {
            *this.is_waiting = true;
            timer.as_mut().reset(next());
        }
        ready!(timer.as_mut().poll(cx));
        *this.is_over = true;
        Poll::Ready(Some(Err(no_progress(*this.idle))))
    }

    fn is_end_stream(&self) -> bool {
        !self.is_over && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> fmt::Debug for TimeoutBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimeoutBody").field("idle", &self.idle).finish_non_exhaustive()
    }
}

fn no_progress(limit: Duration) -> BoxError {
    timed_out("the response body makes no progress", limit)
}
