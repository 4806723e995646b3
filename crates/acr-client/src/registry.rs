//! A registry.

use acr_core::{CallOptions, Endpoint, Error, Pipeline, RepositoryName, Result};
use acr_registry::{ApiVersion, ListPager, RegistryClient};

use crate::{builder::RegistryBuilder, login_server::LoginServer, repository::Repository};

/// A registry, signed in to when it is needed. Cheap to clone; all clones share connections and
/// tokens.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |registry, _| {
/// let repo = registry.repository("library/app")?;
/// let mut tags = repo.list_tags();
/// while let Some(tag) = tags.try_next().await? {
///     println!("{} {}", tag.name, tag.digest);
/// }
/// # Ok(()) });
/// ```
#[derive(Clone, Debug)]
pub struct Registry {
    pipeline: Pipeline,
    metadata: RegistryClient,
}

impl Registry {
    /// The registry of this login server, with everything else as the surroundings have it.
    ///
    /// Sends nothing yet: the first operation signs in, as whoever the surroundings say the
    /// program is. For a registry of Azure that is what
    /// [`DefaultCredential`](acr_auth::entra::DefaultCredential) finds (a service principal, a
    /// pod, a machine, you with `az login`); else, and for any other host, who is logged in there with
    /// Docker, podman or skopeo; else nobody. Connections trust the authorities of the platform,
    /// and go through the proxy of `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`. On Linux,
    /// `SSL_CERT_FILE` and `SSL_CERT_DIR` name other authorities. They are read when the first
    /// connection is made; where there are none, it fails with `InvalidInput`.
    ///
    /// ```
    /// use acr_client::Registry;
    ///
    /// let registry = Registry::connect("myregistry.azurecr.io")?;
    /// assert_eq!(registry.endpoint().host(), "myregistry.azurecr.io");
    /// # Ok::<(), acr_client::Error>(())
    /// ```
    ///
    /// The whole name of an image leads here too:
    ///
    /// ```
    /// use acr_client::{ImageReference, Registry};
    ///
    /// let image: ImageReference = "myregistry.azurecr.io/library/app:v1".parse()?;
    /// let repo = Registry::connect(&image)?.repository(image.repository())?;
    /// if let Some(reference) = image.reference() {
    ///     let get = repo.get_manifest(reference);
    /// #   drop(get);
    /// }
    /// # Ok::<(), acr_client::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`acr_core::ErrorKind::InvalidInput`] for an address that is none, a registry's bare name
    /// included (`myregistry`), and for variables of the environment that no identity can be made of.
    pub fn connect(login_server: impl Into<LoginServer>) -> Result<Self> {
        Self::builder(login_server).build()
    }

    /// The registry of this login server, with settings of its own.
    ///
    /// ```
    /// use acr_client::{Credential, Registry};
    ///
    /// let registry = Registry::builder("myregistry.azurecr.io")
    ///     .credential(Credential::password("me", "secret"))
    ///     .user_agent("my-service/1.0")
    ///     .build()?;
    /// # drop(registry);
    /// # Ok::<(), acr_client::Error>(())
    /// ```
    pub fn builder(login_server: impl Into<LoginServer>) -> RegistryBuilder {
        RegistryBuilder::new(login_server.into())
    }

    /// The registry behind a stack of one's own.
    ///
    /// ```
    /// use acr_client::{Credential, Registry};
    ///
    /// let pipeline = acr_auth::connect("myregistry.azurecr.io", Credential::anonymous())?;
    /// let registry = Registry::new(pipeline);
    /// # drop(registry);
    /// # Ok::<(), acr_client::Error>(())
    /// ```
    pub fn new(pipeline: Pipeline) -> Self {
        Self { metadata: RegistryClient::new(pipeline.clone()), pipeline }
    }

    /// Its address.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |registry, _| {
    /// assert!(registry.endpoint().is_https());
    /// # Ok(()) });
    /// ```
    pub fn endpoint(&self) -> &Endpoint {
        self.pipeline.endpoint()
    }

    /// The stack that everything is sent through, for requests of one's own.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |registry, _| {
    /// let blobs = acr_client::BlobClient::new(registry.pipeline().clone(), "library/app".try_into()?);
    /// # drop(blobs);
    /// # Ok(()) });
    /// ```
    ///
    /// A request of one's own says what it needs by a [`Scope`](crate::Scope), and is signed in and
    /// repeated like all others; an answer that means missing rights carries
    /// [`MissingRights`](crate::MissingRights).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |registry, _| {
    /// use acr_client::{MissingRights, Scope, http::{Effect, Operation, RequestBuilder, response}};
    /// use http::{Method, StatusCode};
    ///
    /// let request = RequestBuilder::new(Method::GET, registry.endpoint(), &["v2", "_catalog"])
    ///     .operation(Operation::new("list_repositories"))
    ///     .scope(Scope::catalog())
    ///     .effect(Effect::Read)
    ///     .build()?;
    /// let answer = registry.pipeline().send(request).await?;
    /// assert!(answer.extensions().get::<MissingRights>().is_none());
    /// response::expect(answer, &[StatusCode::OK]).await?;
    /// # Ok(()) });
    /// ```
    pub fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    /// The metadata client, which this one's operations are those of.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |registry, _| {
    /// registry.metadata().ping().await?;
    /// # Ok(()) });
    /// ```
    pub fn metadata(&self) -> &RegistryClient {
        &self.metadata
    }

    /// The same registry with further options for its calls: a cheap clone. What they do not set
    /// stays as it was.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |registry, _| {
    /// use acr_client::CallOptions;
    ///
    /// registry.with(CallOptions::new().request_id("build-4711")).ping().await?;
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn with(&self, options: CallOptions) -> Self {
        Self {
            pipeline: self.pipeline.with(options.clone()),
            metadata: self.metadata.with(options),
        }
    }

    /// Names this version in metadata calls, and in those of the repositories it opens.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |registry, _| {
    /// use acr_client::ApiVersion;
    ///
    /// let registry = registry.api_version(ApiVersion::V2019_08_15_PREVIEW);
    /// assert!(registry.list_repositories().try_next().await?.is_some());
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn api_version(self, version: ApiVersion) -> Self {
        Self { metadata: self.metadata.api_version(version), ..self }
    }

    /// Asks whether the registry is there, and whether one may sign in: `GET /v2/`.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |registry, _| {
    /// registry.ping().await?;
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`RegistryClient::ping`].
    ///
    /// # Cancellation
    ///
    /// Dropping the future sends nothing more.
    pub async fn ping(&self) -> Result<()> {
        self.metadata.ping().await
    }

    /// Opens a repository. Sends nothing; the repository need not exist.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |registry, _| {
    /// let repo = registry.repository("library/app")?;
    /// assert!(registry.repository("Library/App").is_err());
    /// # drop(repo);
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// [`acr_core::ErrorKind::InvalidInput`] when the text is not a repository name.
    pub fn repository(
        &self,
        name: impl TryInto<RepositoryName, Error: Into<Error>>,
    ) -> Result<Repository> {
        Ok(Repository::new(self.metadata.repository(name)?, self.pipeline.clone()))
    }

    /// Lists the names of the repositories in their order: `GET /acr/v1/_catalog`, one request
    /// per page.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |registry, _| {
    /// let mut names = registry.list_repositories();
    /// while let Some(name) = names.try_next().await? {
    ///     println!("{name}");
    /// }
    /// # Ok(()) });
    /// ```
    pub fn list_repositories(&self) -> ListPager<RepositoryName> {
        self.metadata.list_repositories()
    }

    /// Lists the soft-deleted repositories: `GET /acr/v1/_deleted/_catalog`.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |registry, _| {
    /// assert!(registry.list_deleted_repositories().try_next().await?.is_none());
    /// # Ok(()) });
    /// ```
    #[cfg(feature = "preview")]
    #[cfg_attr(docsrs, doc(cfg(feature = "preview")))]
    pub fn list_deleted_repositories(&self) -> ListPager<acr_registry::DeletedRepository> {
        self.metadata.list_deleted_repositories()
    }
}

impl RegistryBuilder {
    /// Builds the registry. Sends nothing yet; files of certificates are read now.
    ///
    /// ```
    /// use acr_client::{ErrorKind, Registry};
    ///
    /// let error = Registry::builder("myregistry").build().unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::InvalidInput);
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`Registry::connect`], and [`acr_core::ErrorKind::InvalidInput`] for certificates
    /// and names that cannot be used.
    pub fn build(self) -> Result<Registry> {
        self.pipeline().map(Registry::new)
    }
}
