//! What content is read from.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use acr_core::{Error, ErrorKind, http::BoxError};
use bytes::Bytes;
use futures_core::Stream;

/// Content piece by piece.
pub(crate) type Pieces = Pin<Box<dyn Stream<Item = Result<Bytes, BoxError>> + Send>>;

pub(crate) enum Source {
    Bytes(Bytes),
    Stream(Pieces),
    /// Passes once, and must have this length.
    Measured {
        pieces: Pieces,
        len: u64,
    },
    #[cfg(feature = "tokio-io")]
    Reader(Pin<Box<dyn tokio::io::AsyncRead + Send>>),
    /// A regular file, which can be read again from any offset.
    #[cfg(feature = "fs")]
    File {
        file: std::fs::File,
        /// What it was when it was opened.
        stamp: crate::stamp::Stamp,
    },
}

impl Source {
    pub(crate) fn len(&self) -> Option<u64> {
        match self {
            Self::Bytes(bytes) => Some(bytes.len() as u64),
            Self::Stream(_) => None,
            Self::Measured { len, .. } => Some(*len),
            #[cfg(feature = "tokio-io")]
            Self::Reader(_) => None,
            #[cfg(feature = "fs")]
            Self::File { stamp, .. } => Some(stamp.len()),
        }
    }

    pub(crate) fn is_replayable(&self) -> bool {
        match self {
            Self::Bytes(_) => true,
            Self::Stream(_) | Self::Measured { .. } => false,
            #[cfg(feature = "tokio-io")]
            Self::Reader(_) => false,
            #[cfg(feature = "fs")]
            Self::File { .. } => true,
        }
    }

    /// Whether it is a regular file, which is read from its first byte.
    pub(crate) fn is_file(&self) -> bool {
        #[cfg(feature = "fs")]
        if let Self::File { .. } = self {
            return true;
        }
        false
    }

    /// The same content, but read once from its first byte to its end.
    pub(crate) fn passing(self) -> Self {
        match self {
            Self::Bytes(bytes) => {
                let pieces = (!bytes.is_empty()).then_some(Ok::<_, BoxError>(bytes));
                Self::Stream(Box::pin(OnceOnly(pieces)))
            }
            #[cfg(feature = "fs")]
            Self::File { file, .. } => Self::Reader(Box::pin(tokio::fs::File::from_std(file))),
            other => other,
        }
    }
}

/// A reader, piece by piece.
#[cfg(feature = "tokio-io")]
pub(crate) struct Read<R: ?Sized> {
    reader: Pin<Box<R>>,
    /// What is read into; empty, or of the size that is read at once.
    buffer: Vec<u8>,
}

#[cfg(feature = "tokio-io")]
impl<R: ?Sized> Read<R> {
    pub(crate) fn new(reader: Pin<Box<R>>) -> Self {
        Self { reader, buffer: Vec::new() }
    }
}

#[cfg(feature = "tokio-io")]
impl<R: tokio::io::AsyncRead + ?Sized> Stream for Read<R> {
    type Item = Result<Bytes, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { reader, buffer } = &mut *self;
        buffer.resize(READ_AT_ONCE, 0);
        let mut into = tokio::io::ReadBuf::new(buffer);
        std::task::ready!(reader.as_mut().poll_read(cx, &mut into))?;
        let filled = into.filled();
        let read = filled.len();
        if read < READ_AT_ONCE / 2 {
            // Whoever keeps a short piece must not keep a long buffer with it.
            let piece = Bytes::copy_from_slice(filled);
            return Poll::Ready((read > 0).then_some(Ok(piece)));
        }
        let mut piece = std::mem::take(buffer);
        piece.truncate(read);
        Poll::Ready(Some(Ok(piece.into())))
    }
}

/// A stream of one piece.
struct OnceOnly(Option<Result<Bytes, BoxError>>);

impl Stream for OnceOnly {
    type Item = Result<Bytes, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.take())
    }
}

pub(crate) fn unreadable(source: impl Into<BoxError>) -> Error {
    match source.into().downcast::<Error>() {
        // It has the words for it already.
        Ok(ours) if ours.kind() == ErrorKind::Source => *ours,
        Ok(ours) => Error::new(ErrorKind::Source, UNREADABLE).with_source(ours),
        Err(other) => Error::new(ErrorKind::Source, UNREADABLE).with_source(other),
    }
}

const UNREADABLE: &str = "the content could not be read";

#[cfg(feature = "tokio-io")]
const READ_AT_ONCE: usize = 128 * 1024;

#[cfg(all(test, feature = "tokio-io"))]
mod tests {
    use futures_util::{FutureExt as _, StreamExt as _};

    use super::*;

    /// Gives so many bytes at a time.
    struct Slow(usize);

    impl tokio::io::AsyncRead for Slow {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            into: &mut tokio::io::ReadBuf<'_>,
        ) -> Poll<std::io::Result<()>> {
            into.put_slice(&vec![7; self.0.min(into.remaining())]);
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn a_piece_holds_at_most_twice_its_length() {
        for len in [1, 100, 1400, 65_535, 65_536, 100_000, READ_AT_ONCE] {
            let read = Read::new(Box::pin(Slow(len))).take(3).collect::<Vec<_>>();
            for piece in read.now_or_never().unwrap() {
                let piece = piece.unwrap();
                assert_eq!(piece, vec![7; len]);
                let held = piece.try_into_mut().unwrap().capacity();
                assert!(held <= 2 * len, "{held} bytes for {len}");
            }
        }
    }
}
