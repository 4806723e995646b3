//! The client of a whole registry.

use acr_core::{
    CallOptions, Error, Pipeline, RepositoryName, Result, Scope,
    http::{Effect, Operation, RequestBuilder, response},
};
use http::{Method, StatusCode};
use serde_json::value::RawValue;

use crate::{
    answer,
    api_version::ApiVersion,
    list::{Item, List},
    list_pager::ListPager,
    model::{Owner, value},
    repository::RepositoryClient,
};

/// Lists the repositories of a registry and opens one. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RegistryClient {
    pub(crate) pipeline: Pipeline,
    api_version: ApiVersion,
}

impl RegistryClient {
    /// A client that sends through this pipeline.
    ///
    /// ```
    /// use acr_core::Pipeline;
    /// use acr_registry::RegistryClient;
    /// use acr_testkit::FakeRegistry;
    ///
    /// let fake = FakeRegistry::new();
    /// let pipeline = Pipeline::builder(fake.endpoint()).transport(fake.transport()).build()?;
    /// let registry = RegistryClient::new(pipeline);
    /// # drop(registry);
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    pub fn new(pipeline: Pipeline) -> Self {
        Self { pipeline, api_version: ApiVersion::default() }
    }

    /// The same client with further options for its calls: a cheap clone. What they do not set
    /// stays as it was.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |registry, _| {
    /// use acr_core::{CallOptions, layer::RetryPolicy};
    ///
    /// let patient = RetryPolicy::default().retries(9);
    /// registry.with(CallOptions::new().retry(patient)).ping().await?;
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn with(&self, options: CallOptions) -> Self {
        Self { pipeline: self.pipeline.with(options), ..self.clone() }
    }

    /// Names this version in metadata calls, and in those of the repositories it opens.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |registry, _| {
    /// use acr_registry::ApiVersion;
    ///
    /// let registry = registry.api_version(ApiVersion::V2019_08_15_PREVIEW);
    /// assert!(registry.list_repositories().try_next().await?.is_some());
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn api_version(mut self, version: ApiVersion) -> Self {
        self.api_version = version;
        self
    }

    /// Asks whether the registry speaks the distribution interface, and whether one may
    /// sign in: `GET /v2/`.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |registry, _| {
    /// use acr_core::ErrorKind;
    ///
    /// match registry.ping().await {
    ///     Err(error) if error.kind() == ErrorKind::Unauthenticated => println!("sign in"),
    ///     answer => answer?,
    /// }
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// Those of signing in and of the connection; [`acr_core::ErrorKind::Protocol`] when a
    /// page in HTML comes back, or errors with a success status.
    ///
    /// # Cancellation
    ///
    /// Dropping the future sends nothing more.
    pub async fn ping(&self) -> Result<()> {
        let request = RequestBuilder::new(Method::GET, self.pipeline.endpoint(), &["v2", ""])
            .accept_json()
            .operation(Operation::new("ping"))
            .effect(Effect::Read)
            .build()?;
        let answer = self.pipeline.send(request).await?;
        let answer = response::expect(answer, &[StatusCode::OK]).await?;
        answer::success(answer, MAX_PING).await.map(drop)
    }

    /// Opens a repository. Sends nothing; the repository need not exist.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |registry, _| {
    /// let repo = registry.repository("library/app")?;
    /// assert_eq!(repo.repository().as_str(), "library/app");
    /// assert!(registry.repository("Library/App").is_err());
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// [`acr_core::ErrorKind::InvalidInput`] when the text is not a repository name.
    pub fn repository(
        &self,
        name: impl TryInto<RepositoryName, Error: Into<Error>>,
    ) -> Result<RepositoryClient> {
        let name = name.try_into().map_err(Into::into)?;
        let client = RepositoryClient::new(self.pipeline.clone(), name);
        Ok(client.api_version(self.api_version.clone()))
    }

    /// Lists the names of the repositories in their order:
    /// `GET /acr/v1/_catalog`, one request per page.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |registry, _| {
    /// let mut names = registry.list_repositories();
    /// while let Some(name) = names.try_next().await? {
    ///     assert_eq!(name.as_str(), "library/app");
    /// }
    /// # Ok(()) });
    /// ```
    pub fn list_repositories(&self) -> ListPager<RepositoryName> {
        let path = ["acr", "v1", "_catalog"];
        let list = self.catalog(&path, "list_repositories", Scope::catalog());
        ListPager::new(list, List::pager)
    }

    pub(crate) fn catalog(&self, path: &[&str], operation: &'static str, scope: Scope) -> List {
        List {
            pipeline: self.pipeline.clone(),
            path: path.iter().map(|&segment| segment.to_owned()).collect(),
            operation: Operation::new(operation),
            scope,
            api_version: Some(self.api_version.clone()),
            order: None,
            after: None,
            filter: None,
            refused: None,
            owner: None,
        }
    }
}

impl Item for RepositoryName {
    const LIST: &'static str = "repositories";

    fn read(raw: &RawValue, _: Option<&Owner>) -> Result<Self, String> {
        value(raw).map_err(|_| "no name of a repository".to_owned())
    }

    fn key(&self) -> impl std::hash::Hash {
        self
    }
}

/// `{}` is the whole answer.
const MAX_PING: usize = 64 * 1024;
