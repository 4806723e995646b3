//! A registry, without async.

use acr_core::{CallOptions, Endpoint, Error, RepositoryName, Result};
use acr_registry::ApiVersion;

use super::{list::ListPager, repository::Repository, runtime::Runtime};
use crate::{builder::RegistryBuilder, login_server::LoginServer};

/// A registry, signed in to when it is needed; [`crate::Registry`] without async. Cheap to clone; all
/// clones share a thread, connections and tokens.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|registry, _| {
/// for tag in registry.repository("library/app")?.list_tags() {
///     println!("{}", tag?.name);
/// }
/// # Ok(()) });
/// ```
#[derive(Clone, Debug)]
pub struct Registry {
    inner: crate::Registry,
    runtime: Runtime,
}

impl Registry {
    /// The registry of this login server, with everything else as the surroundings have it; as
    /// [`crate::Registry::connect`]. For settings there is
    /// [`RegistryBuilder::build_blocking`](crate::RegistryBuilder::build_blocking).
    ///
    /// ```
    /// use acr_client::blocking::Registry;
    ///
    /// let registry = Registry::connect("myregistry.azurecr.io")?;
    /// assert_eq!(registry.endpoint().host(), "myregistry.azurecr.io");
    /// # Ok::<(), acr_client::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`crate::Registry::connect`], and
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) inside of async code.
    pub fn connect(login_server: impl Into<LoginServer>) -> Result<Self> {
        Self::new(crate::Registry::connect(login_server)?)
    }

    /// An async registry, used without async: its connections then belong to the thread of this
    /// one, so do not use both.
    ///
    /// ```
    /// use acr_client::{Credential, Registry, blocking};
    ///
    /// let pipeline = acr_auth::connect("myregistry.azurecr.io", Credential::anonymous())?;
    /// let registry = blocking::Registry::new(Registry::new(pipeline))?;
    /// # drop(registry);
    /// # Ok::<(), acr_client::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) inside of async code;
    /// [`Source`](crate::ErrorKind::Source) when the thread cannot be started.
    pub fn new(registry: crate::Registry) -> Result<Self> {
        Ok(Self { inner: registry, runtime: Runtime::start()? })
    }

    /// Its address.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|registry, _| {
    /// assert!(registry.endpoint().is_https());
    /// # Ok(()) });
    /// ```
    pub fn endpoint(&self) -> &Endpoint {
        self.inner.endpoint()
    }

    /// The same registry with further options for its calls; as [`crate::Registry::with`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|registry, _| {
    /// use acr_client::CallOptions;
    ///
    /// registry.with(CallOptions::new().request_id("build-4711")).ping()?;
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn with(&self, options: CallOptions) -> Self {
        Self { inner: self.inner.with(options), runtime: self.runtime.clone() }
    }

    /// Names this version in metadata calls, and in those of the repositories it opens.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|registry, _| {
    /// use acr_client::ApiVersion;
    ///
    /// let registry = registry.api_version(ApiVersion::V2019_08_15_PREVIEW);
    /// assert_eq!(registry.list_repositories().count(), 1);
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn api_version(self, version: ApiVersion) -> Self {
        Self { inner: self.inner.api_version(version), ..self }
    }

    /// Asks whether the registry is there, and whether one may sign in: `GET /v2/`.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|registry, _| {
    /// registry.ping()?;
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`crate::Registry::ping`].
    pub fn ping(&self) -> Result<()> {
        self.runtime.run(self.inner.ping())
    }

    /// Opens a repository. Sends nothing; the repository need not exist.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|registry, _| {
    /// assert!(registry.repository("library/app").is_ok());
    /// assert!(registry.repository("Library/App").is_err());
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) when the text is not a repository name.
    pub fn repository(
        &self,
        name: impl TryInto<RepositoryName, Error: Into<Error>>,
    ) -> Result<Repository> {
        Ok(Repository::new(self.inner.repository(name)?, &self.runtime))
    }

    /// Lists the names of the repositories in their order.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|registry, _| {
    /// for name in registry.list_repositories() {
    ///     println!("{}", name?);
    /// }
    /// # Ok(()) });
    /// ```
    pub fn list_repositories(&self) -> ListPager<RepositoryName> {
        ListPager::new(self.inner.list_repositories(), &self.runtime)
    }

    /// Lists the soft-deleted repositories.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|registry, _| {
    /// assert_eq!(registry.list_deleted_repositories().count(), 0);
    /// # Ok(()) });
    /// ```
    #[cfg(feature = "preview")]
    #[cfg_attr(docsrs, doc(cfg(feature = "preview")))]
    pub fn list_deleted_repositories(&self) -> ListPager<acr_registry::DeletedRepository> {
        ListPager::new(self.inner.list_deleted_repositories(), &self.runtime)
    }
}

/// Without async.
impl RegistryBuilder {
    /// Builds the registry for programs without async. Layers that start a task when they are
    /// built, such as tower's `BufferLayer`, start it on the thread of this registry.
    ///
    /// ```
    /// use acr_client::{Credential, Registry};
    ///
    /// let registry = Registry::builder("myregistry.azurecr.io")
    ///     .credential(Credential::anonymous())
    ///     .build_blocking()?;
    /// # drop(registry);
    /// # Ok::<(), acr_client::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`RegistryBuilder::build`] and [`Registry::new`].
    #[cfg_attr(docsrs, doc(cfg(feature = "blocking")))]
    pub fn build_blocking(self) -> Result<Registry> {
        let runtime = Runtime::start()?;
        // Outside, where the caller's functions may use a registry of this kind.
        let stacked = self.stacked()?;
        let pipeline = {
            let _inside = runtime.enter();
            stacked.build()?
        };
        Ok(Registry { inner: crate::Registry::new(pipeline), runtime })
    }
}
