//! The verified reader: reads, hashes, asks again where it broke off.

use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use acr_core::{Body, DataStream, Digest, Digester, Error, ErrorKind, Operation, Result};
use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::{
    client::BlobClient,
    download::{
        builder::{self, Rest},
        checkpoint::DownloadCheckpoint,
        machine::{Answer, Machine, Step, too_large},
    },
    progress::{Observer, Phase},
};

/// The content of a blob, piece by piece.
///
/// The last piece comes only after digest and length matched; otherwise an error of
/// kind [`ErrorKind::Integrity`] comes in its place. When the connection breaks, the rest
/// is asked for by range, from the registry, up to three times in a row without progress.
/// Of a server that knows no ranges everything is read again, and what is known left out,
/// up to eight times in a download.
/// Dropping the reader closes the connection.
pub struct BlobReader {
    client: BlobClient,
    digest: Digest,
    machine: Machine,
    state: State,
    operation: Operation,
    observer: Observer,
    delivered: u64,
    /// Of a piece that [`tokio::io::AsyncRead`] gave out in part.
    #[cfg(feature = "tokio-io")]
    rest: Bytes,
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
        client: BlobClient,
        digest: Digest,
        machine: Machine,
        body: Option<DataStream>,
        observer: Observer,
    ) -> Self {
        let operation = builder::operation(&client, &digest);
        let delivered = machine.position();
        Self {
            client,
            digest,
            machine,
            // Without a body all is there already.
            state: body.map_or(State::Over, State::Reading),
            operation,
            observer,
            delivered,
            #[cfg(feature = "tokio-io")]
            rest: Bytes::new(),
        }
    }

    /// The digest the content is verified against.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The length in bytes that the server announced; verified at the end.
    pub fn len(&self) -> Option<u64> {
        self.machine.len()
    }

    /// Whether the server announced no content at all.
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// What another process needs to go on after the last piece that was read.
    pub fn checkpoint(&self) -> DownloadCheckpoint {
        let repository = self.client.repository.clone();
        DownloadCheckpoint::new(repository, self.digest.clone(), self.machine.delivered())
    }

    /// The next piece, or `None` after the last, when everything matched.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Integrity`] when digest or length do not match;
    /// [`ErrorKind::Transport`] or [`ErrorKind::Timeout`] when the connection broke and
    /// could not be resumed.
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

    /// Asks again for what is missing, after a pause.
    fn resume(&self, attempt: u32) -> State {
        self.observer.tell(Phase::Recovering, self.delivered, self.len(), attempt);
        let (client, digest, rest) =
            (self.client.clone(), self.digest.clone(), Rest::of(&self.machine));
        let pause = PAUSE.saturating_mul(attempt.saturating_sub(1));
        State::Asking(Box::pin(async move {
            tokio::time::sleep(pause).await;
            builder::ask_rest(&client, &digest, rest).await
        }))
    }

    /// Works until there is a piece, the end or an error.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>>> {
        loop {
            match std::mem::replace(&mut self.state, State::Over) {
                State::Over if self.machine.is_over() => return Poll::Ready(Ok(None)),
                State::Over => return Poll::Ready(self.finish(None)),
                State::Reading(mut body) => match Pin::new(&mut body).poll_next(cx) {
                    Poll::Pending => {
                        self.state = State::Reading(body);
                        return Poll::Pending;
                    }
                    Poll::Ready(Some(Ok(piece))) => {
                        let piece = self.machine.unknown_part(piece);
                        if let Some(piece) = self.take_in(piece, body)? {
                            return Poll::Ready(Ok(Some(piece)));
                        }
                    }
                    Poll::Ready(end) => {
                        drop(body);
                        let result = self.finish(end.and_then(Result::err));
                        if !matches!(self.state, State::Asking(_)) {
                            return Poll::Ready(result);
                        }
                    }
                },
                State::Hashing(mut job, piece, body) => {
                    let Poll::Ready(hashed) = Pin::new(&mut job).poll(cx) else {
                        self.state = State::Hashing(job, piece, body);
                        return Poll::Pending;
                    };
                    self.state = State::Reading(body);
                    let after = hashed.map_err(|error| {
                        let text = "the content could not be hashed";
                        self.machine.end(Error::new(ErrorKind::Source, text).with_source(error))
                    })?;
                    if let Some(piece) = self.machine.piece(piece, after)? {
                        return Poll::Ready(Ok(Some(piece)));
                    }
                }
                State::Asking(mut asked) => {
                    let Poll::Ready(answer) = asked.as_mut().poll(cx) else {
                        self.state = State::Asking(asked);
                        return Poll::Pending;
                    };
                    match answer.map_err(|error| self.machine.end(error))? {
                        Some((answer, body)) => {
                            self.machine.answered(answer)?;
                            self.state = State::Reading(body);
                        }
                        // Nothing is left: what is there ends as if an answer had.
                        None => self.state = State::Reading(Body::empty().into_data_stream()),
                    }
                }
            }
        }
    }

    /// Hashes a piece, large ones on a thread that may block.
    fn take_in(&mut self, piece: Bytes, body: DataStream) -> Result<Option<Bytes>> {
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
    fn finish(&mut self, broken: Option<Error>) -> Result<Option<Bytes>> {
        match self.machine.ended(broken.is_some())? {
            Step::Verified(last) => Ok(last),
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
        let item = ready!(self.poll_piece(cx)).transpose();
        Poll::Ready(item.map(|item| match item {
            Ok(piece) => {
                self.delivered = self.delivered.saturating_add(piece.len() as u64);
                let phase = if self.machine.is_over() { Phase::Done } else { Phase::Transferring };
                self.observer.tell(phase, self.delivered, self.len(), 0);
                Ok(piece)
            }
            Err(error) => Err(self.describe(error)),
        }))
    }
}

#[cfg(feature = "tokio-io")]
impl tokio::io::AsyncRead for BlobReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if self.rest.is_empty() {
            match ready!(self.as_mut().poll_next(cx)) {
                None => return Poll::Ready(Ok(())),
                Some(Ok(piece)) => self.rest = piece,
                Some(Err(error)) => return Poll::Ready(Err(std::io::Error::other(error))),
            }
        }
        let len = self.rest.len().min(buffer.remaining());
        let piece = self.rest.split_to(len);
        buffer.put_slice(&piece);
        Poll::Ready(Ok(()))
    }
}

impl fmt::Debug for BlobReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobReader")
            .field("digest", &self.digest)
            .field("len", &self.len())
            .field("delivered", &self.delivered)
            .finish_non_exhaustive()
    }
}

/// Waited before asking again, times the number of fruitless attempts before.
const PAUSE: Duration = Duration::from_millis(500);

/// Longer pieces are hashed on a thread that may block: about a tenth of a millisecond.
const LARGE: usize = 128 * 1024;
