//! Downloads, and what is read of them.

use std::io::{self, Read};

use acr_blob::{DownloadCheckpoint, Progress};
use acr_core::{Digest, Error, ErrorKind, Result};
use bytes::Bytes;
use tokio::io::AsyncReadExt as _;

use super::{builder, runtime::Runtime};

builder! {
    /// Downloads a blob when run; see [`acr_blob::Download`].
    Download of acr_blob::Download;
    size(bytes: u64), r#"
let layer = repo.upload("sample layer").run()?;
repo.download(&layer.digest).size(layer.size).run()?.bytes(1 << 20)?;"#;
    max_size(bytes: u64), r#"
let layer = repo.upload("sample layer").run()?;
assert!(repo.download(&layer.digest).max_size(4).run().is_err());"#;
    resume(checkpoint: DownloadCheckpoint), r#"
let layer = repo.upload("sample layer").run()?;
let mut half = [0; 6];
let mut reader = repo.download(&layer.digest).run()?;
std::io::Read::read_exact(&mut reader, &mut half).unwrap();
let rest = repo.download(&layer.digest).resume(reader.checkpoint()).run()?;
assert_eq!(rest.bytes(1 << 20)?, " layer");"#;
    on_progress(function: impl Fn(Progress) + Send + Sync + 'static), r#"
let layer = repo.upload("sample layer").run()?;
let download = repo.download(&layer.digest).on_progress(|progress| println!("{progress:?}"));
download.run()?.bytes(1 << 20)?;"#;
}

impl Download {
    /// Sends the request and waits for the answer's head.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// let layer = repo.upload("sample layer").run()?;
    /// std::io::copy(&mut repo.download(&layer.digest).run()?, &mut std::io::stdout()).unwrap();
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`acr_blob::Download`], and [`InvalidInput`](crate::ErrorKind::InvalidInput)
    /// inside of async code.
    pub fn run(self) -> Result<BlobReader> {
        let inner = self.runtime.run(self.inner)?;
        Ok(BlobReader { inner, runtime: self.runtime })
    }

    /// Downloads into a file, which appears only when its content is verified; as
    /// [`acr_blob::Download::to_file`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// let folder = tempfile::tempdir().unwrap();
    /// let layer = repo.upload("sample layer").run()?;
    /// let size = repo.download(&layer.digest).to_file(folder.path().join("layer"))?;
    /// assert_eq!(size, 12);
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Download::run`], and [`Source`](crate::ErrorKind::Source) when the file cannot be
    /// written.
    #[cfg(feature = "fs")]
    #[cfg_attr(docsrs, doc(cfg(feature = "fs")))]
    pub fn to_file(self, path: impl AsRef<std::path::Path> + Send) -> Result<u64> {
        self.runtime.run(self.inner.to_file(path))
    }

    /// Downloads into a file and keeps what came when it ends early, so that the same call goes on
    /// there; as [`acr_blob::Download::to_file_resumable`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// let folder = tempfile::tempdir().unwrap();
    /// let layer = repo.upload("sample layer").run()?;
    /// let path = folder.path().join("layer");
    /// assert_eq!(repo.download(&layer.digest).to_file_resumable(path)?, 12);
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`acr_blob::Download::to_file_resumable`], and
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) inside of async code.
    #[cfg(feature = "fs")]
    #[cfg_attr(docsrs, doc(cfg(feature = "fs")))]
    pub fn to_file_resumable(self, path: impl AsRef<std::path::Path> + Send) -> Result<u64> {
        self.runtime.run(self.inner.to_file_resumable(path))
    }
}

builder! {
    /// Downloads a part of a blob when run; see [`acr_blob::DownloadRange`].
    DownloadRange of acr_blob::DownloadRange;
}

impl DownloadRange {
    /// Sends the request and waits for the answer's head.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// let layer = repo.upload("sample layer").run()?;
    /// let part = repo.download_range(&layer.digest, 0..=5).run()?;
    /// assert_eq!(part.bytes(16)?, "sample");
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`acr_blob::DownloadRange`], and [`InvalidInput`](crate::ErrorKind::InvalidInput)
    /// inside of async code.
    pub fn run(self) -> Result<PartialReader> {
        let inner = self.runtime.run(self.inner)?;
        Ok(PartialReader { inner, rest: Bytes::new(), runtime: self.runtime })
    }
}

/// The content of a blob, verified while it is read; see [`acr_blob::BlobReader`].
///
/// Dropping it ends the transfer.
#[derive(Debug)]
pub struct BlobReader {
    inner: acr_blob::BlobReader,
    runtime: Runtime,
}

impl BlobReader {
    /// As [`acr_blob::BlobReader::digest`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// let layer = repo.upload("sample layer").run()?;
    /// assert_eq!(*repo.download(&layer.digest).run()?.digest(), layer.digest);
    /// # Ok(()) });
    /// ```
    pub fn digest(&self) -> &Digest {
        self.inner.digest()
    }

    /// As [`acr_blob::BlobReader::len`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// let layer = repo.upload("sample layer").run()?;
    /// assert_eq!(repo.download(&layer.digest).run()?.len(), Some(12));
    /// # Ok(()) });
    /// ```
    pub fn len(&self) -> Option<u64> {
        self.inner.len()
    }

    /// As [`acr_blob::BlobReader::is_empty`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// let layer = repo.upload("sample layer").run()?;
    /// assert!(!repo.download(&layer.digest).run()?.is_empty());
    /// # Ok(()) });
    /// ```
    pub fn is_empty(&self) -> bool {
        self.inner.is_empty()
    }

    /// As [`acr_blob::BlobReader::checkpoint`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// let layer = repo.upload("sample layer").run()?;
    /// let checkpoint = repo.download(&layer.digest).run()?.checkpoint();
    /// let content = repo.download(&layer.digest).resume(checkpoint).run()?.bytes(1 << 20)?;
    /// assert_eq!(content, "sample layer");
    /// # Ok(()) });
    /// ```
    pub fn checkpoint(&self) -> DownloadCheckpoint {
        self.inner.checkpoint()
    }

    /// The next piece, or `None` after the last, when everything matched.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// let layer = repo.upload("sample layer").run()?;
    /// let mut reader = repo.download(&layer.digest).run()?;
    /// while let Some(piece) = reader.chunk()? {
    ///     println!("{} bytes", piece.len());
    /// }
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`acr_blob::BlobReader::chunk`].
    pub fn chunk(&mut self) -> Result<Option<Bytes>> {
        self.runtime.run(self.inner.chunk())
    }

    /// Reads everything that was not read yet into memory, up to `limit` bytes.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// let layer = repo.upload("sample layer").run()?;
    /// assert_eq!(repo.download(&layer.digest).run()?.bytes(1 << 20)?, "sample layer");
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`acr_blob::BlobReader::bytes`].
    pub fn bytes(self, limit: usize) -> Result<Bytes> {
        self.runtime.run(self.inner.bytes(limit))
    }
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let reader = &mut self.inner;
        let read = self.runtime.run(async { Ok(reader.read(buffer).await) });
        read?
    }
}

/// Opens the file that the beginning of a download was written to, as it was at the checkpoint; as
/// [`DownloadCheckpoint::reopen`]. Sends nothing.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("layer.partial");
/// use acr_client::blocking::reopen;
/// use std::{fs, io};
///
/// let layer = repo.upload("sample layer").run()?;
/// let reader = repo.download(&layer.digest).run()?;
/// fs::write(&path, "").unwrap();
/// let saved = reader.checkpoint();
/// let mut file = reopen(&saved, &path)?;
/// io::copy(&mut repo.download(&layer.digest).resume(saved).run()?, &mut file).unwrap();
/// assert_eq!(fs::read(&path).unwrap(), b"sample layer");
/// # Ok(()) });
/// ```
///
/// # Errors
///
/// Those of [`DownloadCheckpoint::reopen`], and [`InvalidInput`](crate::ErrorKind::InvalidInput)
/// inside of async code.
#[cfg(feature = "fs")]
#[cfg_attr(docsrs, doc(cfg(feature = "fs")))]
pub fn reopen(
    checkpoint: &DownloadCheckpoint,
    path: impl AsRef<std::path::Path> + Send,
) -> Result<std::fs::File> {
    Runtime::start()?.run(checkpoint.reopen(path))
}

/// A part of a blob. **Not verified**; see [`acr_blob::PartialReader`].
#[derive(Debug)]
pub struct PartialReader {
    inner: acr_blob::PartialReader,
    /// Of the last piece, what was not read.
    rest: Bytes,
    runtime: Runtime,
}

impl PartialReader {
    /// As [`acr_blob::PartialReader::total`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// let layer = repo.upload("sample layer").run()?;
    /// let part = repo.download_range(&layer.digest, 7..).run()?;
    /// assert_eq!(part.total(), Some(12));
    /// # Ok(()) });
    /// ```
    pub fn total(&self) -> Option<u64> {
        self.inner.total()
    }

    /// The next piece, or `None` after the last.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// let layer = repo.upload("sample layer").run()?;
    /// let mut part = repo.download_range(&layer.digest, 7..).run()?;
    /// assert_eq!(part.chunk()?.as_deref(), Some(&b"layer"[..]));
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`acr_blob::PartialReader::chunk`].
    pub fn chunk(&mut self) -> Result<Option<Bytes>> {
        match std::mem::take(&mut self.rest) {
            rest if !rest.is_empty() => Ok(Some(rest)),
            _ => self.runtime.run(self.inner.chunk()),
        }
    }

    /// Reads what was not read yet into memory, up to `limit` bytes.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// let layer = repo.upload("sample layer").run()?;
    /// let part = repo.download_range(&layer.digest, 7..).run()?;
    /// assert_eq!(part.bytes(16)?, "layer");
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`acr_blob::PartialReader::bytes`].
    pub fn bytes(self, limit: usize) -> Result<Bytes> {
        let Self { inner, rest, runtime } = self;
        let Some(left) = limit.checked_sub(rest.len()) else {
            let text = format!("the part is larger than the limit of {limit} bytes");
            return Err(Error::new(ErrorKind::TooLarge, text));
        };
        let more = runtime.run(inner.bytes(left))?;
        if rest.is_empty() {
            return Ok(more);
        }
        Ok([rest, more].concat().into())
    }
}

impl Read for PartialReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while self.rest.is_empty() {
            match self.runtime.run(self.inner.chunk())? {
                Some(piece) => self.rest = piece,
                None => return Ok(0),
            }
        }
        let part = self.rest.split_to(buffer.len().min(self.rest.len()));
        let (taken, _) = buffer.split_at_mut(part.len());
        taken.copy_from_slice(&part);
        Ok(part.len())
    }
}
