//! An upload as a `Write`.

use std::{
    io::{self, Write},
    sync::Arc,
};

use acr_blob::{BlobInfo, Chunker};
use acr_core::{Error, ErrorKind, Result};
use bytes::Bytes;

use super::{runtime::refuse_async, upload::UploadSession};

/// An upload session that is a [`std::io::Write`]: gathers what is written into chunks of 4 MiB and
/// sends each with a request.
///
/// Nothing is stored before [`finish`](UploadWriter::finish), and nothing at all without it. After an
/// error the upload is over, and all that follows fails with the same one, until it is
/// [cancelled](UploadWriter::cancel). Only what is refused inside of async code changes nothing,
/// `finish` and `cancel` included: it works again outside.
#[derive(Debug)]
#[must_use = "an upload that is not finished stores nothing"]
pub struct UploadWriter {
    /// None as soon as it is complete, or could not be completed.
    session: Option<UploadSession>,
    gathered: Chunker,
    /// What ended the upload: something that was accepted was not sent.
    over: Option<Arc<Error>>,
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
        UploadWriter { session: Some(self), gathered: Chunker::new(CHUNK), over: None }
    }
}

impl UploadWriter {
    /// Sends what is left and stores the blob. Takes the writer by reference, so that a refusal inside
    /// of async code leaves it as it was; once it is finished nothing more can be written.
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
    /// Those of [`UploadSession::complete`], and the one that ended the upload before.
    pub fn finish(&mut self) -> Result<BlobInfo> {
        self.send_full()?;
        let session = self.session.take().ok_or_else(finished)?;
        let gathered = std::mem::replace(&mut self.gathered, Chunker::new(CHUNK));
        let completed = session.complete(gathered.finish().unwrap_or_default(), None);
        completed.map_err(|error| self.end(error))
    }

    /// Ends the upload without storing anything: `DELETE {location}`. Takes the writer by reference, as
    /// [`finish`](UploadWriter::finish) does. After a write that failed nothing is sent where that has
    /// ended the session already.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// repo.start_upload()?.into_writer().cancel()?;
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`UploadSession::cancel`]; the one of a [`finish`](UploadWriter::finish) that failed, after
    /// which nobody knows whether the blob is stored, or of a `cancel` that failed, after which the session
    /// expires by itself; [`ErrorKind::InvalidInput`] once it is stored, or cancelled.
    pub fn cancel(&mut self) -> Result<()> {
        refuse_async()?;
        // After a write that failed the registry may still have it.
        match self.session.take() {
            Some(session) => {
                session.cancel().map_err(|error| self.end(error))?;
                self.over = None;
                Ok(())
            }
            None => Err(self.over.as_ref().map_or_else(finished, Error::shared)),
        }
    }

    /// Sends what makes up whole chunks.
    fn send_full(&mut self) -> Result<()> {
        self.check()?;
        while let Some(chunk) = self.gathered.next_chunk() {
            self.send(chunk)?;
        }
        Ok(())
    }

    /// Asked before anything is taken out, so that a refusal loses nothing.
    fn check(&self) -> Result<()> {
        match &self.over {
            Some(error) => Err(Error::shared(error)),
            None if self.session.is_none() => Err(finished()),
            None => refuse_async(),
        }
    }

    fn send(&mut self, chunk: Bytes) -> Result<()> {
        let session = self.session.as_mut().ok_or_else(finished)?;
        session.write(chunk).map_err(|error| self.end(error))
    }

    /// Notes what ended the upload.
    fn end(&mut self, error: Error) -> Error {
        let error = Arc::new(error);
        self.over = Some(Arc::clone(&error));
        Error::shared(&error)
    }
}

fn finished() -> Error {
    Error::new(ErrorKind::InvalidInput, "the upload is finished: begin another one")
}

impl Write for UploadWriter {
    /// Takes what has room in the chunk that is gathered; one that is full is sent by the next call.
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.send_full()?;
        let room = CHUNK.saturating_sub(self.gathered.len());
        let taken = buffer.get(..room).unwrap_or(buffer);
        self.gathered.push(Bytes::copy_from_slice(taken));
        Ok(taken.len())
    }

    /// Sends what was gathered, in a chunk that may be short.
    fn flush(&mut self) -> io::Result<()> {
        self.send_full()?;
        let gathered = std::mem::replace(&mut self.gathered, Chunker::new(CHUNK));
        match gathered.finish() {
            Some(last) => Ok(self.send(last)?),
            None => Ok(()),
        }
    }
}

/// Below what any registry refuses.
const CHUNK: usize = 4 * 1024 * 1024;
