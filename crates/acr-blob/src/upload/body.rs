//! Content that can be read again, as bodies of any length; hashed off the async threads.

#[cfg(feature = "fs")]
use std::fs::File;
use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use acr_core::{Body, Digest, Digester, Error, ErrorKind, Result};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::{
    progress::Observer,
    upload::feed::{index, lock, unreadable},
};

/// Content that can be read again from any offset.
#[derive(Clone)]
pub(crate) enum Replay {
    Bytes(Bytes),
    #[cfg(feature = "fs")]
    File {
        file: Arc<Mutex<File>>,
        len: u64,
    },
}

/// What is known of the content that passed: shared by the driver and the body under way.
#[derive(Clone)]
pub(crate) struct Ledger(Arc<Mutex<Entries>>);

struct Entries {
    digester: Digester,
    /// What the content must have in the end, and how long it is then.
    expected: Option<(Digest, u64)>,
    broken: Option<Error>,
    observer: Observer,
    total: Option<u64>,
}

impl Ledger {
    pub(crate) fn new(digester: Digester) -> Self {
        let observer = Observer::default();
        let entries = Entries { digester, expected: None, broken: None, observer, total: None };
        Self(Arc::new(Mutex::new(entries)))
    }

    pub(crate) fn observe(&self, observer: Observer, total: Option<u64>) {
        let mut entries = lock(&self.0);
        (entries.observer, entries.total) = (observer, total);
    }

    /// Lets a body break off before its last piece unless the content has this digest.
    pub(crate) fn expect(&self, digest: Digest, len: u64) {
        lock(&self.0).expected = Some((digest, len));
    }

    /// How many bytes were hashed.
    pub(crate) fn len(&self) -> u64 {
        lock(&self.0).digester.len()
    }

    pub(crate) fn digester(&self) -> Digester {
        lock(&self.0).digester.clone()
    }

    /// Why a body broke off, if it was the content's fault.
    pub(crate) fn take_broken(&self) -> Option<Error> {
        lock(&self.0).broken.take()
    }

    /// Hashes a piece, as far as it was not hashed before.
    pub(crate) async fn hash(&self, at: u64, piece: Bytes) {
        if piece.len() < LARGE {
            return self.note(at, &piece);
        }
        let ledger = self.clone();
        // It fails only when the runtime ends, and this future with it.
        let _ = spawn_blocking(move || ledger.note(at, &piece)).await;
    }

    fn note(&self, at: u64, piece: &[u8]) {
        let mut entries = lock(&self.0);
        let known = entries.digester.len();
        if known < at {
            return;
        }
        let new = piece.get(index(known - at)..).unwrap_or_default();
        // Hashed in parts that stay in the processor's cache.
        for part in new.chunks(HASHED_AT_ONCE) {
            entries.digester.update(part);
        }
    }

    fn check(&self) -> Result<(), Error> {
        let entries = lock(&self.0);
        let Some((expected, len)) = &entries.expected else {
            return Ok(());
        };
        if entries.digester.len() < *len {
            return Ok(());
        }
        let computed = entries.digester.clone().finish();
        if computed == *expected { Ok(()) } else { Err(unexpected(expected, &computed)) }
    }

    fn note_sent(&self, sent: u64) {
        let entries = lock(&self.0);
        if !entries.observer.is_some() {
            return;
        }
        let (observer, total) = (entries.observer.clone(), entries.total);
        drop(entries);
        observer.note(sent, total);
    }

    fn breaks(&self, error: Error) -> Error {
        let text = error.to_string();
        let kind = error.kind();
        lock(&self.0).broken = Some(error);
        Error::new(kind, text)
    }
}

/// The content does not have the digest that the caller named.
pub(crate) fn unexpected(expected: &Digest, computed: &Digest) -> Error {
    let text = format!("expected content with `{expected}`, the source has `{computed}`");
    Error::new(ErrorKind::Integrity, text)
}

impl Replay {
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            #[cfg(feature = "fs")]
            Self::File { len, .. } => *len,
        }
    }

    pub(crate) async fn read(&self, from: u64, to: u64) -> Result<Bytes> {
        match self {
            Self::Bytes(_) => self.read_now(from, to),
            #[cfg(feature = "fs")]
            Self::File { .. } => {
                let replay = self.clone();
                spawn_blocking(move || replay.read_now(from, to)).await.map_err(unreadable)?
            }
        }
    }

    fn read_now(&self, from: u64, to: u64) -> Result<Bytes> {
        match self {
            Self::Bytes(bytes) => {
                let end = index(to).min(bytes.len());
                Ok(bytes.slice(index(from).min(end)..end))
            }
            #[cfg(feature = "fs")]
            Self::File { file, len } => {
                use std::io::{Read as _, Seek as _, SeekFrom};
                let mut buffer = vec![0; index(to.saturating_sub(from))];
                let mut file = lock(file);
                file.seek(SeekFrom::Start(from)).map_err(unreadable)?;
                match file.read_exact(&mut buffer) {
                    Ok(()) => Ok(buffer.into()),
                    Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                        Err(changed(*len, "it became shorter"))
                    }
                    Err(error) => Err(unreadable(error)),
                }
            }
        }
    }

    pub(crate) async fn check_unchanged(&self) -> Result<()> {
        match self {
            Self::Bytes(_) => Ok(()),
            #[cfg(feature = "fs")]
            Self::File { file, len } => {
                let (file, len) = (Arc::clone(file), *len);
                let now = spawn_blocking(move || lock(&file).metadata().map(|m| m.len()));
                let now = now.await.map_err(unreadable)?.map_err(unreadable)?;
                if now == len { Ok(()) } else { Err(changed(len, "it has another length now")) }
            }
        }
    }
}

#[cfg(feature = "fs")]
fn changed(len: u64, how: &str) -> Error {
    let text = format!("the content changed: {len} bytes before, and {how}");
    Error::new(ErrorKind::Source, text)
}

/// A body that reads and hashes one piece ahead of the connection.
pub(crate) fn stream(replay: Replay, from: u64, to: u64, ledger: Ledger) -> Body {
    Body::stream(Streamed { replay, ledger, at: from, to, next: None })
}

struct Streamed {
    replay: Replay,
    ledger: Ledger,
    /// Where the next piece starts that the connection is given.
    at: u64,
    to: u64,
    next: Option<JoinHandle<Result<Bytes>>>,
}

impl Streamed {
    /// Reads and hashes a piece on a thread that may block.
    fn load(&self, from: u64) -> JoinHandle<Result<Bytes>> {
        let (replay, ledger) = (self.replay.clone(), self.ledger.clone());
        let to = self.to.min(from.saturating_add(PIECE));
        spawn_blocking(move || {
            let piece = replay.read_now(from, to)?;
            ledger.note(from, &piece);
            Ok(piece)
        })
    }
}

impl http_body::Body for Streamed {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        let this = &mut *self;
        if this.at >= this.to {
            return Poll::Ready(None);
        }
        let mut load = match this.next.take() {
            Some(load) => load,
            None => this.load(this.at),
        };
        let Poll::Ready(loaded) = Pin::new(&mut load).poll(cx) else {
            this.next = Some(load);
            return Poll::Pending;
        };
        let piece = loaded.map_err(unreadable).and_then(|piece| piece);
        let piece = match piece.and_then(|piece| this.ledger.check().map(|()| piece)) {
            Ok(piece) => piece,
            Err(error) => {
                this.to = this.at;
                return Poll::Ready(Some(Err(this.ledger.breaks(error))));
            }
        };
        this.ledger.note_sent(this.at);
        this.at = this.at.saturating_add(piece.len() as u64);
        if this.at < this.to {
            this.next = Some(this.load(this.at));
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.at >= self.to
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.to.saturating_sub(self.at))
    }
}

/// Read, hashed and sent at once.
pub(crate) const PIECE: u64 = 512 * 1024;

/// Longer pieces are hashed on a thread that may block: about a tenth of a millisecond.
const LARGE: usize = 128 * 1024;

/// A quarter of a usual second-level cache.
const HASHED_AT_ONCE: usize = 512 * 1024;
