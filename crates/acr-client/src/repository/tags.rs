//! Tags.

use acr_core::{Deletion, Error, Reference, Result, Tag};
use acr_registry::{ListPager, Permissions, RepositoryClient, TagManifest, TagProperties};

use super::{Repository, named};

impl Repository {
    /// Lists the tags by name: `GET /acr/v1/{name}/_tags`, one request per page.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// let mut tags = repo.list_tags();
    /// while let Some(tag) = tags.try_next().await? {
    ///     println!("{} {}", tag.name, tag.digest);
    /// }
    /// # Ok(()) });
    /// ```
    pub fn list_tags(&self) -> ListPager<TagProperties> {
        self.metadata.list_tags()
    }

    /// Reads a tag's properties: `GET /acr/v1/{name}/_tags/{tag}`.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// assert_eq!(repo.tag_properties("v1").await?.name.as_str(), "v1");
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`RepositoryClient::tag_properties`].
    ///
    /// # Cancellation
    ///
    /// Dropping the future sends nothing more.
    pub async fn tag_properties(
        &self,
        tag: impl TryInto<Tag, Error: Into<Error>> + Send,
    ) -> Result<TagProperties> {
        let tag = named(tag)?;
        self.metadata.tag_properties(&tag).await
    }

    /// Changes a tag's locks: `PATCH /acr/v1/{name}/_tags/{tag}`. The manifest has locks of its
    /// own: [which lock stops what](acr_registry::Permissions#which-lock-stops-what).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// use acr_client::Permissions;
    ///
    /// repo.update_tag_properties("v1", Permissions::new().write(false).delete(false)).await?;
    /// assert!(repo.delete_tag("v1").await.is_err());
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`RepositoryClient::update_tag_properties`].
    ///
    /// # Cancellation
    ///
    /// After a drop the change may or may not have happened.
    pub async fn update_tag_properties(
        &self,
        tag: impl TryInto<Tag, Error: Into<Error>> + Send,
        permissions: impl Into<Permissions> + Send,
    ) -> Result<TagProperties> {
        let (tag, permissions) = (named(tag)?, permissions.into());
        self.metadata.update_tag_properties(&tag, permissions).await
    }

    /// Removes a tag and leaves its manifest: `DELETE /acr/v1/{name}/_tags/{tag}`.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// use acr_client::Was;
    ///
    /// assert_eq!(repo.delete_tag("v1").await?.was, Was::Existed);
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`RepositoryClient::delete_tag`].
    ///
    /// # Cancellation
    ///
    /// After a drop the removal may or may not have happened.
    pub async fn delete_tag(
        &self,
        tag: impl TryInto<Tag, Error: Into<Error>> + Send,
    ) -> Result<Deletion> {
        let tag = named(tag)?;
        self.metadata.delete_tag(&tag).await
    }

    /// Points a tag to a manifest that is there; see [`RepositoryClient::tag`]. Await the builder.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// let digest = repo.tag("v1", "stable").if_absent().await?;
    /// assert_eq!(repo.resolve("stable").await?, digest);
    /// # Ok(()) });
    /// ```
    pub fn tag(
        &self,
        from: impl TryInto<Reference, Error: Into<Error>>,
        to: impl TryInto<Tag, Error: Into<Error>>,
    ) -> TagManifest {
        RepositoryClient::tag(&self.metadata, from, to)
    }
}
