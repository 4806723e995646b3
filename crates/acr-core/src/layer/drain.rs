//! Reads what is left of a body that nobody wants, so that its connection can be used again.

use std::{pin::pin, time::Duration};

use bytes::Buf as _;
use http_body::Body;
use http_body_util::BodyExt as _;
use tokio::time::Instant;

use crate::http::patience;

/// Reads up to 64 KiB for up to a second; what is longer or slower is dropped, which
/// closes its connection.
///
/// ```
/// use acr_core::layer::drain;
/// # use bytes::Bytes;
/// # use http_body::Frame;
/// # use http_body_util::StreamBody;
/// # use std::sync::{Arc, atomic::{AtomicU32, Ordering}};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// # let read = Arc::new(AtomicU32::new(0));
/// # let counter = Arc::clone(&read);
/// # let pieces = (0..3).map(move |_| {
/// #     counter.fetch_add(1, Ordering::Relaxed);
/// #     Ok::<_, std::io::Error>(Frame::data(Bytes::from_static(b"<html>busy")))
/// # });
/// # let body = StreamBody::new(futures_util::stream::iter(pieces));
/// // The body of an answer that is discarded, in three pieces.
/// drain(body).await;
/// assert_eq!(read.load(Ordering::Relaxed), 3, "its connection can be used again");
/// # });
/// ```
///
/// # Cancellation
///
/// Dropping the future drops the body.
pub async fn drain<B: Body>(body: B) {
    // Whether it ended or the time did makes no difference to anybody.
    let _ = patience::until(Instant::now() + MAX_WAIT, read(body)).await;
}

async fn read<B: Body>(body: B) {
    let mut body = pin!(body);
    let mut left = MAX_DRAINED;
    while left > 0 {
        match body.frame().await {
            Some(Ok(frame)) => {
                let len = frame.data_ref().map_or(0, |data| data.remaining());
                left = left.saturating_sub(len.max(1));
            }
            Some(Err(_)) | None => return,
        }
    }
}

const MAX_DRAINED: usize = 64 * 1024;

/// A new connection costs less than a longer wait.
const MAX_WAIT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures_util::stream;
    use http_body::Frame;
    use http_body_util::StreamBody;

    use super::*;
    use crate::http::{body::Body, error::Error};

    #[tokio::test(start_paused = true)]
    async fn a_body_that_drips_for_ever_is_given_up_after_a_second() {
        let frames = stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            Some((Ok::<_, Error>(Frame::data(Bytes::from_static(b"x"))), ()))
        });
        let start = Instant::now();
        drain(Body::stream(StreamBody::new(Box::pin(frames)))).await;
        assert_eq!(start.elapsed(), MAX_WAIT);
    }
}
