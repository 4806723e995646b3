//! The client of a whole registry.

use acr_core::{CallOptions, Error, Operation, Pager, Pipeline, RepositoryName, Result, Scope};
use serde::Deserialize;

use crate::{list::List, model, repository::RepositoryClient};

/// Lists the repositories of a registry and opens one. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RegistryClient {
    pipeline: Pipeline,
}

impl RegistryClient {
    /// A client that sends through this pipeline.
    pub fn new(pipeline: Pipeline) -> Self {
        Self { pipeline }
    }

    /// The same client with other options for its calls: a cheap clone.
    #[must_use]
    pub fn with(&self, options: CallOptions) -> Self {
        Self { pipeline: self.pipeline.with(options) }
    }

    /// Opens a repository. Sends nothing; the repository need not exist.
    ///
    /// # Errors
    ///
    /// [`acr_core::ErrorKind::InvalidInput`] when the text is not a repository name.
    pub fn repository(
        &self,
        name: impl TryInto<RepositoryName, Error: Into<Error>>,
    ) -> Result<RepositoryClient> {
        let name = name.try_into().map_err(Into::into)?;
        Ok(RepositoryClient::new(self.pipeline.clone(), name))
    }

    /// Lists the names of the repositories in their order:
    /// `GET /acr/v1/_catalog`, one request per page.
    pub fn list_repositories(&self) -> Pager<RepositoryName> {
        List {
            pipeline: self.pipeline.clone(),
            path: ["acr", "v1", "_catalog"].map(str::to_owned).into(),
            operation: Operation::new("list_repositories"),
            scope: Scope::catalog(),
        }
        .pager::<Catalog, _>()
    }
}

#[derive(Deserialize)]
struct Catalog {
    #[serde(default, deserialize_with = "model::null_is_empty")]
    repositories: Vec<RepositoryName>,
}

impl From<Catalog> for Vec<RepositoryName> {
    fn from(page: Catalog) -> Self {
        page.repositories
    }
}
