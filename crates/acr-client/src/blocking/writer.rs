//! An upload as a `Write`.

use std::io::{self, Write};

use acr_blob::{BlobInfo, Chunker};
use acr_core::Result;
use bytes::Bytes;

use super::upload::UploadSession;

/// An upload session that is a [`std::io::Write`]: gathers what is written into chunks of 4 MiB and
/// sends each with a request.
///
/// Nothing is stored before [`finish`](UploadWriter::finish), and nothing at all without it. After an
/// error the upload is over.
#[derive(Debug)]
#[must_use = "an upload that is not finished stores nothing"]
pub struct UploadWriter {
    session: UploadSession,
    gathered: Chunker,
}

impl UploadSession {
    /// The session as a [`std::io::Write`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// use std::io::Write;
    ///
    /// let mut writer = repo.start_upload()?.into_writer();
    /// write!(writer, "sample {}", "layer").unwrap();
    /// assert_eq!(writer.finish()?.size, 12);
    /// # Ok(()) });
    /// ```
    pub fn into_writer(self) -> UploadWriter {
        UploadWriter { session: self, gathered: Chunker::new(CHUNK) }
    }
}

impl UploadWriter {
    /// Sends what is left and stores the blob.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// let mut writer = repo.start_upload()?.into_writer();
    /// std::io::copy(&mut &b"sample layer"[..], &mut writer).unwrap();
    /// let layer = writer.finish()?;
    /// assert!(repo.exists(&layer.digest)?);
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`UploadSession::complete`].
    pub fn finish(mut self) -> Result<BlobInfo> {
        while let Some(chunk) = self.gathered.next_chunk() {
            self.session.write(chunk)?;
        }
        let last = self.gathered.finish().unwrap_or_default();
        self.session.complete(last, None)
    }

    /// Ends the upload without storing anything: `DELETE {location}`.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// repo.start_upload()?.into_writer().cancel()?;
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`UploadSession::cancel`].
    pub fn cancel(self) -> Result<()> {
        self.session.cancel()
    }
}

impl Write for UploadWriter {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        // What is sent first is what was written first; the rest is taken when there is room.
        while let Some(chunk) = self.gathered.next_chunk() {
            self.session.write(chunk).map_err(io::Error::other)?;
        }
        self.gathered.push(Bytes::copy_from_slice(buffer));
        Ok(buffer.len())
    }

    /// Sends what was gathered, in a chunk that may be short.
    fn flush(&mut self) -> io::Result<()> {
        while let Some(chunk) = self.gathered.next_chunk() {
            self.session.write(chunk).map_err(io::Error::other)?;
        }
        let gathered = std::mem::replace(&mut self.gathered, Chunker::new(CHUNK));
        match gathered.finish() {
            Some(last) => self.session.write(last).map_err(io::Error::other),
            None => Ok(()),
        }
    }
}

/// Below what any registry refuses.
const CHUNK: usize = 4 * 1024 * 1024;
