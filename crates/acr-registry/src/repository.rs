//! The client of one repository: the repository itself. Tags, manifests and
//! content are further `impl` blocks in `tags.rs`, `manifests.rs` and `content.rs`.

use acr_core::{
    Action, Body, CallOptions, Deletion, Effect, Operation, Pipeline, RepositoryName, Request,
    RequestBuilder, Response, Result, Scope, response,
};
use http::{HeaderValue, Method, StatusCode, header};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    api_version::ApiVersion,
    list::{List, metadata_read},
    locks,
    model::{
        self, Owner, Permissions, RepositoryDeletion, RepositoryProperties, UnknownFields,
        WireRepository,
    },
};

/// Everything inside one repository. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RepositoryClient {
    pub(crate) pipeline: Pipeline,
    pub(crate) name: RepositoryName,
    api_version: ApiVersion,
}

impl RepositoryClient {
    /// A client that sends through this pipeline.
    pub fn new(pipeline: Pipeline, name: RepositoryName) -> Self {
        Self { pipeline, name, api_version: ApiVersion::default() }
    }

    /// Names this version in metadata calls.
    #[must_use]
    pub fn api_version(mut self, version: ApiVersion) -> Self {
        self.api_version = version;
        self
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
        let answer: WireRepository = self.read_properties(&[], operation).await?;
        Ok(answer.owned_by(self.owner()))
    }

    /// Changes the repository's locks: `PATCH /acr/v1/{name}`. Takes single flags, or
    /// the properties whose flags shall be restored.
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
        permissions: impl Into<Permissions> + Send,
    ) -> Result<RepositoryProperties> {
        let operation = Operation::new("update_properties").on(&self.name);
        let permissions = permissions.into();
        let answer: WireRepository = self.write_properties(&[], &permissions, operation).await?;
        Ok(answer.owned_by(self.owner()))
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
        .query("api-version", &self.api_version)
        .accept_json()
        .operation(Operation::new("delete_repository").on(&self.name))
        .scope(Scope::repository(&self.name, &[Action::DELETE]))
        .effect(Effect::Set)
        .build()?;
        let Some(answer) = self.send_deletion(request, locks::DELETE_REPOSITORY).await? else {
            return Ok(RepositoryDeletion {
                outcome: Deletion::AlreadyAbsent,
                manifests: Vec::new(),
                tags: Vec::new(),
                unknown: UnknownFields::default(),
            });
        };
        let deleted: Deleted = response::read_json(answer, MAX_DELETED).await?;
        Ok(RepositoryDeletion {
            outcome: Deletion::Deleted,
            manifests: deleted.manifests,
            tags: deleted.tags,
            unknown: deleted.unknown,
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
        changes: &(impl Serialize + Sync),
        operation: Operation,
    ) -> Result<T> {
        let body = serde_json::to_vec(changes).map_err(|error| {
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
        let mut path = vec![self.name.as_str()];
        path.extend(below);
        self.versioned(method, &path)
    }

    /// A request below `/acr/v1`.
    pub(crate) fn versioned(&self, method: Method, below: &[&str]) -> RequestBuilder {
        let mut path = vec!["acr", "v1"];
        path.extend(below);
        RequestBuilder::new(method, self.pipeline.endpoint(), &path)
            .query("api-version", &self.api_version)
            .accept_json()
    }

    /// Sends a deletion; `None` when there was nothing to delete. The plain-text 404
    /// of a front end is no such answer and stays an error.
    pub(crate) async fn send_deletion(
        &self,
        request: Request,
        locks: &'static str,
    ) -> Result<Option<Response>> {
        let answer = self.pipeline.send(request).await?;
        match response::expect(answer, &[StatusCode::ACCEPTED, StatusCode::OK]).await {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if error.is_not_found() && error.code().is_some() => Ok(None),
            Err(error) => Err(locks::explain(error, locks)),
        }
    }

    /// A list below the repository.
    pub(crate) fn list(&self, path: &[&str], operation: &'static str, scope: Scope) -> List {
        List {
            pipeline: self.pipeline.clone(),
            path: path.iter().map(|&segment| segment.to_owned()).collect(),
            operation: Operation::new(operation).on(&self.name),
            scope,
            api_version: Some(self.api_version.clone()),
            order: None,
            filter: None,
            owner: Some(self.owner()),
        }
    }

    /// What stands in properties where the registry's envelope does not say it.
    pub(crate) fn owner(&self) -> Owner {
        let registry = self.pipeline.endpoint().host().to_owned();
        Owner { registry, repository: self.name.clone() }
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
    #[serde(flatten)]
    unknown: UnknownFields,
}

/// A manifest with all its tags and references stays far below.
const MAX_PROPERTIES: usize = 1024 * 1024;

/// The lists of a repository with 100,000 manifests.
const MAX_DELETED: usize = 16 * 1024 * 1024;
