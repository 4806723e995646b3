//! Manifests as the registry lists them: properties, locks, deletion.

use acr_core::{
    Action, Deletion, Digest, Reference, Result, Scope, Tag, Was,
    http::{Effect, Operation, RequestBuilder},
};
use http::Method;
use serde_json::value::RawValue;

use crate::{
    list::{Item, List, metadata_read},
    list_pager::ListPager,
    locks,
    model::{Fields, ManifestChanges, ManifestProperties, Owner, quick, value},
    repository::RepositoryClient,
};

impl RepositoryClient {
    /// Lists the manifests by digest: `GET /acr/v1/{name}/_manifests`, one request per page.
    ///
    /// [`ListPager::order_by`] orders by time.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// let mut manifests = repo.list_manifests();
    /// while let Some(manifest) = manifests.try_next().await? {
    ///     if manifest.tags.is_empty() {
    ///         println!("no tag: {}", manifest.fully_qualified_reference());
    ///     }
    /// }
    /// # Ok(()) });
    /// ```
    pub fn list_manifests(&self) -> ListPager<ManifestProperties> {
        let path = ["acr", "v1", self.name.as_str(), "_manifests"];
        let list = self.list(&path, "list_manifests", metadata_read(&self.name));
        ListPager::new(list, List::pager)
    }

    /// Reads a manifest's properties: `GET /acr/v1/{name}/_manifests/{digest}`. A tag is
    /// resolved first, with [`RepositoryClient::tag_properties`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// use acr_core::Tag;
    ///
    /// let manifest = repo.manifest_properties("v1".parse::<Tag>()?).await?;
    /// assert_eq!(manifest.tags.len(), 2);
    /// assert_eq!(manifest.references.len(), 2); // an index of two images
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// [`acr_core::ErrorKind::NotFound`] when the manifest, the tag or the repository
    /// does not exist.
    ///
    /// # Cancellation
    ///
    /// Dropping the future sends nothing more.
    pub async fn manifest_properties(
        &self,
        reference: impl Into<Reference> + Send,
    ) -> Result<ManifestProperties> {
        let digest = self.digest_of(reference.into()).await?;
        let below = ["_manifests", digest.as_str()];
        let operation = self.on_manifest("manifest_properties", &digest);
        self.read_properties(&below, operation, |fields| one(fields, self.owner())).await
    }

    /// Changes a manifest's locks or quarantine fields:
    /// `PATCH /acr/v1/{name}/_manifests/{digest}`. A locked manifest does not lock its tags:
    /// a tag can still be moved to another manifest unless it is locked itself. All of it:
    /// [which lock stops what](crate::Permissions#which-lock-stops-what).
    ///
    /// Takes [`Permissions`](crate::Permissions), [`ManifestChanges`], or the properties
    /// whose flags shall be restored. A tag is resolved first.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// use acr_core::Tag;
    /// use acr_registry::Permissions;
    ///
    /// let v1: Tag = "v1".parse()?;
    /// let locked = Permissions::new().delete(false).write(false);
    /// let manifest = repo.update_manifest_properties(&v1, locked).await?;
    /// assert_eq!(manifest.permissions.can_write(), Some(false));
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// [`acr_core::ErrorKind::NotFound`] when the manifest, the tag or the repository
    /// does not exist.
    ///
    /// # Cancellation
    ///
    /// After a drop the change may or may not have happened.
    pub async fn update_manifest_properties(
        &self,
        reference: impl Into<Reference> + Send,
        changes: impl Into<ManifestChanges> + Send,
    ) -> Result<ManifestProperties> {
        let changes = changes.into();
        let digest = self.digest_of(reference.into()).await?;
        let below = ["_manifests", digest.as_str()];
        let operation = self.on_manifest("update_manifest_properties", &digest);
        let read = |fields: Fields<'_>| one(fields, self.owner());
        let is_done = |manifest: &ManifestProperties| changes.are_in(manifest);
        self.write_properties(&below, &changes, operation, read, is_done).await
    }

    /// Deletes a manifest and all its tags: `DELETE /v2/{name}/manifests/{digest}`.
    ///
    /// By digest only: a deletion by tag would hide what goes. See
    /// [`RepositoryClient::delete_manifest_of_tag`] and, for the name alone,
    /// [`RepositoryClient::delete_tag`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// use acr_core::Tag;
    ///
    /// let digest = repo.resolve("v1".parse::<Tag>()?).await?;
    /// assert!(repo.delete_manifest(&digest).await?.existed());
    /// assert!(repo.list_tags().try_next().await?.is_none()); // both are gone with it
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// [`acr_core::ErrorKind::Disallowed`] when the manifest, a tag of it or the repository is
    /// locked: see [which lock stops what](crate::Permissions#which-lock-stops-what).
    ///
    /// # Cancellation
    ///
    /// After a drop the deletion may or may not have happened.
    pub async fn delete_manifest(&self, digest: &Digest) -> Result<Deletion> {
        let path = ["v2", self.name.as_str(), "manifests", digest.as_str()];
        let request = RequestBuilder::new(Method::DELETE, self.pipeline.endpoint(), &path)
            .accept_json()
            .operation(self.on_manifest("delete_manifest", digest))
            .scope(Scope::repository(&self.name, &[Action::DELETE]))
            .effect(Effect::Set)
            .build()?;
        // Not by its properties: this interface is the one that every registry has.
        let look = Box::pin(async { self.resolve(digest).await.map(drop) });
        Ok(match self.send_deletion(request, locks::DELETE_MANIFEST, look).await? {
            Some(_) => Deletion::new(Was::Existed).digest(digest.clone()),
            None => Deletion::new(Was::Absent),
        })
    }

    /// Deletes the manifest that a tag points to now, and all its tags: the tag is read,
    /// then the manifest is deleted by the digest found.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// let deletion = repo.delete_manifest_of_tag(&"v1".parse()?).await?;
    /// println!("deleted {:?}", deletion.digest);
    /// // The tag `latest` stood for the same manifest.
    /// assert!(repo.list_tags().try_next().await?.is_none());
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// As [`RepositoryClient::delete_manifest`]. A tag that does not exist is
    /// [`Was::Absent`], without a digest; so is a manifest that somebody else deleted after the
    /// tag was read, and then the digest is the one that the tag stood for.
    ///
    /// # Cancellation
    ///
    /// After a drop the deletion may or may not have happened.
    pub async fn delete_manifest_of_tag(&self, tag: &Tag) -> Result<Deletion> {
        let digest = match self.tag_properties(tag).await {
            Ok(properties) => properties.digest,
            Err(error) if error.is_not_found() && !error.is_foreign() => {
                return Ok(Deletion::new(Was::Absent));
            }
            Err(error) => return Err(error),
        };
        Ok(self.delete_manifest(&digest).await?.digest(digest))
    }

    /// The digest itself, or what the tag points to by its properties.
    async fn digest_of(&self, reference: Reference) -> Result<Digest> {
        match reference {
            Reference::Tag(tag) => Ok(self.tag_properties(&tag).await?.digest),
            Reference::Digest(digest) => Ok(digest),
            _ => Err(acr_core::Error::new(
                acr_core::ErrorKind::InvalidInput,
                "neither a tag nor a digest",
            )),
        }
    }

    fn on_manifest(&self, name: &'static str, digest: &Digest) -> Operation {
        Operation::new(name).on(format_args!("{}@{digest}", self.name))
    }
}

/// The answer about a single manifest.
fn one(mut envelope: Fields<'_>, owner: Owner) -> Result<ManifestProperties, String> {
    let manifest = envelope.need("manifest")?;
    ManifestProperties::read(manifest, &owner.or_of(&mut envelope))
}

impl Item for ManifestProperties {
    const LIST: &'static str = "manifests";
    const ONE: Option<&'static str> = Some("manifest");

    fn read(raw: &RawValue, owner: Option<&Owner>) -> Result<Self, String> {
        let owner = owner.ok_or("a manifest of no repository")?;
        Self::read(value(raw)?, owner)
    }

    fn quick(body: &[u8], owner: Option<&Owner>) -> Option<Vec<Self>> {
        quick::manifests(body, owner?)
    }

    fn key(&self) -> impl std::hash::Hash {
        (&self.digest, self.updated_at)
    }
}
