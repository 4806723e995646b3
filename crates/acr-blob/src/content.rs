//! What is uploaded: bytes, a stream, a reader or a file.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use acr_core::http::BoxError;
use bytes::Bytes;
use futures_core::Stream;

#[cfg(feature = "tokio-io")]
use crate::source::Read;
use crate::{
    measured::Measured,
    source::{Pieces, Source},
};

/// The content of an upload. Read in order and hashed while it passes; bytes and regular
/// files are read again from where it is needed after a failure.
///
/// It is made of `Bytes`, `Vec<u8>`, `String`, `&'static str` and `&'static [u8]`; of a `PathBuf`
/// or an open `File` (feature `fs`), which are looked at when the upload is awaited, as by
/// [`Content::file`]; of a [stream](Content::stream) or a [reader](Content::reader), with
/// their length if it is known ([`Content::sized_stream`], [`Content::sized_reader`]).
///
/// ```no_run
/// use std::path::PathBuf;
///
/// use acr_blob::Content;
///
/// # async fn run(blobs: acr_blob::BlobClient) -> acr_core::Result<()> {
/// let layer = blobs.upload(PathBuf::from("layer.tar")).await?;
/// let config = blobs.upload("{}").await?;
/// # let _ = (layer, config);
/// # Ok(()) }
/// assert_eq!(Content::from("sample layer").len(), Some(12));
/// ```
pub struct Content(pub(crate) Given);

pub(crate) enum Given {
    Ready(Source),
    #[cfg(feature = "fs")]
    Unopened(crate::file_content::Unopened),
}

impl Content {
    /// A stream of pieces of any size; its length need not be known.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |blobs, digest| {
    /// use acr_blob::Content;
    /// use bytes::Bytes;
    /// use futures_util::stream;
    ///
    /// let pieces = stream::iter(["sample ", "layer"].map(|text| Ok::<_, std::io::Error>(Bytes::from(text))));
    /// assert_eq!(blobs.upload(Content::stream(pieces)).await?.digest, digest);
    /// # Ok(()) });
    /// ```
    pub fn stream<S, E>(stream: S) -> Self
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<BoxError> + 'static,
    {
        Self::from(Source::Stream(Box::pin(MapError(Some(Box::pin(stream))))))
    }

    /// Anything that can be read to its end; its length need not be known.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |blobs, digest| {
    /// use acr_blob::Content;
    ///
    /// // Any `tokio::io::AsyncRead`: a socket, a pipe, what decompresses.
    /// let blob = blobs.upload(Content::reader(&b"sample layer"[..])).await?;
    /// assert_eq!(blob.digest, digest);
    /// # Ok(()) });
    /// ```
    #[cfg(feature = "tokio-io")]
    pub fn reader(reader: impl tokio::io::AsyncRead + Send + 'static) -> Self {
        Self::from(Source::Reader(Box::pin(reader)))
    }

    /// A stream of as many bytes as are said, sent as one body and hashed while it passes: what a
    /// [`BlobReader`](crate::BlobReader) gives, or the body of another request. With
    /// [`Upload::digest`](crate::Upload::digest) that is `POST` and `PUT`, without `POST`, `PATCH`
    /// and `PUT`; content of at most 8 MiB is read into memory first. Fewer or more bytes are
    /// [`acr_core::ErrorKind::Source`], and nothing is stored.
    ///
    /// What passed cannot be asked for again. The last 8 MiB are kept: after a broken connection
    /// the upload goes on if the registry has what came before them. If it has less, a 503 to the
    /// whole for example, the upload ends with that error. Where that is too little, send in chunks
    /// ([`Upload::chunk_size`](crate::Upload::chunk_size)), of which each can be sent again.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |blobs, digest| {
    /// use acr_blob::Content;
    ///
    /// // From one repository to another, without a file between them.
    /// let layer = blobs.blob_properties(&digest).await?;
    /// let content = Content::sized_stream(blobs.download(&digest).await?, layer.size);
    /// assert_eq!(blobs.upload(content).digest(digest.clone()).await?.digest, digest);
    /// # Ok(()) });
    /// ```
    pub fn sized_stream<S, E>(stream: S, len: u64) -> Self
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<BoxError> + 'static,
    {
        Self::measured(Box::pin(MapError(Some(Box::pin(stream)))), len)
    }

    /// A reader of as many bytes as are said, as [`Content::sized_stream`]. It is read to its
    /// end: where other things follow, give `reader.take(len)`.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |blobs, digest| {
    /// use acr_blob::Content;
    /// use acr_core::ErrorKind;
    ///
    /// let blob = blobs.upload(Content::sized_reader(&b"sample layer"[..], 12)).await?;
    /// assert_eq!(blob.digest, digest);
    /// let error = blobs.upload(Content::sized_reader(&b"sample"[..], 12)).await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Source);
    /// # Ok(()) });
    /// ```
    #[cfg(feature = "tokio-io")]
    pub fn sized_reader(reader: impl tokio::io::AsyncRead + Send + 'static, len: u64) -> Self {
        Self::measured(Box::pin(Read::new(Box::pin(reader))), len)
    }

    fn measured(pieces: Pieces, len: u64) -> Self {
        let pieces = Box::pin(Measured::new(pieces, len));
        Self::from(Source::Measured { pieces, len })
    }

    /// A file, read while it is sent. If its length, its times or its place on the disk are
    /// others in the end than now, it changed meanwhile, and the upload fails without storing
    /// anything. A file that was written to within the last moments before this call, when
    /// the clock of the file system may be too coarse to show another change, is read a
    /// second time before the upload ends. What is written through a memory mapping may move
    /// none of the times for a while; then only [`Upload::digest`](crate::Upload::digest)
    /// tells.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |blobs, digest| {
    /// use acr_blob::Content;
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("layer.tar");
    /// # std::fs::write(&path, "sample layer")?;
    ///
    /// let content = Content::file(&path).await?;
    /// assert_eq!(content.len(), Some(12));
    /// assert_eq!(blobs.upload(content).await?.digest, digest);
    /// # Ok(()) });
    /// ```
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
        Self::from(path.as_ref().to_owned()).open().await.map(Self::from)
    }

    /// What is to be sent; a file is opened and looked at now, unless it was before.
    pub(crate) async fn open(self) -> acr_core::Result<Source> {
        match self.0 {
            Given::Ready(source) => Ok(source),
            #[cfg(feature = "fs")]
            Given::Unopened(file) => file.open().await,
        }
    }

    /// The length in bytes, if known; that of a file is known once it was opened.
    ///
    /// ```
    /// use acr_blob::Content;
    ///
    /// assert_eq!(Content::from("sample layer").len(), Some(12));
    /// assert_eq!(Content::reader(&b"sample layer"[..]).len(), None);
    /// ```
    pub fn len(&self) -> Option<u64> {
        match &self.0 {
            Given::Ready(source) => source.len(),
            #[cfg(feature = "fs")]
            Given::Unopened(_) => None,
        }
    }

    /// Whether it is known to be empty.
    ///
    /// ```
    /// use acr_blob::Content;
    ///
    /// assert!(Content::from("").is_empty());
    /// // It may be, and nobody knows yet.
    /// assert!(!Content::reader(&b""[..]).is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }
}

impl From<Source> for Content {
    fn from(source: Source) -> Self {
        Self(Given::Ready(source))
    }
}

/// One conversion for each type and no blanket: that would shut out every other for ever.
macro_rules! from_bytes {
    ($($type:ty),+) => {
        $(impl From<$type> for Content {
            fn from(content: $type) -> Self {
                Self::from(Source::Bytes(content.into()))
            }
        })+
    };
}

from_bytes!(Bytes, Vec<u8>, String, &'static str, &'static [u8]);

impl<const N: usize> From<&'static [u8; N]> for Content {
    fn from(content: &'static [u8; N]) -> Self {
        Self::from(&content[..])
    }
}

/// The file of this path, opened when the upload is awaited.
#[cfg(feature = "fs")]
impl From<std::path::PathBuf> for Content {
    fn from(path: std::path::PathBuf) -> Self {
        Self(Given::Unopened(crate::file_content::Unopened::At(path)))
    }
}

/// This file, and all of it: a regular one is read from its first byte, wherever it stands.
#[cfg(feature = "fs")]
impl From<tokio::fs::File> for Content {
    fn from(file: tokio::fs::File) -> Self {
        Self(Given::Unopened(crate::file_content::Unopened::File(file)))
    }
}

/// This file, and all of it: a regular one is read from its first byte, wherever it stands.
#[cfg(feature = "fs")]
impl From<std::fs::File> for Content {
    fn from(file: std::fs::File) -> Self {
        Self::from(tokio::fs::File::from_std(file))
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content").field("len", &self.len()).finish_non_exhaustive()
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
