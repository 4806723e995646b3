//! A part of a blob. Nothing can verify it, so it has a type of its own.

use std::{
    fmt,
    future::{IntoFuture, poll_fn},
    pin::Pin,
    task::{Context, Poll, ready},
};

use acr_core::{ByteRange, DataStream, Digest, Error, ErrorKind, Operation, Result};
use bytes::{Bytes, BytesMut};
use futures_core::Stream;

use crate::{
    client::BlobClient,
    download::{
        builder,
        machine::{Answer, too_large},
    },
};

/// Downloads a part of a blob when awaited.
///
/// # Errors
///
/// [`ErrorKind::NotFound`]; [`ErrorKind::Rejected`] (416) when the blob ends before the part.
///
/// # Cancellation
///
/// Dropping the future sends nothing more.
#[derive(Debug)]
#[must_use = "nothing is sent until it is awaited"]
pub struct DownloadRange<'a> {
    client: &'a BlobClient,
    digest: Digest,
    range: ByteRange,
}

/// A part of a blob, piece by piece. **Not verified**: a digest is over the whole.
///
/// What it gives has the place and at most the length that was asked for; that is all that
/// can be checked. A broken connection is an error.
pub struct PartialReader {
    body: DataStream,
    /// Before the part, where the server sent everything.
    skip: u64,
    /// Of the part.
    left: u64,
    total: Option<u64>,
    operation: Operation,
}

impl<'a> DownloadRange<'a> {
    pub(crate) fn new(client: &'a BlobClient, digest: Digest, range: ByteRange) -> Self {
        Self { client, digest, range }
    }

    async fn send(self) -> Result<PartialReader> {
        let Self { client, digest, range } = self;
        let operation = builder::operation(client, &digest);
        let (answer, body) = builder::ask(client, &digest, Some(range)).await?;
        let wanted = match range.last() {
            Some(last) => last.saturating_sub(range.first()).saturating_add(1),
            None => u64::MAX,
        };
        let refuse = |text: String| {
            Err(Error::new(ErrorKind::Protocol, text).with_operation(Some(&operation)))
        };
        let (skip, left, total) = match answer {
            Answer::Whole(total) => {
                if total.is_some_and(|total| total <= range.first()) {
                    return refuse(format!("the blob ends before `{range}`"));
                }
                let after = total.map_or(u64::MAX, |total| total.saturating_sub(range.first()));
                (range.first(), wanted.min(after), total)
            }
            Answer::Part(part) => {
                let len = part.last().saturating_sub(part.first()).saturating_add(1);
                if part.first() != range.first() || len > wanted {
                    return refuse(format!("asked for `{range}`, the answer has `{part}`"));
                }
                (0, len, part.total())
            }
        };
        Ok(PartialReader { body, skip, left, total, operation })
    }
}

impl PartialReader {
    /// The length in bytes of the whole blob, if the server told.
    pub fn total(&self) -> Option<u64> {
        self.total
    }

    /// The next piece, or `None` after the last.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Transport`] or [`ErrorKind::Timeout`] when the connection broke.
    ///
    /// # Cancellation
    ///
    /// Safe: call again.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await.transpose()
    }

    /// Reads the part into memory, up to `limit` bytes.
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

impl Stream for PartialReader {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        while self.left > 0 {
            let error = match ready!(Pin::new(&mut self.body).poll_next(cx)) {
                Some(Ok(mut piece)) => {
                    let known = usize::try_from(self.skip).unwrap_or(usize::MAX).min(piece.len());
                    self.skip = self.skip.saturating_sub(known as u64);
                    let mut piece = piece.split_off(known);
                    piece.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
                    self.left = self.left.saturating_sub(piece.len() as u64);
                    if piece.is_empty() {
                        continue;
                    }
                    return Poll::Ready(Some(Ok(piece)));
                }
                Some(Err(error)) => error,
                // To its end, whatever that is.
                None if self.left > MAX_LEN && self.skip == 0 => return Poll::Ready(None),
                None => Error::new(ErrorKind::Transport, "the part ended early"),
            };
            self.left = 0;
            return Poll::Ready(Some(Err(error.with_operation(Some(&self.operation)))));
        }
        Poll::Ready(None)
    }
}

impl<'a> IntoFuture for DownloadRange<'a> {
    type Output = Result<PartialReader>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

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

/// More is left than a blob can have: its length is not known.
const MAX_LEN: u64 = u64::MAX / 2;
