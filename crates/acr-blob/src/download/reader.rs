//! The verified reader: reads on while it hashes, asks again where it broke off.

use std::{
    collections::VecDeque,
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use acr_core::{
    Digest, Digester, Error, ErrorKind, Result,
    hashing::Lane,
    http::{Body, DataStream, Operation, client::Told},
};
use bytes::{Bytes, BytesMut};
use futures_core::Stream;

use crate::{
    download::{
        checkpoint::DownloadCheckpoint,
        machine::{Answer, Machine, Step, too_large},
        outlet::{Outlet, Piece},
        request,
    },
    pace::PAUSE,
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
    lane: Lane,
    /// Pieces that came and are not hashed yet: the machine does not know of them.
    flying: VecDeque<Bytes>,
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
    /// The answer has ended, or broke off for some reason; what it brought may still fly.
    Ending(Option<Error>),
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
        let lane = Lane::new(repository.pipeline.hasher(), machine.digester());
        Self {
            repository,
            digest,
            machine,
            state: State::Reading(body),
            lane,
            flying: VecDeque::new(),
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
            // What is hashed goes on before more is read.
            let piece = match self.hashed() {
                Some(after) => self.land(after)?,
                None => ready!(self.poll_state(cx))?,
            };
            if let Some(piece) = piece {
                return Poll::Ready(Ok(Some(piece)));
            }
            if matches!(self.state, State::Over) {
                return Poll::Ready(self.over());
            }
        }
    }

    /// Takes one step, after which there may be a piece.
    fn poll_state(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Piece>>> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Over => Poll::Ready(Ok(None)),
            State::Reading(mut body) if self.has_room() => {
                match Pin::new(&mut body).poll_next(cx) {
                    Poll::Ready(Some(Ok(piece))) => {
                        self.take_in(piece);
                        self.state = State::Reading(body);
                        Poll::Ready(Ok(None))
                    }
                    Poll::Ready(end) => {
                        self.state = State::Ending(end.and_then(Result::err));
                        Poll::Ready(Ok(None))
                    }
                    Poll::Pending => {
                        self.state = State::Reading(body);
                        self.poll_landed(cx)
                    }
                }
            }
            State::Ending(broken) if self.flying.is_empty() => Poll::Ready(self.finish(broken)),
            state @ (State::Reading(_) | State::Ending(_)) => {
                self.state = state;
                self.poll_landed(cx)
            }
            State::Asking(mut asked) => {
                let Poll::Ready(answer) = asked.as_mut().poll(cx) else {
                    self.state = State::Asking(asked);
                    return Poll::Pending;
                };
                self.state = State::Reading(match answer? {
                    Some((answer, body)) => {
                        self.machine.answered(answer)?;
                        body
                    }
                    // Nothing is left: what is there ends as if an answer had.
                    None => Body::empty().into_data_stream(),
                });
                Poll::Ready(Ok(None))
            }
        }
    }

    /// What follows when there is nothing to do any more.
    fn over(&self) -> Result<Option<Piece>> {
        if self.machine.is_verified() {
            return Ok(None);
        }
        Err(Error::new(ErrorKind::Source, "the download was given up"))
    }

    /// Whether more may be read before what came is hashed: only where somebody else hashes.
    fn has_room(&self) -> bool {
        self.flying.is_empty() || (self.lane.is_beside() && self.lane.waiting() < READ_AHEAD)
    }

    /// Lets a piece be hashed, as far as it is new.
    fn take_in(&mut self, piece: Bytes) {
        let piece = self.machine.unknown_part(piece);
        if !piece.is_empty() {
            self.lane.give_and_keep(piece.clone());
            self.flying.push_back(piece);
        }
    }

    /// The hash after the first piece that flies, if it is there.
    fn hashed(&self) -> Option<Digester> {
        if self.flying.is_empty() { None } else { self.lane.kept() }
    }

    /// Waits for the first piece that flies.
    fn poll_landed(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Piece>>> {
        if self.flying.is_empty() {
            return Poll::Pending;
        }
        Poll::Ready(match ready!(self.lane.poll_kept(cx)) {
            Some(after) => self.land(after),
            None => Err(Error::new(ErrorKind::Source, "the content could not be hashed")),
        })
    }

    /// Takes in the first piece that flew, with the hash after it.
    fn land(&mut self, after: Digester) -> Result<Option<Piece>> {
        let piece = self.flying.pop_front().unwrap_or_default();
        debug_assert_eq!(self.machine.position().saturating_add(piece.len() as u64), after.len());
        self.machine.piece(piece, after)
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

/// Read on until so much is not hashed. With what the connection gives at once it is a mebibyte at
/// most, and enough for the thread to have always something to do.
const READ_AHEAD: u64 = 512 * 1024;

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
