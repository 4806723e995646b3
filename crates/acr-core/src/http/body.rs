//! The one body type of requests and responses.

use std::{
    any::Any,
    fmt, mem,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;
use tokio::time::Instant;

use crate::{
    http::{
        error::{BoxError, Error, ErrorKind, Result},
        paced::Paced,
        patience,
        told::Told,
    },
    layer::{CountedBody, DeadlineBody, Meter, Pieces, Progress, WatchedBody},
};

/// The body of every request and response.
///
/// Bytes can be sent again after a failure; a stream is sent once. The library
/// never replaces a stream that is used up by an empty body: what cannot be
/// repeated is reported as the error it met.
///
/// ```
/// use acr_core::http::Body;
///
/// let body = Body::from("hello");
/// assert!(body.try_clone().is_some());
/// ```
#[derive(Default)]
pub struct Body(Inner);

type Streaming = Pin<Box<dyn http_body::Body<Data = Bytes, Error = Error> + Send>>;

#[derive(Default)]
enum Inner {
    #[default]
    Empty,
    Bytes(Bytes),
    Pieces(Pieces),
    Stream(Streaming),
}

impl Body {
    /// A body without content.
    ///
    /// ```
    /// use acr_core::http::Body;
    ///
    /// assert!(Body::empty().try_clone().is_some());
    /// ```
    pub const fn empty() -> Self {
        Self(Inner::Empty)
    }

    /// A body of any kind. One of ours stays what it is, so that it can be sent again if it
    /// could before; any other that is not empty can be read once, as with [`Body::stream`].
    ///
    /// ```
    /// use acr_core::http::Body;
    /// use bytes::Bytes;
    /// use http_body_util::Full;
    ///
    /// assert!(Body::new(Body::from("hello")).try_clone().is_some());
    /// assert!(Body::new(Full::new(Bytes::new())).try_clone().is_some());
    /// assert!(Body::new(Full::new(Bytes::from("hello"))).try_clone().is_none());
    /// ```
    pub fn new<B>(body: B) -> Self
    where
        B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let mut slot = Some(body);
        let any: &mut dyn Any = &mut slot;
        if let Some(ours) = any.downcast_mut::<Option<Self>>() {
            return ours.take().unwrap_or_default();
        }
        if let Some(ours) = within_four::<Self>(any) {
            return ours;
        }
        if let Some(bound) = any.downcast_mut::<Option<DeadlineBody<Self>>>() {
            let body = bound.take().map(DeadlineBody::unbound);
            return body.map_or_else(Self::empty, |body| body.unwrap_or_else(Self::stream));
        }
        match slot {
            Some(body) if !body.is_end_stream() => Self::stream(body),
            _ => Self::empty(),
        }
    }

    /// A body that can be read once.
    ///
    /// Whoever it comes from, it neither holds up a thread nor goes on without content for
    /// ever: it yields to tokio's scheduler, and ends with [`ErrorKind::Protocol`] after
    /// 1,024 frames in a row that are empty. After an error it gives that error again.
    ///
    /// ```
    /// use acr_core::http::Body;
    /// use bytes::Bytes;
    /// use http_body_util::Full;
    ///
    /// let body = Body::stream(Full::new(Bytes::from("hello")));
    /// assert!(body.try_clone().is_none()); // it passes once
    /// ```
    pub fn stream<B>(body: B) -> Self
    where
        B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        Self(Inner::Stream(Box::pin(Paced::new(body.map_err(Error::from_body)))))
    }

    /// A body of ours around another one, which has its pace already.
    pub(crate) fn around<B>(body: B) -> Self
    where
        B: http_body::Body<Data = Bytes, Error = Error> + Send + 'static,
    {
        Self(Inner::Stream(Box::pin(body)))
    }

    /// Bytes stay what they are: they are handed out in pieces and can still be sent again.
    fn watched(self, progress: Progress) -> Self {
        match self.into_pieces() {
            Ok(pieces) => Self(Inner::Pieces(pieces.watched(progress))),
            Err(body) => Self::around(WatchedBody::new(body, Some(progress))),
        }
    }

    fn counted(self, meter: Meter) -> Self {
        match self.into_pieces() {
            Ok(pieces) => Self(Inner::Pieces(pieces.counted(meter))),
            Err(Self(Inner::Empty)) => Self::empty(),
            Err(body) => Self::around(CountedBody::from_parts(body, meter)),
        }
    }

    /// The bytes, if it has them all; itself otherwise.
    fn into_pieces(self) -> Result<Pieces, Self> {
        match self.0 {
            Inner::Bytes(bytes) => Ok(Pieces::new(bytes)),
            Inner::Pieces(pieces) => Ok(pieces),
            other => Err(Self(other)),
        }
    }

    /// The same body once more; `None` for a stream.
    ///
    /// ```
    /// use acr_core::http::Body;
    ///
    /// assert!(Body::from("hello").try_clone().is_some());
    /// ```
    pub fn try_clone(&self) -> Option<Self> {
        match &self.0 {
            Inner::Empty => Some(Self::empty()),
            Inner::Bytes(bytes) => Some(Self(Inner::Bytes(bytes.clone()))),
            Inner::Pieces(pieces) => Some(Self(Inner::Pieces(pieces.clone()))),
            Inner::Stream(_) => None,
        }
    }

    /// Reads the whole body, up to `limit` bytes, in bounded time: 30 seconds and
    /// another for every 16 KiB, so that no server can hold a caller by dripping.
    ///
    /// ```
    /// use acr_core::{ErrorKind, http::Body};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// assert_eq!(Body::from("hello").bytes(16).await?, "hello");
    /// let error = Body::from("hello").bytes(4).await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::TooLarge);
    /// # Ok::<(), acr_core::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TooLarge`] beyond the limit (nothing is truncated),
    /// [`ErrorKind::Timeout`], or the failure of the connection.
    ///
    /// # Cancellation
    ///
    /// Dropping the future drops the body and with it the connection.
    pub async fn bytes(mut self, limit: usize) -> Result<Bytes> {
        let start = Instant::now();
        let mut first: Option<Bytes> = None;
        let mut collected = BytesMut::new();
        let mut total = 0usize;
        loop {
            // What is always ready never lets the timer of `until` have its turn.
            let is_late = start.elapsed() > allowed(total);
            let frame = match patience::until(start + allowed(total), self.frame()).await {
                Some(None) => break,
                Some(Some(frame)) if !is_late => frame?,
                _ => {
                    let took = start.elapsed();
                    let text = format!("the body comes too slowly: {total} bytes in {took:?}");
                    return Err(Error::new(ErrorKind::Timeout, text));
                }
            };
            let data = frame.into_data().unwrap_or_default();
            total = total.saturating_add(data.len());
            if total > limit {
                let text = format!("the body is larger than the limit of {limit} bytes");
                return Err(Error::new(ErrorKind::TooLarge, text));
            }
            match first.take() {
                None if collected.is_empty() => first = Some(data),
                None => collected.extend_from_slice(&data),
                Some(head) => {
                    collected.extend_from_slice(&head);
                    collected.extend_from_slice(&data);
                }
            }
        }
        Ok(first.unwrap_or_else(|| collected.freeze()))
    }

    /// The data frames as a stream; trailers are left out.
    ///
    /// ```
    /// use acr_core::http::Body;
    /// use futures_util::TryStreamExt as _;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let mut pieces = Body::from("hello").into_data_stream();
    /// while let Some(piece) = pieces.try_next().await? {
    ///     assert_eq!(piece, "hello");
    /// }
    /// # Ok::<(), acr_core::Error>(()) }).unwrap();
    /// ```
    pub fn into_data_stream(self) -> DataStream {
        DataStream { body: self, told: Told::default() }
    }
}

/// A body of ours, or one that came through layers of ours: what they add comes off where it is
/// not needed.
trait Layered: http_body::Body<Data = Bytes, Error = Error> + Send + Sized + 'static {
    fn unwrapped(self) -> Body;
}

impl Layered for Body {
    fn unwrapped(self) -> Body {
        self
    }
}

impl<B: Layered> Layered for WatchedBody<B> {
    fn unwrapped(self) -> Body {
        match self.into_parts() {
            Ok((body, None)) => body.unwrapped(),
            Ok((body, Some(progress))) => body.unwrapped().watched(progress),
            Err(begun) => Body::around(begun),
        }
    }
}

impl<B: Layered> Layered for CountedBody<B> {
    fn unwrapped(self) -> Body {
        let (body, meter) = self.into_parts();
        body.unwrapped().counted(meter)
    }
}

/// Unwraps a body of ours within one layer of ours to four, as they come from one `ServiceBuilder`,
/// which erases nothing between them; within more it is a stream.
fn within_four<B: Layered>(slot: &mut dyn Any) -> Option<Body> {
    within_two::<B>(slot)
        .or_else(|| within_two::<WatchedBody<WatchedBody<B>>>(slot))
        .or_else(|| within_two::<WatchedBody<CountedBody<B>>>(slot))
        .or_else(|| within_two::<CountedBody<WatchedBody<B>>>(slot))
        .or_else(|| within_two::<CountedBody<CountedBody<B>>>(slot))
}

fn within_two<B: Layered>(slot: &mut dyn Any) -> Option<Body> {
    within_one::<B>(slot)
        .or_else(|| within_one::<WatchedBody<B>>(slot))
        .or_else(|| within_one::<CountedBody<B>>(slot))
}

fn within_one<B: Layered>(slot: &mut dyn Any) -> Option<Body> {
    take::<WatchedBody<B>>(slot).or_else(|| take::<CountedBody<B>>(slot))
}

fn take<B: Layered>(slot: &mut dyn Any) -> Option<Body> {
    let slot = slot.downcast_mut::<Option<B>>()?;
    Some(slot.take().map_or_else(Body::empty, Layered::unwrapped))
}

/// The data of a [`Body`], piece by piece.
#[derive(Debug)]
pub struct DataStream {
    body: Body,
    /// How often it gave an error.
    told: Told,
}

impl Stream for DataStream {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        use http_body::Body as _;
        loop {
            match std::task::ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => {
                    return Poll::Ready(self.told.tell(error));
                }
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
            }
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        match &mut self.0 {
            Inner::Empty => Poll::Ready(None),
            Inner::Stream(stream) => stream.as_mut().poll_frame(cx),
            Inner::Pieces(pieces) => Poll::Ready(pieces.next().map(|piece| Ok(Frame::data(piece)))),
            Inner::Bytes(bytes) => {
                let bytes = mem::take(bytes);
                self.0 = Inner::Empty;
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Inner::Empty => true,
            Inner::Bytes(bytes) => bytes.is_empty(),
            Inner::Pieces(pieces) => pieces.len() == 0,
            Inner::Stream(stream) => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Inner::Empty => SizeHint::with_exact(0),
            Inner::Bytes(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Inner::Pieces(pieces) => SizeHint::with_exact(pieces.len() as u64),
            Inner::Stream(stream) => stream.size_hint(),
        }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self(Inner::Bytes(bytes))
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Inner::Bytes(bytes.into()))
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Self(Inner::Bytes(text.into()))
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Self(Inner::Bytes(Bytes::from_static(text.as_bytes())))
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Inner::Empty => f.write_str("Body(empty)"),
            Inner::Bytes(bytes) => write!(f, "Body({} bytes)", bytes.len()),
            Inner::Pieces(pieces) => write!(f, "Body({} bytes)", pieces.len()),
            Inner::Stream(_) => f.write_str("Body(stream)"),
        }
    }
}

/// How long a bounded read may have taken when it has this many bytes.
fn allowed(bytes: usize) -> Duration {
    let seconds = (bytes / SLOWEST_PER_SECOND) as u64;
    FIRST_BYTES.saturating_add(Duration::from_secs(seconds))
}

/// How long the first bytes of a bounded read may take.
const FIRST_BYTES: Duration = Duration::from_secs(30);

/// The slowest line that a bounded read bears with, in bytes a second.
const SLOWEST_PER_SECOND: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;

    #[tokio::test]
    async fn the_limit_is_an_error_and_never_truncates() {
        for (limit, fits) in [(4, false), (5, true), (6, true)] {
            let result = Body::from("hello").bytes(limit).await;
            assert_eq!(result.is_ok(), fits);
            if let Err(error) = result {
                assert_eq!(error.kind(), ErrorKind::TooLarge);
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_dripping_body_ends_in_a_timeout_and_a_slow_one_does_not() {
        for (piece, fits) in [(1, false), (32 * 1024, true)] {
            let frames = futures_util::stream::unfold(0, move |n| async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                (n < 100).then(|| (Ok::<_, Error>(Frame::data(Bytes::from(vec![0; piece]))), n + 1))
            });
            let body = Body::stream(http_body_util::StreamBody::new(Box::pin(frames)));
            let start = Instant::now();
            match body.bytes(1 << 30).await {
                Ok(content) => assert!(fits && content.len() == 100 * piece),
                Err(error) => {
                    assert_eq!((fits, error.kind()), (false, ErrorKind::Timeout));
                    assert_eq!(start.elapsed().as_secs(), 30);
                }
            }
        }
    }

    #[tokio::test]
    async fn a_stream_cannot_be_cloned_and_reads_whole() {
        let body = Body::stream(Full::new(Bytes::from_static(b"abc")));
        assert!(body.try_clone().is_none());
        assert_eq!(body.bytes(10).await.unwrap(), "abc");
        assert_eq!(Body::empty().bytes(0).await.unwrap(), "");
    }
}
