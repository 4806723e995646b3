//! What every body of somebody else's goes through: a pace, and an end that is told once.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::task::coop;

use crate::http::error::{Error, ErrorKind, Result};

/// A body that lets others run, does not go on for ever without content, and after an error
/// gives that error again: to most readers "no more" means that all went well.
pub(crate) struct Paced<B> {
    inner: Pin<Box<B>>,
    /// Frames without content since the last one that had some.
    empty: u32,
    failed: Option<Arc<Error>>,
}

impl<B> Paced<B> {
    pub(crate) fn new(inner: B) -> Self {
        Self { inner: Box::pin(inner), empty: 0, failed: None }
    }

    fn fail(&mut self, error: Error) -> Error {
        let error = Arc::new(error);
        self.failed = Some(Arc::clone(&error));
        Error::shared(&error)
    }
}

impl<B: Body<Data = Bytes, Error = Error>> Body for Paced<B> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        if let Some(error) = &self.failed {
            return Poll::Ready(Some(Err(Error::shared(error))));
        }
        let turn = ready!(coop::poll_proceed(cx));
        let frame = ready!(self.inner.as_mut().poll_frame(cx));
        turn.made_progress();
        let result = match frame {
            None => return Poll::Ready(None),
            Some(Ok(frame)) if frame.data_ref().is_some_and(|data| !data.is_empty()) => {
                self.empty = 0;
                Ok(frame)
            }
            Some(Ok(frame)) if self.empty < MAX_EMPTY => {
                self.empty = self.empty.saturating_add(1);
                Ok(frame)
            }
            Some(Ok(_)) => {
                let text = format!("the body goes on without content: {MAX_EMPTY} empty frames");
                Err(Error::new(ErrorKind::Protocol, text))
            }
            Some(Err(error)) => Err(error),
        };
        Poll::Ready(Some(result.map_err(|error| self.fail(error))))
    }

    fn is_end_stream(&self) -> bool {
        self.failed.is_none() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Honest senders have one or two; HTTP/2 lets a hostile one send nothing else.
const MAX_EMPTY: u32 = 1_024;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::{FutureExt as _, StreamExt as _, stream};
    use http_body_util::StreamBody;

    use super::*;
    use crate::{http::body, layer::drain};

    /// Always ready, never with content; every n-th frame has a byte.
    fn empty_frames(every: Option<u64>) -> body::Body {
        let frames = stream::iter(1u64..).map(move |n| {
            let has_content = every.is_some_and(|every| n % every == 0);
            let data = if has_content { Bytes::from_static(b"x") } else { Bytes::new() };
            Ok::<_, Error>(Frame::data(data))
        });
        body::Body::stream(StreamBody::new(frames))
    }

    #[tokio::test]
    async fn b11_empty_frames_without_end_are_an_error_for_every_reader() {
        let error = empty_frames(None).bytes(100).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol);
        let mut data = empty_frames(None).into_data_stream();
        let mut pieces = 0;
        while data.next().await.unwrap().is_ok() {
            pieces += 1;
        }
        assert_eq!(pieces, MAX_EMPTY);
        drain(empty_frames(None)).await;
        let trailers = stream::repeat_with(|| {
            Ok::<_, Error>(Frame::<Bytes>::trailers(http::HeaderMap::new()))
        });
        let mut data = body::Body::stream(StreamBody::new(trailers)).into_data_stream();
        assert_eq!(data.next().await.unwrap().unwrap_err().kind(), ErrorKind::Protocol);
    }

    #[tokio::test]
    async fn b11_what_is_always_ready_lets_others_run() {
        let mut turns = 0;
        let read = empty_frames(Some(3)).bytes(10_000);
        let others = async {
            loop {
                turns += 1;
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            result = read => assert_eq!(result.unwrap_err().kind(), ErrorKind::TooLarge),
            () = others => {}
        }
        assert!(turns > 100, "{turns}");
    }

    /// The clock moves although nothing ever waits.
    #[tokio::test(start_paused = true)]
    async fn b11_what_is_always_ready_has_no_more_time_than_the_rest() {
        let frames = stream::iter(1u64..).map(|_| {
            let _ = tokio::time::advance(Duration::from_millis(10)).now_or_never();
            Ok::<_, Error>(Frame::data(Bytes::from_static(b"x")))
        });
        let body = body::Body::stream(StreamBody::new(frames));
        let error = body.bytes(1 << 20).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
    }

    #[tokio::test]
    async fn a8_a_body_that_failed_does_not_end_well() {
        let frames = stream::iter([
            Ok(Frame::data(Bytes::from_static(b"x"))),
            Err(Error::new(ErrorKind::Transport, "cut")),
        ]);
        let mut data = body::Body::stream(StreamBody::new(frames)).into_data_stream();
        assert_eq!(data.next().await.unwrap().unwrap(), "x");
        for _ in 0..3 {
            assert_eq!(data.next().await.unwrap().unwrap_err().kind(), ErrorKind::Transport);
        }
    }
}
