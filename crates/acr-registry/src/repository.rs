//! The client of one repository: the repository itself. Tags, manifests and
//! content are further `impl` blocks in `tags.rs`, `manifests.rs` and `content.rs`.

use acr_core::{
    Action, Body, CallOptions, Deletion, Effect, Operation, Pipeline, RepositoryName, Request,
    RequestBuilder, Response, Result, Scope, response,
};
use http::{HeaderValue, Method, StatusCode, header};
use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    list::{API_VERSION, metadata_read},
    model::{self, Permissions, RepositoryDeletion, RepositoryProperties},
};

/// Everything inside one repository. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RepositoryClient {
    pub(crate) pipeline: Pipeline,
    pub(crate) name: RepositoryName,
}

impl RepositoryClient {
    /// A client that sends through this pipeline.
    pub fn new(pipeline: Pipeline, name: RepositoryName) -> Self {
        Self { pipeline, name }
    }

    /// The same client with other options for its calls: a cheap clone.
    #[must_use]
    pub fn with(&self, options: CallOptions) -> Self {
        Self { pipeline: self.pipeline.with(options), ..self.clone() }
    }

    /// The repository's name.
    pub fn name(&self) -> &RepositoryName {
        &self.name
    }

    /// Reads the repository's properties: `GET /acr/v1/{name}`.
    ///
    /// # Errors
    ///
    /// [`acr_core::ErrorKind::NotFound`] when the repository does not exist.
    ///
    /// # Cancellation
    ///
    /// Dropping the future sends nothing more.
    pub async fn get_properties(&self) -> Result<RepositoryProperties> {
        let operation = Operation::new("get_properties").on(&self.name);
        self.read_properties(&[], operation).await
    }

    /// Changes the repository's locks: `PATCH /acr/v1/{name}`.
    ///
    /// # Errors
    ///
    /// [`acr_core::ErrorKind::NotFound`] when the repository does not exist.
    ///
    /// # Cancellation
    ///
    /// After a drop the change may or may not have happened.
    pub async fn update_properties(
        &self,
        permissions: &Permissions,
    ) -> Result<RepositoryProperties> {
        let operation = Operation::new("update_properties").on(&self.name);
        self.write_properties(&[], permissions, operation).await
    }

    /// Deletes the repository with all it holds: `DELETE /acr/v1/{name}`.
    ///
    /// # Errors
    ///
    /// [`acr_core::ErrorKind::Disallowed`] when a lock on the repository, a tag or a
    /// manifest forbids it.
    ///
    /// # Cancellation
    ///
    /// After a drop the deletion may or may not have happened.
    pub async fn delete(&self) -> Result<RepositoryDeletion> {
        let request = RequestBuilder::new(
            Method::DELETE,
            self.pipeline.endpoint(),
            &["acr", "v1", self.name.as_str()],
        )
        .query("api-version", API_VERSION)
        .accept_json()
        .operation(Operation::new("delete_repository").on(&self.name))
        .scope(Scope::repository(&self.name, &[Action::DELETE]))
        .effect(Effect::Set)
        .build()?;
        let Some(answer) = self.send_deletion(request).await? else {
            let outcome = Deletion::AlreadyAbsent;
            return Ok(RepositoryDeletion { outcome, manifests: Vec::new(), tags: Vec::new() });
        };
        let deleted: Deleted = response::read_json(answer, MAX_DELETED).await?;
        Ok(RepositoryDeletion {
            outcome: Deletion::Deleted,
            manifests: deleted.manifests,
            tags: deleted.tags,
        })
    }

    pub(crate) async fn read_properties<T: DeserializeOwned>(
        &self,
        below: &[&str],
        operation: Operation,
    ) -> Result<T> {
        let request = self
            .metadata(Method::GET, below)
            .operation(operation)
            .scope(metadata_read(&self.name))
            .effect(Effect::Read)
            .build()?;
        self.send_for_properties(request).await
    }

    pub(crate) async fn write_properties<T: DeserializeOwned>(
        &self,
        below: &[&str],
        permissions: &Permissions,
        operation: Operation,
    ) -> Result<T> {
        let body = serde_json::to_vec(permissions).map_err(|error| {
            acr_core::Error::new(acr_core::ErrorKind::InvalidInput, "unusable permissions")
                .with_source(error)
        })?;
        let request = self
            .metadata(Method::PATCH, below)
            .header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .operation(operation)
            .scope(Scope::repository(&self.name, &[Action::METADATA_WRITE]))
            .effect(Effect::Set)
            .body(Body::from(body))
            .build()?;
        self.send_for_properties(request).await
    }

    /// A request below `/acr/v1/{name}`.
    pub(crate) fn metadata(&self, method: Method, below: &[&str]) -> RequestBuilder {
        let mut path = vec!["acr", "v1", self.name.as_str()];
        path.extend(below);
        RequestBuilder::new(method, self.pipeline.endpoint(), &path)
            .query("api-version", API_VERSION)
            .accept_json()
    }

    /// Sends a deletion; `None` when there was nothing to delete. The plain-text 404
    /// of a front end is no such answer and stays an error.
    pub(crate) async fn send_deletion(&self, request: Request) -> Result<Option<Response>> {
        let answer = self.pipeline.send(request).await?;
        match response::expect(answer, &[StatusCode::ACCEPTED, StatusCode::OK]).await {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if error.is_not_found() && error.code().is_some() => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn send_for_properties<T: DeserializeOwned>(&self, request: Request) -> Result<T> {
        let answer = self.pipeline.send(request).await?;
        let answer = response::expect(answer, &[StatusCode::OK]).await?;
        response::read_json(answer, MAX_PROPERTIES).await
    }
}

#[derive(Deserialize)]
struct Deleted {
    #[serde(rename = "manifestsDeleted", default, deserialize_with = "model::null_is_empty")]
    manifests: Vec<acr_core::Digest>,
    #[serde(rename = "tagsDeleted", default, deserialize_with = "model::null_is_empty")]
    tags: Vec<acr_core::Tag>,
}

/// A manifest with all its tags and references stays far below.
const MAX_PROPERTIES: usize = 1024 * 1024;

/// The lists of a repository with 100,000 manifests.
const MAX_DELETED: usize = 16 * 1024 * 1024;
