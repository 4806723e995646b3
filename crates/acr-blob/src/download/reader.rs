//! The verified reader: reads, hashes, asks again where it broke off.

use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use acr_core::{
    Digest, Digester, Error, ErrorKind, Result,
    http::{Body, DataStream, Operation, client::Told},
};
use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::{
    download::{
        checkpoint::DownloadCheckpoint,
        machine::{Answer, Machine, Step, too_large},
        outlet::{Outlet, Piece},
        request,
    },
    pace::{LARGE, PAUSE},
    progress::{Observer, Phase},
    repository::Repository,
};

/// The content of a blob, piece by piece.
///
/// The last piece comes only after digest and length matched; otherwise an error of
/// kind [`ErrorKind::Integrity`] comes in its place. When the connection breaks, the rest
/// is asked for by range, from the registry, up to three times in a row without progress.
/// Of a server that knows no ranges everything is read again, and what is known left out,
/// up to eight times in a download.
///
/// [`BlobReader::chunk`], the stream and [`tokio::io::AsyncRead`] may be mixed: they take
/// from the same place, and [`BlobReader::checkpoint`] counts what any of them gave out.
/// After an error each of them gives that error again, for an end would say that all
/// matched; the stream up to 16 times, so that code that leaves errors out comes to an end.
///
/// Dropping the reader closes the connection.
pub struct BlobReader {
    repository: Repository,
    digest: Digest,
    machine: Machine,
    state: State,
    outlet: Outlet,
    failed: Option<Arc<Error>>,
    /// How often the stream gave the error.
    told: Told,
    operation: Operation,
    observer: Observer,
}

type Asked = Pin<Box<dyn Future<Output = Result<Option<(Answer, DataStream)>>> + Send>>;

enum State {
    Reading(DataStream),
    Hashing(JoinHandle<Digester>, Bytes, DataStream),
    Asking(Asked),
    Over,
}

impl BlobReader {
    pub(crate) fn new(
        repository: Repository,
        digest: Digest,
        machine: Machine,
        body: DataStream,
        observer: Observer,
    ) -> Self {
        let operation = request::operation(&repository, &digest);
        let outlet = Outlet::new(machine.digester());
        let state = State::Reading(body);
        Self {
            repository,
            digest,
            machine,
            state,
            outlet,
            failed: None,
            told: Told::default(),
            operation,
            observer,
        }
    }

    /// The digest the content is verified against.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |blobs, digest| {
    /// let reader = blobs.download(&digest).await?;
    /// assert_eq!(reader.digest(), &digest);
    /// # Ok(()) });
    /// ```
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The length in bytes that the server announced; verified at the end.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |blobs, digest| {
    /// let reader = blobs.download(&digest).await?;
    /// assert_eq!(reader.len(), Some(12));
    /// # Ok(()) });
    /// ```
    pub fn len(&self) -> Option<u64> {
        self.machine.len()
    }

    /// Whether the server announced no content at all.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |blobs, digest| {
    /// assert!(!blobs.download(&digest).await?.is_empty());
    /// # Ok(()) });
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// What another process needs to go on after the last byte that was read, however it
    /// was read. After an [`ErrorKind::Integrity`] error what was read is not the blob:
    /// start anew, without a checkpoint.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |blobs, digest| {
    /// let mut reader = blobs.download(&digest).await?;
    /// let piece = reader.chunk().await?.expect("some content");
    /// assert_eq!(reader.checkpoint().delivered(), piece.len() as u64);
    /// # Ok(()) });
    /// ```
    pub fn checkpoint(&self) -> DownloadCheckpoint {
        let repository = self.repository.name.clone();
        let digester = self.outlet.digester();
        DownloadCheckpoint::new(repository, self.digest.clone(), &digester, self.len())
    }

    /// The next piece, or `None` after the last, when everything matched.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |blobs, digest| {
    /// let mut reader = blobs.download(&digest).await?;
    /// let mut content = Vec::new();
    /// while let Some(piece) = reader.chunk().await? {
    ///     content.extend_from_slice(&piece);
    /// }
    /// assert_eq!(content, b"sample layer");
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Integrity`] when digest or length do not match;
    /// [`ErrorKind::Transport`] or [`ErrorKind::Timeout`] when the connection broke and
    /// could not be resumed. The next call gives the same error again.
    ///
    /// # Cancellation
    ///
    /// Safe: call again.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        let is_filled = poll_fn(|cx| self.poll_filled(cx)).await?;
        Ok(is_filled.then(|| self.take(usize::MAX)))
    }

    /// Reads everything that was not read yet into memory, up to `limit` bytes.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |blobs, digest| {
    /// let reader = blobs.download(&digest).await?;
    /// assert_eq!(reader.bytes(1 << 20).await?, &b"sample layer"[..]);
    /// # Ok(()) });
    /// ```
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

    #[cfg(feature = "fs")]
    pub(crate) fn is_refuted(&self) -> bool {
        self.machine.is_refuted()
    }

    pub(crate) fn describe(&self, error: Error) -> Error {
        error.with_operation(Some(&self.operation))
    }

    /// Waits until there is something to give out; whether there is, or else the end.
    fn poll_filled(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool>> {
        if !self.outlet.is_empty() {
            return Poll::Ready(Ok(true));
        }
        if let Some(error) = &self.failed {
            return Poll::Ready(Err(Error::shared(error)));
        }
        Poll::Ready(match ready!(self.poll_piece(cx)) {
            Ok(None) => Ok(false),
            Ok(Some(piece)) => {
                self.outlet.fill(piece);
                Ok(true)
            }
            Err(error) => {
                self.state = State::Over;
                let error = Arc::new(self.describe(error));
                self.failed = Some(Arc::clone(&error));
                Err(Error::shared(&error))
            }
        })
    }

    /// Gives out up to so many bytes: they count as the caller's from here on.
    fn take(&mut self, most: usize) -> Bytes {
        let part = self.outlet.take(most);
        if self.outlet.is_empty() {
            let is_done = self.machine.is_verified();
            let phase = if is_done { Phase::Done } else { Phase::Transferring };
            self.observer.tell(phase, self.outlet.position(), self.len(), 0);
        }
        part
    }

    /// Asks again for what is missing, after a pause.
    fn resume(&self, attempt: u32) -> State {
        self.observer.tell(Phase::Recovering, self.outlet.position(), self.len(), attempt);
        let (repository, digest, ask) =
            (self.repository.clone(), self.digest.clone(), self.machine.ask());
        let pause = PAUSE.saturating_mul(attempt.saturating_sub(1));
        State::Asking(Box::pin(async move {
            tokio::time::sleep(pause).await;
            request::ask(&repository, &digest, ask).await
        }))
    }

    /// Works until there is a piece, the end or an error.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Piece>>> {
        loop {
            let piece = match std::mem::replace(&mut self.state, State::Over) {
                State::Over if self.machine.is_verified() => return Poll::Ready(Ok(None)),
                State::Over => {
                    let text = "the download was given up";
                    return Poll::Ready(Err(Error::new(ErrorKind::Source, text)));
                }
                State::Reading(mut body) => match Pin::new(&mut body).poll_next(cx) {
                    Poll::Pending => {
                        self.state = State::Reading(body);
                        return Poll::Pending;
                    }
                    Poll::Ready(Some(Ok(piece))) => {
                        let piece = self.machine.unknown_part(piece);
                        self.take_in(piece, body)?
                    }
                    Poll::Ready(end) => {
                        drop(body);
                        self.finish(end.and_then(Result::err))?
                    }
                },
                State::Hashing(mut job, piece, body) => {
                    let Poll::Ready(hashed) = Pin::new(&mut job).poll(cx) else {
                        self.state = State::Hashing(job, piece, body);
                        return Poll::Pending;
                    };
                    let after = hashed.map_err(|error| {
                        let text = "the content could not be hashed";
                        Error::new(ErrorKind::Source, text).with_source(error)
                    })?;
                    self.state = State::Reading(body);
                    self.machine.piece(piece, after)?
                }
                State::Asking(mut asked) => {
                    let Poll::Ready(answer) = asked.as_mut().poll(cx) else {
                        self.state = State::Asking(asked);
                        return Poll::Pending;
                    };
                    self.state = match answer? {
                        Some((answer, body)) => {
                            self.machine.answered(answer)?;
                            State::Reading(body)
                        }
                        // Nothing is left: what is there ends as if an answer had.
                        None => State::Reading(Body::empty().into_data_stream()),
                    };
                    None
                }
            };
            if let Some(piece) = piece {
                return Poll::Ready(Ok(Some(piece)));
            }
        }
    }

    /// Hashes a piece, large ones on a thread that may block.
    fn take_in(&mut self, piece: Bytes, body: DataStream) -> Result<Option<Piece>> {
        let mut digester = self.machine.digester();
        if piece.len() < LARGE {
            self.state = State::Reading(body);
            digester.update(&piece);
            return self.machine.piece(piece, digester);
        }
        let content = piece.clone();
        let job = spawn_blocking(move || {
            digester.update(&content);
            digester
        });
        self.state = State::Hashing(job, piece, body);
        Ok(None)
    }

    /// An answer has ended; perhaps another one is asked for.
    fn finish(&mut self, broken: Option<Error>) -> Result<Option<Piece>> {
        match self.machine.ended(broken.is_some())? {
            Step::Verified => Ok(self.machine.last()),
            Step::Resume(attempt) => {
                tracing::warn!(
                    attempt,
                    error = broken.map(tracing::field::display),
                    "asking for the rest of the blob"
                );
                self.state = self.resume(attempt);
                Ok(None)
            }
            Step::GiveUp => Err(broken.unwrap_or_else(|| {
                let text = format!(
                    "the content of `{}` ended after {} bytes",
                    self.digest,
                    self.machine.position()
                );
                Error::new(ErrorKind::Integrity, text)
            })),
        }
    }
}

impl Stream for BlobReader {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(match ready!(self.poll_filled(cx)) {
            Ok(true) => Some(Ok(self.take(usize::MAX))),
            Ok(false) => None,
            Err(error) => self.told.tell(error),
        })
    }
}

#[cfg(feature = "tokio-io")]
impl tokio::io::AsyncRead for BlobReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if buffer.remaining() > 0 && ready!(self.poll_filled(cx)).map_err(std::io::Error::from)? {
            buffer.put_slice(&self.take(buffer.remaining()));
        }
        Poll::Ready(Ok(()))
    }
}

impl fmt::Debug for BlobReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobReader")
            .field("digest", &self.digest)
            .field("len", &self.len())
            .field("delivered", &self.outlet.position())
            .finish_non_exhaustive()
    }
}
