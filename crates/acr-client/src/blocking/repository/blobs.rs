//! Blobs.

use acr_blob::{BlobInfo, Content, UploadCheckpoint};
use acr_core::{ByteRange, Deletion, Digest, Error, RepositoryName, Result};

use super::Repository;
use crate::blocking::{
    download::{Download, DownloadRange},
    upload::{Mount, Upload, UploadSession},
};

impl Repository {
    /// Uploads content: bytes, a file, or what a [`reader`](fn@crate::blocking::reader) gives. Run the builder.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// let layer = repo.upload("sample layer").run()?;
    /// assert!(repo.exists(&layer.digest)?);
    /// # Ok(()) });
    /// ```
    pub fn upload(&self, content: impl Into<Content>) -> Upload {
        Upload::new(self.inner.upload(content), &self.runtime)
    }

    /// Downloads a blob. Run the builder for a reader that verifies, or call `to_file`.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// let layer = repo.upload("sample layer").run()?;
    /// std::io::copy(&mut repo.download(&layer.digest).run()?, &mut std::io::stdout()).unwrap();
    /// # Ok(()) });
    /// ```
    pub fn download(&self, digest: impl TryInto<Digest, Error: Into<Error>>) -> Download {
        Download::new(self.inner.download(digest), &self.runtime)
    }

    /// Downloads a part of a blob, which nothing can verify. Run the builder.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// let layer = repo.upload("sample layer").run()?;
    /// let part = repo.download_range(&layer.digest, 0..=5).run()?;
    /// assert_eq!(part.bytes(16)?, "sample");
    /// # Ok(()) });
    /// ```
    pub fn download_range(
        &self,
        digest: impl TryInto<Digest, Error: Into<Error>>,
        range: impl TryInto<ByteRange, Error: Into<Error>>,
    ) -> DownloadRange {
        DownloadRange::new(self.inner.download_range(digest, range), &self.runtime)
    }

    /// Opens an upload to write to piece by piece.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// let mut session = repo.start_upload()?;
    /// session.write("sample ")?;
    /// session.complete("layer", None)?;
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`crate::Repository::start_upload`].
    pub fn start_upload(&self) -> Result<UploadSession> {
        Ok(UploadSession::new(self.runtime.run(self.inner.start_upload())?, &self.runtime))
    }

    /// Goes on with an upload of a session, perhaps of another process.
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
    ///
    /// # Errors
    ///
    /// Those of [`crate::Repository::resume_upload`].
    pub fn resume_upload(&self, checkpoint: &UploadCheckpoint) -> Result<UploadSession> {
        let session = self.runtime.run(self.inner.resume_upload(checkpoint))?;
        Ok(UploadSession::new(session, &self.runtime))
    }

    /// Takes a blob over from another repository of the registry without sending it.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|registry, repo| {
    /// use acr_client::blocking::Mount;
    ///
    /// let layer = repo.upload("sample layer").run()?;
    /// let other = registry.repository("library/other")?;
    /// assert!(matches!(other.mount(&layer.digest, "library/app")?, Mount::Mounted));
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`crate::Repository::mount`].
    pub fn mount(
        &self,
        digest: impl TryInto<Digest, Error: Into<Error>> + Send,
        from: impl TryInto<RepositoryName, Error: Into<Error>> + Send,
    ) -> Result<Mount> {
        let mount = self.runtime.run(self.inner.mount(digest, from))?;
        Ok(Mount::new(mount, &self.runtime))
    }

    /// Asks for a blob's size.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// let layer = repo.upload("sample layer").run()?;
    /// assert_eq!(repo.blob_properties(&layer.digest)?.size, 12);
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`crate::Repository::blob_properties`].
    pub fn blob_properties(
        &self,
        digest: impl TryInto<Digest, Error: Into<Error>> + Send,
    ) -> Result<BlobInfo> {
        self.runtime.run(self.inner.blob_properties(digest))
    }

    /// Whether the repository has a blob.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// assert!(!repo.exists(acr_client::Digest::sha256(b"never uploaded"))?);
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`crate::Repository::exists`].
    pub fn exists(&self, digest: impl TryInto<Digest, Error: Into<Error>> + Send) -> Result<bool> {
        self.runtime.run(self.inner.exists(digest))
    }

    /// Whether a blob exists and reaches to the end of a range.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// let layer = repo.upload("sample layer").run()?;
    /// assert!(repo.has_range(&layer.digest, 0..=11)?);
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`crate::Repository::has_range`].
    pub fn has_range(
        &self,
        digest: impl TryInto<Digest, Error: Into<Error>> + Send,
        range: impl TryInto<ByteRange, Error: Into<Error>> + Send,
    ) -> Result<bool> {
        self.runtime.run(self.inner.has_range(digest, range))
    }

    /// Deletes a blob.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// use acr_client::Was;
    ///
    /// let layer = repo.upload("sample layer").run()?;
    /// assert_eq!(repo.delete_blob(&layer.digest)?.was, Was::Existed);
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`crate::Repository::delete_blob`].
    pub fn delete_blob(
        &self,
        digest: impl TryInto<Digest, Error: Into<Error>> + Send,
    ) -> Result<Deletion> {
        self.runtime.run(self.inner.delete_blob(digest))
    }
}
