//! What is uploaded: bytes, a stream, a reader or a file.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use acr_core::BoxError;
use bytes::Bytes;
use futures_core::Stream;

/// The content of an upload. Read in order and hashed while it passes; bytes and regular
/// files are read again from where it is needed after a failure.
///
/// ```
/// use acr_blob::Content;
///
/// let content = Content::from("sample layer");
/// assert_eq!(content.len(), Some(12));
/// ```
pub struct Content(pub(crate) Source);

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

impl Content {
    /// A stream of pieces of any size; its length need not be known.
    pub fn stream<S, E>(stream: S) -> Self
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<BoxError> + 'static,
    {
        Self(Source::Stream(Box::pin(MapError(Some(Box::pin(stream))))))
    }

    /// Anything that can be read to its end; its length need not be known.
    #[cfg(feature = "tokio-io")]
    pub fn reader(reader: impl tokio::io::AsyncRead + Send + 'static) -> Self {
        Self(Source::Reader(Box::pin(reader)))
    }

    /// A file, read while it is sent. If its length, its times or its place on the disk are
    /// others in the end than now, it changed meanwhile, and the upload fails without storing
    /// anything. A file that was written to within the last moments before this call, when
    /// the clock of the file system may be too coarse to show another change, is read a
    /// second time before the upload ends. What is written through a memory mapping may move
    /// none of the times for a while; then only [`Upload::digest`](crate::Upload::digest)
    /// tells.
    ///
    /// # Errors
    ///
    /// [`acr_core::ErrorKind::Source`] when it cannot be opened or is a directory.
    ///
    /// # Cancellation
    ///
    /// Safe: nothing was sent.
    #[cfg(feature = "fs")]
    pub async fn file(path: impl AsRef<std::path::Path> + Send) -> acr_core::Result<Self> {
        let path = path.as_ref();
        let fail = |error: BoxError| {
            let text = format!("cannot read `{}`", path.display());
            acr_core::Error::new(acr_core::ErrorKind::Source, text).with_source(error)
        };
        let file = tokio::fs::File::open(path).await.map_err(|e| fail(e.into()))?;
        let metadata = file.metadata().await.map_err(|e| fail(e.into()))?;
        if metadata.is_dir() {
            return Err(fail("it is a directory".into()));
        }
        // Only a regular file knows its length beforehand and can be read again.
        if !metadata.is_file() {
            return Ok(Self(Source::Reader(Box::pin(file))));
        }
        let file = file.into_std().await;
        let stamp = crate::stamp::Stamp::of(&metadata);
        if metadata.len() == 0 {
            let (file, is_empty) = probe(file).await.map_err(fail)?;
            if !is_empty {
                return Ok(Self(Source::Reader(Box::pin(tokio::fs::File::from_std(file)))));
            }
            return Ok(Self(Source::File { file, stamp }));
        }
        Ok(Self(Source::File { file, stamp }))
    }

    /// The length in bytes, if known.
    pub fn len(&self) -> Option<u64> {
        match &self.0 {
            Source::Bytes(bytes) => Some(bytes.len() as u64),
            Source::Stream(_) => None,
            #[cfg(feature = "tokio-io")]
            Source::Reader(_) => None,
            #[cfg(feature = "fs")]
            Source::File { stamp, .. } => Some(stamp.len()),
        }
    }

    pub(crate) fn is_replayable(&self) -> bool {
        match &self.0 {
            Source::Bytes(_) => true,
            Source::Stream(_) => false,
            #[cfg(feature = "tokio-io")]
            Source::Reader(_) => false,
            #[cfg(feature = "fs")]
            Source::File { .. } => true,
        }
    }

    /// The same content, but read once from its first byte to its end.
    pub(crate) fn passing(self) -> Self {
        match self.0 {
            Source::Bytes(bytes) => {
                let pieces = (!bytes.is_empty()).then_some(Ok::<_, BoxError>(bytes));
                Self::stream(OnceOnly(pieces))
            }
            #[cfg(feature = "fs")]
            Source::File { file, .. } => Self::reader(tokio::fs::File::from_std(file)),
            other => Self(other),
        }
    }

    /// Whether it is known to be empty.
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }
}

impl<T: Into<Bytes>> From<T> for Content {
    fn from(content: T) -> Self {
        Self(Source::Bytes(content.into()))
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// Whether a file without a length has no content either: those of `/proc` have some, and
/// tell no length. What follows reads from the first byte.
#[cfg(feature = "fs")]
async fn probe(mut file: std::fs::File) -> Result<(std::fs::File, bool), BoxError> {
    use std::io::{Read as _, Seek as _};
    let probed = tokio::task::spawn_blocking(move || {
        let is_empty = file.read(&mut [0])? == 0;
        file.rewind()?;
        Ok::<_, std::io::Error>((file, is_empty))
    });
    Ok(probed.await??)
}

/// A stream of one piece.
struct OnceOnly(Option<Result<Bytes, BoxError>>);

impl Stream for OnceOnly {
    type Item = Result<Bytes, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.take())
    }
}

/// Also fuses: a stream that has ended is not polled again, and may drop what it holds.
struct MapError<S>(Option<Pin<Box<S>>>);

impl<S, E> Stream for MapError<S>
where
    S: Stream<Item = Result<Bytes, E>>,
    E: Into<BoxError>,
{
    type Item = Result<Bytes, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(stream) = &mut self.0 else {
            return Poll::Ready(None);
        };
        let item = ready!(stream.as_mut().poll_next(cx));
        if item.is_none() {
            self.0 = None;
        }
        Poll::Ready(item.map(|item| item.map_err(Into::into)))
    }
}
