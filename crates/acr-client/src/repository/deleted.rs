//! What was soft-deleted, and how to bring it back.

use acr_core::{Digest, Error};
use acr_registry::{DeletedManifest, DeletedTag, ListPager, RestoreManifest};

use super::Repository;

/// Soft-deleted artifacts.
#[cfg_attr(docsrs, doc(cfg(feature = "preview")))]
impl Repository {
    /// Lists the soft-deleted manifests: `GET /acr/v1/_deleted/{name}/_manifests`.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// let digest = repo.resolve("v1").await?;
    /// repo.delete_manifest(&digest).await?;
    /// let deleted = repo.list_deleted_manifests().try_next().await?;
    /// assert_eq!(deleted.map(|manifest| manifest.digest), Some(digest));
    /// # Ok(()) });
    /// ```
    pub fn list_deleted_manifests(&self) -> ListPager<DeletedManifest> {
        self.metadata.list_deleted_manifests()
    }

    /// Lists the soft-deleted tags: `GET /acr/v1/_deleted/{name}/_tags`.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// repo.delete_manifest_of_tag("v1").await?;
    /// assert!(repo.list_deleted_tags().try_next().await?.is_some());
    /// # Ok(()) });
    /// ```
    pub fn list_deleted_tags(&self) -> ListPager<DeletedTag> {
        self.metadata.list_deleted_tags()
    }

    /// Restores a soft-deleted manifest, with one of its tags or without:
    /// `POST /acr/v1/_deleted/{name}/_manifests/{digest}`. Await the builder.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// let digest = repo.resolve("v1").await?;
    /// repo.delete_manifest(&digest).await?;
    /// repo.restore_manifest(&digest).tag("v1").await?;
    /// assert_eq!(repo.resolve("v1").await?, digest);
    /// # Ok(()) });
    /// ```
    pub fn restore_manifest(
        &self,
        digest: impl TryInto<Digest, Error: Into<Error>>,
    ) -> RestoreManifest {
        self.metadata.restore_manifest(digest)
    }
}
