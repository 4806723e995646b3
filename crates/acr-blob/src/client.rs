//! The client of one repository's blobs.

use acr_core::{
    Action, ByteRange, CallOptions, Deletion, Digest, Error, Pipeline, RepositoryName, Result,
    Scope, Was,
    http::{Effect, response},
    value::Given,
};
use http::Method;

use crate::{
    content::Content,
    download::{Download, DownloadRange},
    info::BlobInfo,
    look,
    repository::Repository,
    upload::{Mount, Upload, UploadCheckpoint, UploadSession},
};

/// The blobs of one repository. Cheap to clone.
#[derive(Clone, Debug)]
pub struct BlobClient {
    repository: Repository,
}

impl BlobClient {
    /// A client that sends through this pipeline.
    ///
    /// ```
    /// use acr_blob::BlobClient;
    /// use acr_core::Pipeline;
    /// # use acr_testkit::FakeRegistry;
    /// # let registry = FakeRegistry::new();
    /// # let pipeline: Pipeline =
    /// #     Pipeline::builder(registry.endpoint()).transport(registry.transport()).build()?;
    ///
    /// // As `acr_auth::connect` makes one, or a builder of your own.
    /// let blobs = BlobClient::new(pipeline, "library/app".parse()?);
    /// assert_eq!(blobs.repository().as_str(), "library/app");
    /// # Ok::<_, acr_core::Error>(())
    /// ```
    pub fn new(pipeline: Pipeline, repository: RepositoryName) -> Self {
        Self { repository: Repository::new(pipeline, repository) }
    }

    /// The same client with further options for its calls: a cheap clone. What they do not set
    /// stays as it was.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |blobs, digest| {
    /// use acr_core::{CallOptions, layer::RetryPolicy};
    ///
    /// let patient = blobs.with(CallOptions::new().retry(RetryPolicy::default().retries(10)));
    /// assert!(patient.exists(&digest).await?);
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn with(&self, options: CallOptions) -> Self {
        Self { repository: self.repository.with(options) }
    }

    /// The repository.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |blobs, digest| {
    /// assert_eq!(blobs.repository().as_str(), "library/app");
    /// # Ok(()) });
    /// ```
    pub fn repository(&self) -> &RepositoryName {
        &self.repository.name
    }

    /// Asks for a blob's size: `HEAD /v2/{name}/blobs/{digest}`.
    ///
    /// Where the registry refuses a `HEAD`, or its storage a link for one, a `GET` is sent
    /// in its place, whose content is not read.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |blobs, digest| {
    /// let layer = blobs.blob_properties(&digest).await?;
    /// assert_eq!((layer.digest, layer.size), (digest, 12));
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// [`acr_core::ErrorKind::NotFound`] when it is absent; [`acr_core::ErrorKind::Protocol`] when the answer has
    /// no size; [`acr_core::ErrorKind::Integrity`] when it is about another blob.
    ///
    /// # Cancellation
    ///
    /// Dropping the future sends nothing more.
    pub async fn blob_properties(&self, digest: &Digest) -> Result<BlobInfo> {
        look::properties(&self.repository, digest).await
    }

    /// Whether the repository has a blob: `HEAD /v2/{name}/blobs/{digest}`.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |blobs, digest| {
    /// use acr_core::Digest;
    ///
    /// assert!(blobs.exists(&digest).await?);
    /// assert!(!blobs.exists(&Digest::sha256(b"something else")).await?);
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// As [`BlobClient::blob_properties`], but no error of absence: an
    /// [`acr_core::ErrorKind::NotFound`] is a 404 that visibly is not the registry's, such as a
    /// proxy's page in HTML, and says nothing of the blob.
    ///
    /// # Cancellation
    ///
    /// Dropping the future sends nothing more.
    pub async fn exists(&self, digest: &Digest) -> Result<bool> {
        Ok(look::find(&self.repository, digest).await?.is_some())
    }

    /// Downloads a blob: `GET /v2/{name}/blobs/{digest}` and the redirect it answers with.
    ///
    /// Await the builder for a [`crate::BlobReader`], or call `to_file`.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |blobs, digest| {
    /// let content = blobs.download(&digest).await?.bytes(1 << 20).await?;
    /// assert_eq!(content, &b"sample layer"[..]);
    /// # Ok(()) });
    /// ```
    pub fn download(&self, digest: impl TryInto<Digest, Error: Into<Error>>) -> Download {
        Download::new(self.repository.clone(), Given::new(digest))
    }

    /// Downloads a part of a blob, which nothing can verify: `GET` with `Range`, and the
    /// redirect it answers with. Await the builder for a [`crate::PartialReader`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |blobs, digest| {
    /// let part = blobs.download_range(&digest, 7..=11).await?;
    /// assert_eq!(part.bytes(1 << 20).await?, &b"layer"[..]);
    /// # Ok(()) });
    /// ```
    pub fn download_range(
        &self,
        digest: impl TryInto<Digest, Error: Into<Error>>,
        range: impl TryInto<ByteRange, Error: Into<Error>>,
    ) -> DownloadRange {
        DownloadRange::new(self.repository.clone(), Given::new(digest), Given::new(range))
    }

    /// Whether a blob exists and reaches to the end of a range, or into it if the range
    /// has no end: `HEAD` with `Range`, which some registries ignore.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |blobs, digest| {
    /// assert!(blobs.has_range(&digest, "bytes=0-11".parse()?).await?);
    /// assert!(!blobs.has_range(&digest, "bytes=0-12".parse()?).await?);
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// As [`BlobClient::exists`].
    ///
    /// # Cancellation
    ///
    /// Dropping the future sends nothing more.
    pub async fn has_range(&self, digest: &Digest, range: ByteRange) -> Result<bool> {
        look::has_range(&self.repository, digest, range).await
    }

    /// Uploads content: `POST …/blobs/uploads/`, then `PATCH` if need be, and a closing
    /// `PUT`. Content of at most one chunk takes two requests.
    ///
    /// Await the builder.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |blobs, digest| {
    /// let config = blobs.upload("{}").await?;
    /// assert!(blobs.exists(&config.digest).await?);
    /// # Ok(()) });
    /// ```
    pub fn upload(&self, content: impl Into<Content>) -> Upload {
        Upload::new(self.repository.clone(), content.into())
    }

    /// Opens an upload to write to piece by piece: `POST …/blobs/uploads/`.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |blobs, digest| {
    /// let mut session = blobs.start_upload().await?;
    /// session.write("sample ").await?;
    /// let blob = session.complete("layer", None).await?;
    /// assert_eq!(blob.digest, digest);
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// [`acr_core::ErrorKind::Forbidden`] without the right to push.
    ///
    /// # Cancellation
    ///
    /// After a drop a session may be open on the registry; it expires.
    pub async fn start_upload(&self) -> Result<UploadSession> {
        UploadSession::start(&self.repository).await
    }

    /// Goes on with an upload of [`UploadSession`], perhaps of another process: asks the
    /// registry how far it got (`GET {location}`). Nobody can check that what is written to it
    /// goes on from what was sent: whoever calls this vouches for it. To go on with content
    /// that can be given again from its start, use [`Upload::resume`], which compares.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |blobs, digest| {
    /// let mut session = blobs.start_upload().await?;
    /// session.write("sample ").await?;
    /// let saved = session.checkpoint().expect("a session that is open");
    /// // In another process:
    /// let session = blobs.resume_upload(&saved).await?;
    /// assert_eq!(session.complete("layer", Some(&digest)).await?.size, 12);
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// [`acr_core::ErrorKind::Session`] when the session is gone or got further than the checkpoint;
    /// [`acr_core::ErrorKind::InvalidInput`] for the checkpoint of another repository. Any other error
    /// leaves the session as it was: try again later.
    ///
    /// # Cancellation
    ///
    /// Dropping the future sends nothing more.
    pub async fn resume_upload(&self, checkpoint: &UploadCheckpoint) -> Result<UploadSession> {
        UploadSession::resume(&self.repository, checkpoint).await
    }

    /// Takes a blob over from another repository of the registry without sending it:
    /// `POST …/blobs/uploads/?mount=…&from=…`. If the registry will not, or refuses the
    /// request, an upload is opened instead. An answer that does not name the blob is looked
    /// at: `HEAD /v2/{name}/blobs/{digest}`. Needs the right to pull from the other repository.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |blobs, digest| {
    /// use acr_blob::Mount;
    ///
    /// match blobs.mount(&digest, &"library/base".parse()?).await? {
    ///     Mount::Mounted => println!("nothing had to be sent"),
    ///     Mount::NotMounted(session) => { session.complete("sample layer", Some(&digest)).await?; }
    ///     _ => unreachable!("there are no others yet"),
    /// }
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// [`acr_core::ErrorKind::Forbidden`] without the right to push.
    ///
    /// # Cancellation
    ///
    /// After a drop the blob may be mounted, or a session open that expires.
    pub async fn mount(&self, digest: &Digest, from: &RepositoryName) -> Result<Mount> {
        UploadSession::mount(&self.repository, digest, from).await
    }

    /// Deletes a blob: `DELETE /v2/{name}/blobs/{digest}`. The registry does not check
    /// whether a manifest still names it.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |blobs, digest| {
    /// use acr_core::Was;
    ///
    /// assert_eq!(blobs.delete_blob(&digest).await?.was, Was::Existed);
    /// assert_eq!(blobs.delete_blob(&digest).await?.was, Was::Absent);
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// [`acr_core::ErrorKind::Forbidden`] without the right to delete; [`acr_core::ErrorKind::NotFound`] for a
    /// 404 that visibly is not the registry's, such as a proxy's page in HTML.
    ///
    /// # Cancellation
    ///
    /// After a drop the deletion may or may not have happened.
    pub async fn delete_blob(&self, digest: &Digest) -> Result<Deletion> {
        let request = self
            .repository
            .blob_request(Method::DELETE, digest, "delete_blob")
            .scope(Scope::repository(&self.repository.name, &[Action::DELETE]))
            .effect(Effect::Set)
            .build()?;
        let answer = self.repository.pipeline.send(request).await?;
        match response::expect_deleted(answer).await {
            Ok(()) => Ok(Deletion::new(Was::Existed).digest(digest.clone())),
            Err(error) if error.is_not_found() && !error.is_foreign() => {
                Ok(Deletion::new(Was::Absent))
            }
            Err(error) => Err(error),
        }
    }
}
