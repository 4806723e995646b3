//! A repository, without async: its own properties here; tags, manifests and blobs each in a file below.

mod blobs;
mod manifests;
mod tags;

use acr_core::{CallOptions, Deletion, RepositoryName, Result};
use acr_registry::{Permissions, RepositoryProperties};

use super::runtime::Runtime;

/// A repository of a registry; [`crate::Repository`] without async. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Repository {
    inner: crate::Repository,
    runtime: Runtime,
}

impl Repository {
    pub(crate) fn new(inner: crate::Repository, runtime: &Runtime) -> Self {
        Self { inner, runtime: runtime.clone() }
    }

    /// The repository's name.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// assert_eq!(repo.repository().as_str(), "library/app");
    /// # Ok(()) });
    /// ```
    pub fn repository(&self) -> &RepositoryName {
        self.inner.repository()
    }

    /// The same repository with further options for its calls; as [`crate::Repository::with`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// use acr_client::{CallOptions, RetryPolicy};
    ///
    /// let once = CallOptions::new().retry(RetryPolicy::default().retries(0));
    /// repo.with(once).tag_properties("v1")?;
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn with(&self, options: CallOptions) -> Self {
        Self { inner: self.inner.with(options), runtime: self.runtime.clone() }
    }

    /// Reads the repository's properties.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// assert_eq!(repo.properties()?.tag_count, Some(2));
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`crate::Repository::properties`].
    pub fn properties(&self) -> Result<RepositoryProperties> {
        self.runtime.run(self.inner.properties())
    }

    /// Changes the repository's locks: see
    /// [which lock stops what](acr_registry::Permissions#which-lock-stops-what).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// use acr_client::Permissions;
    ///
    /// let locked = repo.update_properties(Permissions::new().delete(false))?;
    /// assert_eq!(locked.permissions.can_delete(), Some(false));
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`crate::Repository::update_properties`].
    pub fn update_properties(
        &self,
        permissions: impl Into<Permissions> + Send,
    ) -> Result<RepositoryProperties> {
        self.runtime.run(self.inner.update_properties(permissions))
    }

    /// Deletes the repository with all it holds.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// use acr_client::Was;
    ///
    /// assert_eq!(repo.delete()?.was, Was::Existed);
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`crate::Repository::delete`].
    pub fn delete(&self) -> Result<Deletion> {
        self.runtime.run(self.inner.delete())
    }
}
