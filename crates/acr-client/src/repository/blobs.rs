//! Blobs.

#[allow(unused_imports, reason = "for links in the documentation")]
use acr_blob::BlobClient;
use acr_blob::{
    BlobInfo, Content, Download, DownloadRange, Mount, Upload, UploadCheckpoint, UploadSession,
};
use acr_core::{ByteRange, Deletion, Digest, Error, RepositoryName, Result};

use super::{Repository, named};

impl Repository {
    /// Uploads content: bytes, a file, a stream. Await the builder; see [`Upload`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// let layer = repo.upload("sample layer").await?;
    /// assert!(repo.exists(&layer.digest).await?);
    /// # Ok(()) });
    /// ```
    pub fn upload(&self, content: impl Into<Content>) -> Upload {
        self.blobs.upload(content)
    }

    /// Downloads a blob: `GET /v2/{name}/blobs/{digest}` and the redirect it answers with. Await
    /// the builder for a reader that verifies, or call [`Download::to_file`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// let layer = repo.upload("sample layer").await?;
    /// let content = repo.download(&layer.digest).await?.bytes(1 << 20).await?;
    /// assert_eq!(content, "sample layer");
    /// # Ok(()) });
    /// ```
    pub fn download(&self, digest: impl TryInto<Digest, Error: Into<Error>>) -> Download {
        self.blobs.download(digest)
    }

    /// Downloads a part of a blob, which nothing can verify. Await the builder.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// let layer = repo.upload("sample layer").await?;
    /// let part = repo.download_range(&layer.digest, 0..=5).await?;
    /// assert_eq!(part.bytes(16).await?, "sample");
    /// # Ok(()) });
    /// ```
    pub fn download_range(
        &self,
        digest: impl TryInto<Digest, Error: Into<Error>>,
        range: impl TryInto<ByteRange, Error: Into<Error>>,
    ) -> DownloadRange {
        self.blobs.download_range(digest, range)
    }

    /// Opens an upload to write to piece by piece: `POST …/blobs/uploads/`.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// let mut session = repo.start_upload().await?;
    /// session.write("sample ").await?;
    /// let layer = session.complete("layer", None).await?;
    /// assert_eq!(layer.size, 12);
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`BlobClient::start_upload`].
    ///
    /// # Cancellation
    ///
    /// After a drop a session may be open on the registry; it expires.
    pub async fn start_upload(&self) -> Result<UploadSession> {
        self.blobs.start_upload().await
    }

    /// Goes on with an upload of a session, perhaps of another process: `GET {location}`.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// let mut session = repo.start_upload().await?;
    /// session.write("sample ").await?;
    /// if let Some(checkpoint) = session.checkpoint() {
    ///     let session = repo.resume_upload(&checkpoint).await?;
    ///     assert_eq!(session.complete("layer", None).await?.size, 12);
    /// }
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`BlobClient::resume_upload`].
    ///
    /// # Cancellation
    ///
    /// Dropping the future sends nothing more.
    pub async fn resume_upload(&self, checkpoint: &UploadCheckpoint) -> Result<UploadSession> {
        self.blobs.resume_upload(checkpoint).await
    }

    /// Takes a blob over from another repository of the registry without sending it.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |registry, repo| {
    /// use acr_client::Mount;
    ///
    /// let layer = repo.upload("sample layer").await?;
    /// let other = registry.repository("library/other")?;
    /// assert!(matches!(other.mount(&layer.digest, "library/app").await?, Mount::Mounted));
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`BlobClient::mount`].
    ///
    /// # Cancellation
    ///
    /// After a drop the blob may be mounted, or a session open that expires.
    pub async fn mount(
        &self,
        digest: impl TryInto<Digest, Error: Into<Error>> + Send,
        from: impl TryInto<RepositoryName, Error: Into<Error>> + Send,
    ) -> Result<Mount> {
        let (digest, from) = (named(digest)?, named(from)?);
        self.blobs.mount(&digest, &from).await
    }

    /// Asks for a blob's size: `HEAD /v2/{name}/blobs/{digest}`.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// let layer = repo.upload("sample layer").await?;
    /// assert_eq!(repo.blob_properties(&layer.digest).await?.size, 12);
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`BlobClient::blob_properties`].
    ///
    /// # Cancellation
    ///
    /// Dropping the future sends nothing more.
    pub async fn blob_properties(
        &self,
        digest: impl TryInto<Digest, Error: Into<Error>> + Send,
    ) -> Result<BlobInfo> {
        let digest = named(digest)?;
        self.blobs.blob_properties(&digest).await
    }

    /// Whether the repository has a blob: `HEAD /v2/{name}/blobs/{digest}`.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// assert!(!repo.exists(acr_client::Digest::sha256(b"never uploaded")).await?);
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`BlobClient::exists`].
    ///
    /// # Cancellation
    ///
    /// Dropping the future sends nothing more.
    pub async fn exists(
        &self,
        digest: impl TryInto<Digest, Error: Into<Error>> + Send,
    ) -> Result<bool> {
        let digest = named(digest)?;
        self.blobs.exists(&digest).await
    }

    /// Whether a blob exists and reaches to the end of a range: `HEAD` with `Range`.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// let layer = repo.upload("sample layer").await?;
    /// assert!(repo.has_range(&layer.digest, 0..=11).await?);
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`BlobClient::has_range`].
    ///
    /// # Cancellation
    ///
    /// Dropping the future sends nothing more.
    pub async fn has_range(
        &self,
        digest: impl TryInto<Digest, Error: Into<Error>> + Send,
        range: impl TryInto<ByteRange, Error: Into<Error>> + Send,
    ) -> Result<bool> {
        let (digest, range) = (named(digest)?, named(range)?);
        self.blobs.has_range(&digest, range).await
    }

    /// Deletes a blob: `DELETE /v2/{name}/blobs/{digest}`. The registry does not check whether a
    /// manifest still names it.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// use acr_client::Was;
    ///
    /// let layer = repo.upload("sample layer").await?;
    /// assert_eq!(repo.delete_blob(&layer.digest).await?.was, Was::Existed);
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`BlobClient::delete_blob`].
    ///
    /// # Cancellation
    ///
    /// After a drop the deletion may or may not have happened.
    pub async fn delete_blob(
        &self,
        digest: impl TryInto<Digest, Error: Into<Error>> + Send,
    ) -> Result<Deletion> {
        let digest = named(digest)?;
        self.blobs.delete_blob(&digest).await
    }
}
