//! Ends a body at the deadline of its call.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::{
    body::Body,
    error::{Error, ErrorKind, Result},
};

/// `Instant + Duration` panics on overflow; what is that far away never comes.
pub(crate) fn after(start: Instant, wait: Duration) -> Instant {
    start.checked_add(wait).unwrap_or_else(|| start + FAR)
}

/// Thirty years.
const FAR: Duration = Duration::from_secs(86_400 * 365 * 30);

/// The body, until so long after the start.
pub(crate) fn bound(body: Body, start: Instant, limit: Duration) -> Body {
    match start.checked_add(limit) {
        Some(end) if !body.is_end_stream() => {
            Body::around(Bound { body, timer: Box::pin(sleep_until(end)), limit })
        }
        _ => body,
    }
}

struct Bound {
    body: Body,
    timer: Pin<Box<Sleep>>,
    limit: Duration,
}

impl http_body::Body for Bound {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        if self.timer.is_elapsed() || self.timer.as_mut().poll(cx).is_ready() {
            let text = format!("the call's deadline of {:?} passed", self.limit);
            return Poll::Ready(Some(Err(Error::new(ErrorKind::Timeout, text))));
        }
        Poll::Ready(ready!(Pin::new(&mut self.body).poll_frame(cx)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;

    fn dripping() -> Body {
        let frames = stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_secs(29)).await;
            Some((Ok::<_, Error>(Frame::data(Bytes::from_static(b"x"))), ()))
        });
        Body::stream(StreamBody::new(Box::pin(frames)))
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_drips_ends_at_the_deadline() {
        let start = Instant::now();
        let mut body = bound(dripping(), start, Duration::from_secs(60));
        assert!(body.frame().await.unwrap().is_ok());
        assert!(body.frame().await.unwrap().is_ok());
        let error = body.frame().await.unwrap().unwrap_err();
        assert_eq!((error.kind(), start.elapsed().as_secs()), (ErrorKind::Timeout, 60));
    }
}
