//! Tags.

use acr_core::{Deletion, Error, Reference, Result, Tag};
use acr_registry::{Permissions, TagProperties};

use super::Repository;
use crate::blocking::{list::ListPager, manifest::TagManifest};

impl Repository {
    /// Lists the tags by name.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// for tag in repo.list_tags() {
    ///     println!("{}", tag?.name);
    /// }
    /// # Ok(()) });
    /// ```
    pub fn list_tags(&self) -> ListPager<TagProperties> {
        ListPager::new(self.inner.list_tags(), &self.runtime)
    }

    /// Reads a tag's properties.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// assert_eq!(repo.tag_properties("v1")?.name.as_str(), "v1");
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`crate::Repository::tag_properties`].
    pub fn tag_properties(
        &self,
        tag: impl TryInto<Tag, Error: Into<Error>> + Send,
    ) -> Result<TagProperties> {
        self.runtime.run(self.inner.tag_properties(tag))
    }

    /// Changes a tag's locks, which are not those of its manifest: see
    /// [which lock stops what](acr_registry::Permissions#which-lock-stops-what).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// use acr_client::Permissions;
    ///
    /// repo.update_tag_properties("v1", Permissions::new().delete(false).write(false))?;
    /// assert!(repo.delete_tag("v1").is_err());
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`crate::Repository::update_tag_properties`].
    pub fn update_tag_properties(
        &self,
        tag: impl TryInto<Tag, Error: Into<Error>> + Send,
        permissions: impl Into<Permissions> + Send,
    ) -> Result<TagProperties> {
        self.runtime.run(self.inner.update_tag_properties(tag, permissions))
    }

    /// Removes a tag and leaves its manifest.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// use acr_client::Was;
    ///
    /// assert_eq!(repo.delete_tag("v1")?.was, Was::Existed);
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`crate::Repository::delete_tag`].
    pub fn delete_tag(
        &self,
        tag: impl TryInto<Tag, Error: Into<Error>> + Send,
    ) -> Result<Deletion> {
        self.runtime.run(self.inner.delete_tag(tag))
    }

    /// Points a tag to a manifest that is there. Run the builder.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// repo.tag("v1", "stable").if_absent().run()?;
    /// # Ok(()) });
    /// ```
    pub fn tag(
        &self,
        from: impl TryInto<Reference, Error: Into<Error>>,
        to: impl TryInto<Tag, Error: Into<Error>>,
    ) -> TagManifest {
        TagManifest::new(self.inner.tag(from, to), &self.runtime)
    }
}
