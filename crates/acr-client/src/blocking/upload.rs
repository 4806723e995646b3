//! Uploads, and sessions that are written to piece by piece.

use acr_blob::{BlobInfo, Progress, UploadCheckpoint};
use acr_core::{Digest, Error, RepositoryName, Result};
use bytes::Bytes;

use super::{builder, runtime::Runtime};

builder! {
    /// Uploads content when run, and gives its digest and size; see [`acr_blob::Upload`].
    Upload of acr_blob::Upload => BlobInfo, r#"
let layer = repo.upload("sample layer").run()?;
assert_eq!(layer.size, 12);"#;
    digest(expected: impl TryInto<Digest, Error: Into<Error>>), r#"
use acr_client::Digest;

let digest = Digest::sha256(b"sample layer");
repo.upload("sample layer").digest(&digest).run()?;"#;
    chunk_size(bytes: usize), r#"
repo.upload("sample layer, in two chunks").chunk_size(16).run()?;"#;
    skip_existing(), r#"
use acr_client::Digest;

let digest = Digest::sha256(b"sample layer");
repo.upload("sample layer").digest(digest).skip_existing().run()?;"#;
    mount_from(repository: impl TryInto<RepositoryName, Error: Into<Error>>), r#"
let layer = repo.upload("sample layer").run()?;
let other = registry.repository("library/other")?;
let upload = other.upload("sample layer").digest(&layer.digest);
upload.mount_from("library/app").run()?;"#;
    on_checkpoint(function: impl Fn(&UploadCheckpoint) + Send + Sync + 'static), r#"
let upload = repo.upload("sample layer").on_checkpoint(|checkpoint| {
    println!("{} bytes are there", checkpoint.confirmed());
});
upload.run()?;"#;
    resume(checkpoint: UploadCheckpoint), r#"
let mut session = repo.start_upload()?;
session.write("sample ")?;
if let Some(checkpoint) = session.checkpoint() {
    repo.upload("sample layer").resume(checkpoint).run()?;
}"#;
    resume_vouched(checkpoint: UploadCheckpoint), r#"
let mut session = repo.start_upload()?;
session.write("sample ")?;
if let Some(checkpoint) = session.checkpoint() {
    repo.upload("layer").resume_vouched(checkpoint).run()?;
}"#;
    on_progress(function: impl Fn(Progress) + Send + Sync + 'static), r#"
let upload = repo.upload("sample layer");
upload.on_progress(|progress| println!("{} bytes", progress.transferred)).run()?;"#;
}

/// An upload in progress, to which its owner writes piece by piece; see [`acr_blob::UploadSession`].
///
/// Each [`write`](UploadSession::write) is a request. [`into_writer`](UploadSession::into_writer)
/// makes a [`std::io::Write`] of it, which gathers small pieces. Dropped without
/// [`complete`](UploadSession::complete), nothing is stored, and the session expires on the registry.
#[derive(Debug)]
#[must_use = "an upload that is not completed stores nothing"]
pub struct UploadSession {
    inner: acr_blob::UploadSession,
    runtime: Runtime,
}

/// What became of a request to mount a blob from another repository.
#[derive(Debug)]
#[non_exhaustive]
pub enum Mount {
    /// The repository has the blob now.
    Mounted,
    /// It has not; the registry opened an upload instead.
    NotMounted(UploadSession),
}

impl Mount {
    pub(crate) fn new(mount: acr_blob::Mount, runtime: &Runtime) -> Self {
        match mount {
            acr_blob::Mount::NotMounted(session) => {
                Self::NotMounted(UploadSession::new(session, runtime))
            }
            _ => Self::Mounted,
        }
    }
}

impl UploadSession {
    pub(crate) fn new(inner: acr_blob::UploadSession, runtime: &Runtime) -> Self {
        Self { inner, runtime: runtime.clone() }
    }

    /// Appends bytes: `PATCH {location}`; as [`acr_blob::UploadSession::write`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// let mut session = repo.start_upload()?;
    /// session.write("sample ")?;
    /// let layer = session.complete("layer", None)?;
    /// assert_eq!(layer.size, 12);
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`acr_blob::UploadSession::write`].
    pub fn write(&mut self, bytes: impl Into<Bytes> + Send) -> Result<()> {
        self.runtime.run(self.inner.write(bytes))
    }

    /// Bytes that the registry has confirmed.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// let mut session = repo.start_upload()?;
    /// session.write("sample ")?;
    /// assert_eq!(session.offset(), 7);
    /// # Ok(()) });
    /// ```
    pub fn offset(&self) -> u64 {
        self.inner.offset()
    }

    /// Asks the registry how many bytes it has: `GET {location}`.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// let mut session = repo.start_upload()?;
    /// session.write("sample ")?;
    /// assert_eq!(session.status()?, 7);
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`acr_blob::UploadSession::status`].
    pub fn status(&mut self) -> Result<u64> {
        self.runtime.run(self.inner.status())
    }

    /// What another process needs to go on; as [`acr_blob::UploadSession::checkpoint`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// let mut session = repo.start_upload()?;
    /// session.write("sample ")?;
    /// if let Some(checkpoint) = session.checkpoint() {
    ///     repo.resume_upload(&checkpoint)?.complete("layer", None)?;
    /// }
    /// # Ok(()) });
    /// ```
    pub fn checkpoint(&self) -> Option<UploadCheckpoint> {
        self.inner.checkpoint()
    }

    /// Ends the upload with its last bytes, possibly none: `PUT {location}&digest=`.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// let layer = repo.start_upload()?.complete("sample layer", None)?;
    /// assert!(repo.exists(&layer.digest)?);
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`acr_blob::UploadSession::complete`].
    pub fn complete(
        self,
        last: impl Into<Bytes> + Send,
        expected: Option<&Digest>,
    ) -> Result<BlobInfo> {
        self.runtime.run(self.inner.complete(last, expected))
    }

    /// Ends the upload without storing anything: `DELETE {location}`.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// repo.start_upload()?.cancel()?;
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`acr_blob::UploadSession::cancel`].
    pub fn cancel(self) -> Result<()> {
        self.runtime.run(self.inner.cancel())
    }
}
