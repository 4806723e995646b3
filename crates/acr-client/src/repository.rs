//! A repository: its own properties here; tags, manifests and blobs each in a file below.

mod blobs;
#[cfg(feature = "preview")]
mod deleted;
mod manifests;
mod tags;

use acr_blob::BlobClient;
use acr_core::{CallOptions, Deletion, Error, Pipeline, RepositoryName, Result};
use acr_registry::{Permissions, RepositoryClient, RepositoryProperties};

/// A repository of a registry: its tags, manifests and blobs. Cheap to clone.
///
/// It has every operation of the metadata client and of the content client, under the same names;
/// a name may be text wherever one is asked for. Those clients are at hand too:
/// [`Repository::metadata`], [`Repository::blobs`].
#[derive(Clone, Debug)]
pub struct Repository {
    metadata: RepositoryClient,
    blobs: BlobClient,
}

impl Repository {
    pub(crate) fn new(metadata: RepositoryClient, pipeline: Pipeline) -> Self {
        let blobs = BlobClient::new(pipeline, metadata.repository().clone());
        Self { metadata, blobs }
    }

    /// The metadata client of the repository.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// let tag = repo.metadata().list_tags().try_next().await?;
    /// assert!(tag.is_some());
    /// # Ok(()) });
    /// ```
    pub fn metadata(&self) -> &RepositoryClient {
        &self.metadata
    }

    /// The content client of the repository.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// let layer = repo.blobs().upload("sample layer").await?;
    /// assert_eq!(layer.size, 12);
    /// # Ok(()) });
    /// ```
    pub fn blobs(&self) -> &BlobClient {
        &self.blobs
    }

    /// The repository's name.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// assert_eq!(repo.repository().as_str(), "library/app");
    /// # Ok(()) });
    /// ```
    pub fn repository(&self) -> &RepositoryName {
        self.metadata.repository()
    }

    /// The same repository with further options for its calls: a cheap clone. What they do not
    /// set stays as it was.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// use acr_client::{CallOptions, RetryPolicy};
    ///
    /// let once = CallOptions::new().retry(RetryPolicy::default().retries(0));
    /// repo.with(once).tag_properties("v1").await?;
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn with(&self, options: CallOptions) -> Self {
        Self { metadata: self.metadata.with(options.clone()), blobs: self.blobs.with(options) }
    }

    /// Reads the repository's properties: `GET /acr/v1/{name}`.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// assert_eq!(repo.properties().await?.tag_count, Some(2));
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`RepositoryClient::properties`].
    ///
    /// # Cancellation
    ///
    /// Dropping the future sends nothing more.
    pub async fn properties(&self) -> Result<RepositoryProperties> {
        self.metadata.properties().await
    }

    /// Changes the repository's locks: `PATCH /acr/v1/{name}`. See
    /// [which lock stops what](acr_registry::Permissions#which-lock-stops-what).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// use acr_client::Permissions;
    ///
    /// let locked = repo.update_properties(Permissions::new().delete(false)).await?;
    /// assert_eq!(locked.permissions.can_delete(), Some(false));
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`RepositoryClient::update_properties`].
    ///
    /// # Cancellation
    ///
    /// After a drop the change may or may not have happened.
    pub async fn update_properties(
        &self,
        permissions: impl Into<Permissions> + Send,
    ) -> Result<RepositoryProperties> {
        self.metadata.update_properties(permissions).await
    }

    /// Deletes the repository with all it holds: `DELETE /acr/v1/{name}`.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// use acr_client::Was;
    ///
    /// assert_eq!(repo.delete().await?.was, Was::Existed);
    /// assert_eq!(repo.delete().await?.was, Was::Absent);
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`RepositoryClient::delete`].
    ///
    /// # Cancellation
    ///
    /// After a drop the deletion may or may not have happened.
    pub async fn delete(&self) -> Result<Deletion> {
        self.metadata.delete().await
    }
}

/// The name that was given, or why it is none.
fn named<T>(given: impl TryInto<T, Error: Into<Error>>) -> Result<T> {
    given.try_into().map_err(Into::into)
}
