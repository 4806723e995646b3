//! Downloads: verified while they are read.

use std::{
    fmt,
    future::{IntoFuture, poll_fn},
    pin::Pin,
    task::{Context, Poll},
};

use acr_core::{
    Action, DataStream, Digest, Effect, Error, ErrorKind, Operation, Request, Result, Scope,
    Verified, response,
};
use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use http::{HeaderValue, Method, StatusCode, header};

use crate::{
    client::BlobClient,
    progress::{Observer, Progress},
};

/// Downloads a blob when awaited.
///
/// # Errors
///
/// [`ErrorKind::NotFound`]; [`ErrorKind::Policy`] when the registry redirects to a
/// place that is refused.
///
/// # Cancellation
///
/// Dropping the future sends nothing more.
#[derive(Debug)]
#[must_use = "nothing is sent until it is awaited"]
pub struct Download<'a> {
    client: &'a BlobClient,
    digest: Digest,
    size: Option<u64>,
    max_size: Option<u64>,
    observer: Observer,
}

/// The content of a blob, piece by piece.
///
/// The last piece comes only after digest and length matched; otherwise an error of
/// kind [`ErrorKind::Integrity`] comes in its place. Dropping the reader closes the
/// connection.
pub struct BlobReader {
    content: Verified<DataStream>,
    digest: Digest,
    len: Option<u64>,
    max_size: Option<u64>,
    delivered: u64,
    operation: Operation,
    observer: Observer,
}

impl<'a> Download<'a> {
    pub(crate) fn new(client: &'a BlobClient, digest: Digest) -> Self {
        Self { client, digest, size: None, max_size: None, observer: Observer::default() }
    }

    /// Expects exactly this many bytes, as a manifest's descriptor says. Another length
    /// is an [`ErrorKind::Integrity`] error, before the content where the server
    /// announces it, and at the first byte too many where not.
    pub fn size(mut self, bytes: u64) -> Self {
        self.size = Some(bytes);
        self
    }

    /// Refuses more than this many bytes with [`ErrorKind::TooLarge`]. Without either
    /// bound a hostile server decides how much is read before the digest tells.
    pub fn max_size(mut self, bytes: u64) -> Self {
        self.max_size = Some(bytes);
        self
    }

    /// Calls a function whenever a piece has been delivered.
    pub fn on_progress(mut self, function: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        self.observer = Observer::new(function);
        self
    }

    /// Downloads into a file, which appears only when its content is verified.
    ///
    /// The content goes to a temporary file (mode 0600) in the same directory, is
    /// synced to disk and then moved into place, over an older file if there is one.
    /// Gives the size in bytes.
    ///
    /// # Errors
    ///
    /// Those of the download, and [`ErrorKind::Source`] when the file cannot be
    /// written. In every case nothing is left behind.
    ///
    /// # Cancellation
    ///
    /// Dropping the future removes the temporary file.
    #[cfg(feature = "fs")]
    pub async fn to_file(self, path: impl AsRef<std::path::Path> + Send) -> Result<u64> {
        let reader = self.send().await?;
        crate::file::store(reader, path.as_ref()).await
    }

    async fn send(self) -> Result<BlobReader> {
        let Self { client, digest, size, max_size, observer } = self;
        let request = request(client, &digest)?;
        let operation = request
            .extensions()
            .get::<Operation>()
            .cloned()
            .unwrap_or(Operation::new("download_blob"));
        let answer = client.pipeline.send(request).await?;
        let answer = response::expect(answer, &[StatusCode::OK]).await?;
        let (head, body) = answer.into_parts();
        check_head(&head, &digest)?;
        let len = response::header_u64(&head.headers, &header::CONTENT_LENGTH);
        check_length(&head, &digest, len, size, max_size)?;
        let mut content = Verified::new(body.into_data_stream(), digest.clone());
        let len = size.or(len);
        if let Some(len) = len {
            content = content.expect_len(len);
        }
        Ok(BlobReader { content, digest, len, max_size, delivered: 0, operation, observer })
    }
}

impl BlobReader {
    /// The digest the content is verified against.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The length in bytes that the server announced; verified at the end.
    pub fn len(&self) -> Option<u64> {
        self.len
    }

    /// Whether the server announced no content at all.
    pub fn is_empty(&self) -> bool {
        self.len == Some(0)
    }

    /// The next piece, or `None` after the last, when everything matched.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Integrity`] when digest or length do not match;
    /// [`ErrorKind::Transport`] or [`ErrorKind::Timeout`] when the connection broke.
    ///
    /// # Cancellation
    ///
    /// Safe: call again.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await.transpose()
    }

    /// Reads everything into memory, up to `limit` bytes.
    ///
    /// # Errors
    ///
    /// As [`BlobReader::chunk`], and [`ErrorKind::TooLarge`] beyond the limit.
    ///
    /// # Cancellation
    ///
    /// Dropping the future drops the reader.
    pub async fn bytes(mut self, limit: usize) -> Result<Bytes> {
        let mut content = BytesMut::new();
        while let Some(piece) = self.chunk().await? {
            if content.len().saturating_add(piece.len()) > limit {
                return Err(self.describe(too_large(limit as u64)));
            }
            content.extend_from_slice(&piece);
        }
        Ok(content.freeze())
    }

    pub(crate) fn describe(&self, error: Error) -> Error {
        error.with_operation(Some(&self.operation))
    }
}

impl Stream for BlobReader {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = std::task::ready!(Pin::new(&mut self.content).poll_next(cx));
        Poll::Ready(item.map(|item| match item {
            Ok(piece) => {
                self.delivered = self.delivered.saturating_add(piece.len() as u64);
                if let Some(limit) = self.max_size.filter(|limit| self.delivered > *limit) {
                    return Err(self.describe(too_large(limit)));
                }
                self.observer.note(self.delivered, self.len);
                Ok(piece)
            }
            Err(error) => Err(self.describe(error)),
        }))
    }
}

impl<'a> IntoFuture for Download<'a> {
    type Output = Result<BlobReader>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

impl fmt::Debug for BlobReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobReader")
            .field("digest", &self.digest)
            .field("len", &self.len)
            .field("delivered", &self.delivered)
            .finish_non_exhaustive()
    }
}

fn request(client: &BlobClient, digest: &Digest) -> Result<Request> {
    client
        .blob_request(Method::GET, digest, "download_blob")
        .header(header::ACCEPT, HeaderValue::from_static("application/octet-stream, */*"))
        // A digest is over the bytes as they are stored; nothing here decompresses.
        .header(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"))
        .scope(Scope::repository(&client.repository, &[Action::PULL]))
        .effect(Effect::Read)
        .follow_redirects()
        .build()
}

/// What the announced length alone can refuse.
fn check_length(
    head: &http::response::Parts,
    digest: &Digest,
    announced: Option<u64>,
    expected: Option<u64>,
    max: Option<u64>,
) -> Result<()> {
    if let (Some(announced), Some(expected)) = (announced, expected)
        && announced != expected
    {
        let text = format!("`{digest}` should have {expected} bytes, the server has {announced}");
        return Err(response::describe(Error::new(ErrorKind::Integrity, text), head));
    }
    match max {
        Some(max) if announced.or(expected).is_some_and(|len| len > max) => {
            Err(response::describe(too_large(max), head))
        }
        _ => Ok(()),
    }
}

fn too_large(limit: u64) -> Error {
    Error::new(ErrorKind::TooLarge, format!("the blob is larger than the limit of {limit} bytes"))
}

/// What the head alone can refuse: a compressed body, or the digest of something else.
fn check_head(head: &http::response::Parts, digest: &Digest) -> Result<()> {
    let encoding = response::header_text(&head.headers, &header::CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
        let error =
            Error::new(ErrorKind::Protocol, "the blob came compressed though that was ruled out");
        return Err(response::describe(error, head));
    }
    response::check_digest_header(head, digest)
}
