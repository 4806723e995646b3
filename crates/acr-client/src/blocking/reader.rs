//! A `Read` as the content of an upload.

use std::{
    io::{self, Read},
    pin::Pin,
    task::{Context, Poll},
    thread,
};

use acr_blob::Content;
use bytes::Bytes;
use futures_core::Stream;
use tokio::sync::mpsc;

/// The content of a [`std::io::Read`], for an upload: a pipe, an archive that is made while it is
/// sent, a blob of this or another registry. It is read on a thread of its own, a piece or two of
/// 256 KiB ahead, which begins when the upload wants content and ends with it, once the `read` that
/// it is in has returned; there it may call the client. Its length need not be known. A file
/// is better given as one, since it can be read again after a failure.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|registry, repo| {
/// use acr_client::blocking::reader;
///
/// let layer = repo.upload(reader(std::io::repeat(7).take(100_000))).run()?;
/// // To another repository, or registry.
/// let other = registry.repository("library/other")?;
/// let copy = other.upload(reader(repo.download(&layer.digest).run()?)).run()?;
/// assert_eq!(copy.digest, layer.digest);
/// # use std::io::Read as _;
/// # Ok(()) });
/// ```
pub fn reader(reader: impl Read + Send + 'static) -> Content {
    Content::stream(Pieces::NotAsked(Box::new(reader)))
}

/// The same of a known length: it goes in the body of one request, as a file does, where what has no
/// known length goes in chunks.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
/// use acr_client::blocking::sized_reader;
///
/// let layer = repo.upload(sized_reader(&b"sample layer"[..], 12)).run()?;
/// assert_eq!(layer.size, 12);
/// // Content of another length is not stored.
/// assert!(repo.upload(sized_reader(&b"sample"[..], 12)).run().is_err());
/// # Ok(()) });
/// ```
pub fn sized_reader(reader: impl Read + Send + 'static, len: u64) -> Content {
    Content::sized_stream(Pieces::NotAsked(Box::new(reader)), len)
}

/// What the thread gives; nothing, if it went on without saying that the content ended.
enum Pieces {
    NotAsked(Box<dyn Read + Send>),
    Reading(mpsc::Receiver<io::Result<Bytes>>),
    Over,
}

impl Stream for Pieces {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            *self = match std::mem::replace(&mut *self, Self::Over) {
                Self::Over => return Poll::Ready(None),
                Self::NotAsked(reader) => Self::Reading(start(reader)?),
                Self::Reading(mut pieces) => {
                    let Poll::Ready(piece) = pieces.poll_recv(cx) else {
                        *self = Self::Reading(pieces);
                        return Poll::Pending;
                    };
                    // Content that breaks off must not pass for content that ended.
                    let piece = piece.unwrap_or_else(|| Err(io::Error::other("it panicked")))?;
                    if piece.is_empty() {
                        return Poll::Ready(None);
                    }
                    *self = Self::Reading(pieces);
                    return Poll::Ready(Some(Ok(piece)));
                }
            }
        }
    }
}

/// Reads on a thread of no runtime: what is read may be a blob of this client, whose calls wait.
fn start(mut reader: Box<dyn Read + Send>) -> io::Result<mpsc::Receiver<io::Result<Bytes>>> {
    let (sender, pieces) = mpsc::channel(1);
    let read_all = move || {
        loop {
            let piece = read_piece(&mut reader);
            // It said that it ended: a terminal or a pipe might begin again.
            let is_last = piece.as_ref().map_or(true, |piece| piece.len() < PIECE);
            let is_end_told = piece.as_ref().map_or(true, Bytes::is_empty);
            // Nobody takes it when the upload is over.
            if sender.blocking_send(piece).is_err() {
                return;
            }
            if is_last {
                if !is_end_told {
                    let _ = sender.blocking_send(Ok(Bytes::new()));
                }
                return;
            }
        }
    };
    thread::Builder::new().name("acr-reader".to_owned()).spawn(read_all)?;
    Ok(pieces)
}

/// The next piece; an empty one at the end.
fn read_piece(reader: &mut dyn Read) -> io::Result<Bytes> {
    let mut piece = Vec::with_capacity(PIECE);
    reader.take(PIECE as u64).read_to_end(&mut piece)?;
    Ok(piece.into())
}

/// Large enough for a change of threads to cost nothing.
const PIECE: usize = 256 * 1024;
