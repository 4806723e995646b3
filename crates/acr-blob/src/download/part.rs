//! A part of a blob. Nothing can verify it, so it has a type of its own.

use std::{
    fmt,
    future::{IntoFuture, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use acr_core::{
    ByteRange, Digest, Error, ErrorKind, Result,
    http::{DataStream, Operation, client::Told},
    value::Given,
};
use bytes::{Bytes, BytesMut};
use futures_core::Stream;

use crate::{
    download::{
        machine::{Answer, Extent, too_large},
        request,
    },
    repository::Repository,
};

/// Downloads a part of a blob when awaited.
///
/// # Errors
///
/// [`ErrorKind::NotFound`]; [`ErrorKind::Rejected`] (416) when the blob ends before the part;
/// [`ErrorKind::Protocol`] when the answer has another part, or fewer bytes.
///
/// # Cancellation
///
/// Dropping the future sends nothing more.
#[derive(Clone, Debug)]
#[must_use = "nothing is sent until it is awaited"]
pub struct DownloadRange {
    repository: Repository,
    digest: Given<Digest>,
    range: Given<ByteRange>,
}

/// A part of a blob, piece by piece. **Not verified**: a digest is over the whole.
///
/// What it gives has the place and the length that was asked for, or ends with the blob; that
/// is all that can be checked. A broken connection is an error, and stays one: it never turns
/// into an end.
pub struct PartialReader {
    body: DataStream,
    /// Before the part, where the server sent everything.
    skip: u64,
    /// Of the part.
    left: u64,
    /// The blob may end before the part does; the end of the answer tells.
    may_end: bool,
    has_begun: bool,
    total: Option<u64>,
    failed: Option<Arc<Error>>,
    /// How often the stream gave the error.
    told: Told,
    operation: Operation,
}

/// Where the part lies in the body of an answer.
struct Place {
    skip: u64,
    left: u64,
    may_end: bool,
    total: Option<u64>,
}

impl DownloadRange {
    pub(crate) fn new(
        repository: Repository,
        digest: Given<Digest>,
        range: Given<ByteRange>,
    ) -> Self {
        Self { repository, digest, range }
    }

    async fn send(self) -> Result<PartialReader> {
        let Self { repository, digest, range } = self;
        let digest = request::named(&repository, digest)?;
        let operation = request::operation(&repository, &digest);
        let range = range.get().map_err(|error| error.with_operation(Some(&operation)))?;
        let (answer, body) = request::get(&repository, &digest, Some(range)).await?;
        let place = Place::of(answer, range).map_err(|text| {
            Error::new(ErrorKind::Protocol, text).with_operation(Some(&operation))
        })?;
        let Place { skip, left, may_end, total } = place;
        Ok(PartialReader {
            body,
            skip,
            left,
            may_end,
            has_begun: false,
            total,
            failed: None,
            told: Told::default(),
            operation,
        })
    }
}

impl Place {
    /// Where an answer has a range, or why it cannot be told.
    fn of(answer: Answer, range: ByteRange) -> Result<Self, String> {
        let last = range.last().unwrap_or(u64::MAX);
        let wanted = last.saturating_sub(range.first()).saturating_add(1);
        let mut place = Self { skip: range.first(), left: wanted, may_end: false, total: None };
        match answer {
            Answer::Whole(Extent::Bytes(total)) if total <= range.first() => {
                return Err(format!("the blob ends before `{range}`"));
            }
            Answer::Whole(Extent::Bytes(total)) => {
                place.total = Some(total);
                place.left = wanted.min(total.saturating_sub(range.first()));
            }
            Answer::Whole(Extent::Marked) => place.may_end = true,
            Answer::Whole(Extent::Open) if range.last().is_some() => {}
            Answer::Whole(Extent::Open) => {
                return Err(format!("nothing tells where the answer to `{range}` ends"));
            }
            Answer::Part(part) => {
                let end = part.total().map_or(last, |total| last.min(total.saturating_sub(1)));
                if part.first() != range.first() || part.last() != end {
                    return Err(format!("asked for `{range}`, the answer has `{part}`"));
                }
                place.skip = 0;
                place.left = end.saturating_sub(range.first()).saturating_add(1);
                place.total = part.total();
            }
        }
        Ok(place)
    }
}

impl PartialReader {
    /// The length in bytes of the whole blob, if the server told.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |blobs, digest| {
    /// let part = blobs.download_range(&digest, 0..=5).await?;
    /// assert_eq!(part.total(), Some(12));
    /// # Ok(()) });
    /// ```
    pub fn total(&self) -> Option<u64> {
        self.total
    }

    /// The next piece, or `None` after the last.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |blobs, digest| {
    /// let mut part = blobs.download_range(&digest, 0..=5).await?;
    /// let mut content = Vec::new();
    /// while let Some(piece) = part.chunk().await? {
    ///     content.extend_from_slice(&piece);
    /// }
    /// assert_eq!(content, b"sample");
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Transport`] or [`ErrorKind::Timeout`] when the connection broke. The
    /// next call gives the same error again.
    ///
    /// # Cancellation
    ///
    /// Safe: call again.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        poll_fn(|cx| self.poll_piece(cx)).await.transpose()
    }

    /// Reads the part into memory, up to `limit` bytes.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |blobs, digest| {
    /// let part = blobs.download_range(&digest, 0..=5).await?;
    /// assert_eq!(part.bytes(1 << 20).await?, &b"sample"[..]);
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// As [`PartialReader::chunk`], and [`ErrorKind::TooLarge`] beyond the limit.
    ///
    /// # Cancellation
    ///
    /// Dropping the future drops the reader.
    pub async fn bytes(mut self, limit: usize) -> Result<Bytes> {
        let mut content = BytesMut::new();
        while let Some(piece) = self.chunk().await? {
            if content.len().saturating_add(piece.len()) > limit {
                return Err(too_large(limit as u64).with_operation(Some(&self.operation)));
            }
            content.extend_from_slice(&piece);
        }
        Ok(content.freeze())
    }
}

impl PartialReader {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        if let Some(error) = &self.failed {
            return Poll::Ready(Some(Err(Error::shared(error))));
        }
        while self.left > 0 {
            let error = match ready!(Pin::new(&mut self.body).poll_next(cx)) {
                Some(Ok(mut piece)) => {
                    let known = usize::try_from(self.skip).unwrap_or(usize::MAX).min(piece.len());
                    self.skip = self.skip.saturating_sub(known as u64);
                    let mut piece = piece.split_off(known);
                    piece.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
                    if piece.is_empty() {
                        continue;
                    }
                    self.left = self.left.saturating_sub(piece.len() as u64);
                    // There is a part, so that its end may be that of the blob.
                    self.has_begun = true;
                    return Poll::Ready(Some(Ok(piece)));
                }
                Some(Err(error)) => error,
                None if self.may_end && self.has_begun => {
                    self.left = 0;
                    continue;
                }
                None if self.may_end => {
                    Error::new(ErrorKind::Protocol, "the blob ends before the part")
                }
                None => Error::new(ErrorKind::Transport, "the part ended early"),
            };
            let error = Arc::new(error.with_operation(Some(&self.operation)));
            self.failed = Some(Arc::clone(&error));
            return Poll::Ready(Some(Err(Error::shared(&error))));
        }
        Poll::Ready(None)
    }
}

impl Stream for PartialReader {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(match ready!(self.poll_piece(cx)) {
            Some(Err(error)) => self.told.tell(error),
            item => item,
        })
    }
}

impl IntoFuture for DownloadRange {
    type Output = Result<PartialReader>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

impl fmt::Debug for PartialReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartialReader")
            .field("left", &self.left)
            .field("total", &self.total)
            .finish_non_exhaustive()
    }
}
