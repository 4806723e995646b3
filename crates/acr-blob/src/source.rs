//! What content is read from.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use acr_core::{Error, ErrorKind, http::BoxError};
use bytes::Bytes;
use futures_core::Stream;

pub(crate) enum Source {
    Bytes(Bytes),
    Stream(Pin<Box<dyn Stream<Item = Result<Bytes, BoxError>> + Send>>),
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
            #[cfg(feature = "tokio-io")]
            Self::Reader(_) => None,
            #[cfg(feature = "fs")]
            Self::File { stamp, .. } => Some(stamp.len()),
        }
    }

    pub(crate) fn is_replayable(&self) -> bool {
        match self {
            Self::Bytes(_) => true,
            Self::Stream(_) => false,
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

/// A stream of one piece.
struct OnceOnly(Option<Result<Bytes, BoxError>>);

impl Stream for OnceOnly {
    type Item = Result<Bytes, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.take())
    }
}

pub(crate) fn unreadable(source: impl Into<BoxError>) -> Error {
    Error::new(ErrorKind::Source, "the content could not be read").with_source(source)
}
