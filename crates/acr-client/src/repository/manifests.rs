//! Manifests and what refers to them.

use acr_core::{Deletion, Digest, Error, Reference, Result, Tag};
#[allow(unused_imports, reason = "for links in the documentation")]
use acr_registry::RepositoryClient;
use acr_registry::{
    DescriptorView, GetManifest, ListPager, ManifestChanges, ManifestProperties, PutManifest,
};
use bytes::Bytes;

use super::{Repository, named};

impl Repository {
    /// Lists the manifests by digest: `GET /acr/v1/{name}/_manifests`, one request per page.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// let mut manifests = repo.list_manifests();
    /// while let Some(manifest) = manifests.try_next().await? {
    ///     println!("{} {:?}", manifest.digest, manifest.tags);
    /// }
    /// # Ok(()) });
    /// ```
    pub fn list_manifests(&self) -> ListPager<ManifestProperties> {
        self.metadata.list_manifests()
    }

    /// Gets a manifest: `GET /v2/{name}/manifests/{reference}`, exact bytes, verified. Await the
    /// builder.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// use acr_client::{Document, Platform};
    ///
    /// let image = repo.get_manifest("v1").platform(Platform::new("linux", "arm64")).await?;
    /// assert!(matches!(image.document()?, Document::Image(_)));
    /// # Ok(()) });
    /// ```
    pub fn get_manifest(
        &self,
        reference: impl TryInto<Reference, Error: Into<Error>>,
    ) -> GetManifest {
        self.metadata.get_manifest(reference)
    }

    /// Puts a manifest: `PUT /v2/{name}/manifests/{tag or digest}`, the bytes as they are. Await
    /// the builder.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// let manifest = repo.get_manifest("v1").await?;
    /// repo.put_manifest(manifest.content).tag("v2").await?;
    /// # Ok(()) });
    /// ```
    pub fn put_manifest(&self, content: impl Into<Bytes>) -> PutManifest {
        self.metadata.put_manifest(content)
    }

    /// Reads a manifest's properties: `GET /acr/v1/{name}/_manifests/{digest}`. A tag is resolved
    /// first.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// let properties = repo.manifest_properties("v1").await?;
    /// assert_eq!(properties.digest, repo.resolve("v1").await?);
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`RepositoryClient::manifest_properties`].
    ///
    /// # Cancellation
    ///
    /// Dropping the future sends nothing more.
    pub async fn manifest_properties(
        &self,
        reference: impl TryInto<Reference, Error: Into<Error>> + Send,
    ) -> Result<ManifestProperties> {
        let reference: Reference = named(reference)?;
        self.metadata.manifest_properties(reference).await
    }

    /// Changes a manifest's locks or quarantine fields:
    /// `PATCH /acr/v1/{name}/_manifests/{digest}`. A tag is resolved first. A locked manifest does not
    /// lock its tags: a tag can still be moved to another manifest unless it is locked itself. So
    /// lock both where an image shall stay ([which lock stops what](acr_registry::Permissions#which-lock-stops-what)).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// use acr_client::{ErrorKind, ImageManifest, Permissions};
    ///
    /// let locked = Permissions::new().write(false).delete(false);
    /// let digest = repo.update_tag_properties("v1", locked).await?.digest;
    /// repo.update_manifest_properties(&digest, locked).await?;
    ///
    /// let error = repo.delete_manifest(&digest).await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Disallowed);
    /// let other = ImageManifest::artifact("application/vnd.example").to_json()?;
    /// let error = repo.put_manifest(other).tag("v1").await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Disallowed);
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`RepositoryClient::update_manifest_properties`].
    ///
    /// # Cancellation
    ///
    /// After a drop the change may or may not have happened.
    pub async fn update_manifest_properties(
        &self,
        reference: impl TryInto<Reference, Error: Into<Error>> + Send,
        changes: impl Into<ManifestChanges> + Send,
    ) -> Result<ManifestProperties> {
        let (reference, changes): (Reference, _) = (named(reference)?, changes.into());
        self.metadata.update_manifest_properties(reference, changes).await
    }

    /// Deletes a manifest and all its tags: `DELETE /v2/{name}/manifests/{digest}`.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// use acr_client::Was;
    ///
    /// let digest = repo.resolve("v1").await?;
    /// assert_eq!(repo.delete_manifest(&digest).await?.was, Was::Existed);
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`RepositoryClient::delete_manifest`].
    ///
    /// # Cancellation
    ///
    /// After a drop the deletion may or may not have happened.
    pub async fn delete_manifest(
        &self,
        digest: impl TryInto<Digest, Error: Into<Error>> + Send,
    ) -> Result<Deletion> {
        let digest = named(digest)?;
        self.metadata.delete_manifest(&digest).await
    }

    /// Deletes the manifest that a tag points to now, and all its tags.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// let deletion = repo.delete_manifest_of_tag("v1").await?;
    /// assert!(deletion.digest.is_some());
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`RepositoryClient::delete_manifest_of_tag`].
    ///
    /// # Cancellation
    ///
    /// After a drop the deletion may or may not have happened.
    pub async fn delete_manifest_of_tag(
        &self,
        tag: impl TryInto<Tag, Error: Into<Error>> + Send,
    ) -> Result<Deletion> {
        let tag = named(tag)?;
        self.metadata.delete_manifest_of_tag(&tag).await
    }

    /// The digest a tag or digest stands for now: `HEAD /v2/{name}/manifests/{reference}`.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// assert_eq!(repo.resolve("v1").await?, repo.resolve("latest").await?);
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`RepositoryClient::resolve`].
    ///
    /// # Cancellation
    ///
    /// Dropping the future sends nothing more.
    pub async fn resolve(
        &self,
        reference: impl TryInto<Reference, Error: Into<Error>> + Send,
    ) -> Result<Digest> {
        let reference: Reference = named(reference)?;
        self.metadata.resolve(reference).await
    }

    /// Lists what refers to a manifest: `GET /v2/{name}/referrers/{digest}`, one request per page.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// let digest = repo.resolve("v1").await?;
    /// assert!(repo.list_referrers(&digest).try_next().await?.is_none());
    /// # Ok(()) });
    /// ```
    pub fn list_referrers(
        &self,
        subject: impl TryInto<Digest, Error: Into<Error>>,
    ) -> ListPager<DescriptorView> {
        self.metadata.list_referrers(subject)
    }
}
