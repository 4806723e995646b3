//! Manifests, what refers to them, and what was soft-deleted.

use acr_core::{Deletion, Digest, Error, Reference, Result, Tag};
use acr_registry::{DescriptorView, ManifestChanges, ManifestProperties};
use bytes::Bytes;

use super::Repository;
use crate::blocking::{
    list::ListPager,
    manifest::{GetManifest, PutManifest},
};

impl Repository {
    /// Lists the manifests by digest.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// for manifest in repo.list_manifests() {
    ///     println!("{}", manifest?.digest);
    /// }
    /// # Ok(()) });
    /// ```
    pub fn list_manifests(&self) -> ListPager<ManifestProperties> {
        ListPager::new(self.inner.list_manifests(), &self.runtime)
    }

    /// Gets a manifest: exact bytes, verified. Run the builder.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// let manifest = repo.get_manifest("v1").run()?;
    /// println!("{}", manifest.media_type);
    /// # Ok(()) });
    /// ```
    pub fn get_manifest(
        &self,
        reference: impl TryInto<Reference, Error: Into<Error>>,
    ) -> GetManifest {
        GetManifest::new(self.inner.get_manifest(reference), &self.runtime)
    }

    /// Puts a manifest, the bytes as they are. Run the builder.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// let manifest = repo.get_manifest("v1").run()?;
    /// repo.put_manifest(manifest.content).tag("v2").run()?;
    /// # Ok(()) });
    /// ```
    pub fn put_manifest(&self, content: impl Into<Bytes>) -> PutManifest {
        PutManifest::new(self.inner.put_manifest(content), &self.runtime)
    }

    /// Reads a manifest's properties. A tag is resolved first.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// assert_eq!(repo.manifest_properties("v1")?.digest, repo.resolve("v1")?);
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`crate::Repository::manifest_properties`].
    pub fn manifest_properties(
        &self,
        reference: impl TryInto<Reference, Error: Into<Error>> + Send,
    ) -> Result<ManifestProperties> {
        self.runtime.run(self.inner.manifest_properties(reference))
    }

    /// Changes a manifest's locks or quarantine fields. A tag is resolved first. A locked manifest
    /// does not lock its tags: see [which lock stops what](acr_registry::Permissions#which-lock-stops-what).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// use acr_client::Permissions;
    ///
    /// repo.update_manifest_properties("v1", Permissions::new().delete(false))?;
    /// assert!(repo.delete_manifest_of_tag("v1").is_err());
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`crate::Repository::update_manifest_properties`].
    pub fn update_manifest_properties(
        &self,
        reference: impl TryInto<Reference, Error: Into<Error>> + Send,
        changes: impl Into<ManifestChanges> + Send,
    ) -> Result<ManifestProperties> {
        self.runtime.run(self.inner.update_manifest_properties(reference, changes))
    }

    /// Deletes a manifest and all its tags.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// let digest = repo.resolve("v1")?;
    /// repo.delete_manifest(&digest)?;
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`crate::Repository::delete_manifest`].
    pub fn delete_manifest(
        &self,
        digest: impl TryInto<Digest, Error: Into<Error>> + Send,
    ) -> Result<Deletion> {
        self.runtime.run(self.inner.delete_manifest(digest))
    }

    /// Deletes the manifest that a tag points to now, and all its tags.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// assert!(repo.delete_manifest_of_tag("v1")?.digest.is_some());
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`crate::Repository::delete_manifest_of_tag`].
    pub fn delete_manifest_of_tag(
        &self,
        tag: impl TryInto<Tag, Error: Into<Error>> + Send,
    ) -> Result<Deletion> {
        self.runtime.run(self.inner.delete_manifest_of_tag(tag))
    }

    /// The digest a tag or digest stands for now.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// assert_eq!(repo.resolve("v1")?, repo.resolve("latest")?);
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`crate::Repository::resolve`].
    pub fn resolve(
        &self,
        reference: impl TryInto<Reference, Error: Into<Error>> + Send,
    ) -> Result<Digest> {
        self.runtime.run(self.inner.resolve(reference))
    }

    /// Lists what refers to a manifest.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// let digest = repo.resolve("v1")?;
    /// assert_eq!(repo.list_referrers(&digest).count(), 0);
    /// # Ok(()) });
    /// ```
    pub fn list_referrers(
        &self,
        subject: impl TryInto<Digest, Error: Into<Error>>,
    ) -> ListPager<DescriptorView> {
        ListPager::new(self.inner.list_referrers(subject), &self.runtime)
    }

    /// Lists the soft-deleted manifests.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// repo.delete_manifest_of_tag("v1")?;
    /// assert_eq!(repo.list_deleted_manifests().count(), 1);
    /// # Ok(()) });
    /// ```
    #[cfg(feature = "preview")]
    #[cfg_attr(docsrs, doc(cfg(feature = "preview")))]
    pub fn list_deleted_manifests(&self) -> ListPager<acr_registry::DeletedManifest> {
        ListPager::new(self.inner.list_deleted_manifests(), &self.runtime)
    }

    /// Lists the soft-deleted tags.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// repo.delete_manifest_of_tag("v1")?;
    /// assert_eq!(repo.list_deleted_tags().count(), 2);
    /// # Ok(()) });
    /// ```
    #[cfg(feature = "preview")]
    #[cfg_attr(docsrs, doc(cfg(feature = "preview")))]
    pub fn list_deleted_tags(&self) -> ListPager<acr_registry::DeletedTag> {
        ListPager::new(self.inner.list_deleted_tags(), &self.runtime)
    }

    /// Restores a soft-deleted manifest. Run the builder.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// let digest = repo.resolve("v1")?;
    /// repo.delete_manifest(&digest)?;
    /// repo.restore_manifest(&digest).tag("v1").run()?;
    /// # Ok(()) });
    /// ```
    #[cfg(feature = "preview")]
    #[cfg_attr(docsrs, doc(cfg(feature = "preview")))]
    pub fn restore_manifest(
        &self,
        digest: impl TryInto<Digest, Error: Into<Error>>,
    ) -> crate::blocking::RestoreManifest {
        crate::blocking::RestoreManifest::new(self.inner.restore_manifest(digest), &self.runtime)
    }
}
