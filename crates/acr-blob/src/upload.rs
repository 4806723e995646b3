//! Uploads: reads the source chunk by chunk, one ahead, so that the last chunk rides on the closing request.

use std::{future::IntoFuture, pin::Pin};

use acr_core::{Digest, Error, ErrorKind, Operation, Result};
use bytes::Bytes;

use crate::{
    chunks::Chunks,
    client::BlobClient,
    content::Content,
    info::BlobInfo,
    progress::{Observer, Progress},
    session::Session,
};

/// Uploads content when awaited, and gives its digest and size.
///
/// Memory in use is about two chunks.
///
/// # Errors
///
/// [`ErrorKind::Source`] when the content cannot be read; [`ErrorKind::Integrity`]
/// when it does not have the digest expected, or the registry stored something
/// else; [`ErrorKind::Session`] when the registry lost the upload. After an error
/// the session on the registry is cancelled, best effort.
///
/// # Cancellation
///
/// A dropped upload stores nothing; its session expires on the registry.
#[derive(Debug)]
#[must_use = "nothing is sent until it is awaited"]
pub struct UploadBlob<'a> {
    client: &'a BlobClient,
    content: Content,
    expected: Option<Digest>,
    chunk_size: usize,
    observer: Observer,
}

impl<'a> UploadBlob<'a> {
    pub(crate) fn new(client: &'a BlobClient, content: Content) -> Self {
        Self {
            client,
            content,
            expected: None,
            chunk_size: CHUNK_SIZE,
            observer: Observer::default(),
        }
    }

    /// Stores the content only if it has this digest, and under this digest's algorithm.
    pub fn digest(mut self, expected: Digest) -> Self {
        self.expected = Some(expected);
        self
    }

    /// Sends chunks of this many bytes (default 8 MiB, at least 1 KiB; registries
    /// refuse chunks from about 20 MiB on).
    pub fn chunk_size(mut self, bytes: usize) -> Self {
        self.chunk_size = bytes.max(MIN_CHUNK_SIZE);
        self
    }

    /// Calls a function whenever the registry has confirmed another chunk.
    pub fn on_progress(mut self, function: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        self.observer = Observer::new(function);
        self
    }

    async fn send(self) -> Result<BlobInfo> {
        let operation = Operation::new("upload_blob").on(&self.client.repository);
        self.run().await.map_err(|error| error.with_operation(Some(&operation)))
    }

    async fn run(self) -> Result<BlobInfo> {
        let Self { client, content, expected, chunk_size, observer } = self;
        let digester = expected.as_ref().map(Digest::digester).unwrap_or_default();
        let mut chunks = Chunks::new(content, chunk_size, digester);
        let total = chunks.total();

        // Nothing is claimed on the registry for a source that cannot be read.
        let mut last = chunks.next().await?.unwrap_or_default();
        let mut session = Session::start(client).await?;
        match transfer(&mut chunks, &mut session, &mut last, &observer).await {
            Ok(()) => {}
            Err(error) => {
                session.abandon(&error).await;
                return Err(error);
            }
        }
        let (digest, size) = chunks.finish();
        if let Some(expected) = expected.filter(|expected| *expected != digest) {
            let text = format!("expected content with `{expected}`, the source has `{digest}`");
            let error = Error::new(ErrorKind::Integrity, text);
            session.abandon(&error).await;
            return Err(error);
        }
        let info = session.complete(last, &digest).await?;
        observer.note(size, total.or(Some(size)));
        Ok(info)
    }
}

/// Sends all chunks but the last, which is left in `last`.
async fn transfer(
    chunks: &mut Chunks,
    session: &mut Session<'_>,
    last: &mut Bytes,
    observer: &Observer,
) -> Result<()> {
    if last.is_empty() {
        return Ok(());
    }
    let mut sent = 0u64;
    while let Some(next) = chunks.next().await? {
        let chunk = std::mem::replace(last, next);
        sent = sent.saturating_add(chunk.len() as u64);
        session.write(chunk).await?;
        observer.note(sent, chunks.total());
    }
    Ok(())
}

impl<'a> IntoFuture for UploadBlob<'a> {
    type Output = Result<BlobInfo>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

/// Large enough to make requests rare, small enough for every front end.
const CHUNK_SIZE: usize = 8 * 1024 * 1024;

/// Also keeps a first chunk from being one byte, which the wire cannot tell from none.
const MIN_CHUNK_SIZE: usize = 1024;
