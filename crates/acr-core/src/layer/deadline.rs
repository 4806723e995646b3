//! Ends a body at the deadline of its call.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::http::error::{BoxError, Error, ErrorKind, Result};

/// `Instant + Duration` panics on overflow; what is that far away never comes.
pub(crate) fn after(start: Instant, wait: Duration) -> Instant {
    start.checked_add(wait).unwrap_or_else(|| start + FAR)
}

/// Thirty years.
const FAR: Duration = Duration::from_secs(86_400 * 365 * 30);

pin_project! {
    /// The body of an answer that came through [`RetryLayer`](super::RetryLayer): as it is, or
    /// until the end of [`RetryPolicy::deadline`](super::RetryPolicy::deadline).
    pub struct DeadlineBody<B> {
        #[pin]
        body: B,
        bound: Option<Bound>,
    }
}

struct Bound {
    timer: Pin<Box<Sleep>>,
    limit: Duration,
}

impl<B: Body> DeadlineBody<B> {
    /// The body, until so long after the start, if there is a limit.
    pub(crate) fn new(body: B, start: Instant, limit: Option<Duration>) -> Self {
        let limit = limit.filter(|_| !body.is_end_stream());
        let bound = limit.and_then(|limit| {
            let end = start.checked_add(limit)?;
            Some(Bound { timer: Box::pin(sleep_until(end)), limit })
        });
        Self { body, bound }
    }
}

impl<B> DeadlineBody<B> {
    /// The body itself, if nothing was added to it.
    pub(crate) fn unbound(self) -> Result<B, Self> {
        if self.bound.is_none() { Ok(self.body) } else { Err(self) }
    }
}

impl<B: Body<Error: Into<BoxError>>> Body for DeadlineBody<B> {
    type Data = B::Data;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, BoxError>>> {
        let this = self.project();
        // What is over is not late, whenever its end is asked for.
        if let Some(Bound { timer, limit }) = this.bound
            && !this.body.is_end_stream()
            && (timer.is_elapsed() || timer.as_mut().poll(cx).is_ready())
        {
            let text = format!("the call's deadline of {limit:?} passed");
            return Poll::Ready(Some(Err(Error::new(ErrorKind::Timeout, text).into())));
        }
        this.body.poll_frame(cx).map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> fmt::Debug for DeadlineBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit = self.bound.as_ref().map(|bound| bound.limit);
        f.debug_struct("DeadlineBody").field("limit", &limit).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures_util::stream;
    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;
    use crate::http::body;

    fn dripping() -> body::Body {
        let frames = stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_secs(29)).await;
            Some((Ok::<_, Error>(Frame::data(Bytes::from_static(b"x"))), ()))
        });
        body::Body::stream(StreamBody::new(Box::pin(frames)))
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_drips_ends_at_the_deadline() {
        let start = Instant::now();
        let limit = Duration::from_secs(60);
        let mut body = DeadlineBody::new(dripping(), start, Some(limit));
        assert!(body.frame().await.unwrap().is_ok());
        assert!(body.frame().await.unwrap().is_ok());
        let error = Error::from(body.frame().await.unwrap().unwrap_err());
        assert_eq!((error.kind(), start.elapsed().as_secs()), (ErrorKind::Timeout, 60));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_is_whole_is_not_late_when_its_end_is_asked_for() {
        let whole = http_body_util::Full::new(Bytes::from_static(b"x"));
        let mut body = DeadlineBody::new(whole, Instant::now(), Some(Duration::from_secs(60)));
        assert!(body.frame().await.unwrap().is_ok());
        tokio::time::advance(Duration::from_secs(61)).await;
        assert!(body.frame().await.is_none());
    }
}
