//! The client of one repository: the repository itself. Tags, manifests and their content
//! are further `impl` blocks, each beside what it gives.

use acr_core::{
    Action, CallOptions, Deletion, Error, ErrorKind, Pipeline, RepositoryName, Result, Scope, Was,
    http::{Body, Effect, Operation, Request, RequestBuilder, response},
};
use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header, response::Parts};
use serde::Serialize;

use crate::{
    answer,
    api_version::ApiVersion,
    list::{List, metadata_read},
    locks,
    model::{Fields, Owner, Permissions, RepositoryProperties, value},
};

/// Everything inside one repository. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RepositoryClient {
    pub(crate) pipeline: Pipeline,
    pub(crate) name: RepositoryName,
    /// What most calls need, made once.
    pub(crate) pull: Scope,
    metadata_read: Scope,
    api_version: ApiVersion,
}

impl RepositoryClient {
    /// A client that sends through this pipeline.
    ///
    /// ```
    /// use acr_core::Pipeline;
    /// use acr_registry::RepositoryClient;
    /// use acr_testkit::FakeRegistry;
    ///
    /// let fake = FakeRegistry::new();
    /// let pipeline = Pipeline::builder(fake.endpoint()).transport(fake.transport()).build()?;
    /// let repo = RepositoryClient::new(pipeline, "library/app".parse()?);
    /// assert_eq!(repo.repository().as_str(), "library/app");
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    pub fn new(pipeline: Pipeline, name: RepositoryName) -> Self {
        let pull = Scope::repository(&name, &[Action::PULL]);
        let metadata_read = metadata_read(&name);
        Self { pipeline, name, pull, metadata_read, api_version: ApiVersion::default() }
    }

    /// Names this version in metadata calls.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// use acr_registry::ApiVersion;
    ///
    /// let repo = repo.api_version(ApiVersion::V2019_08_15_PREVIEW);
    /// assert_eq!(repo.properties().await?.tag_count, Some(2));
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn api_version(mut self, version: ApiVersion) -> Self {
        self.api_version = version;
        self
    }

    /// The same client with further options for its calls: a cheap clone. What they do not set
    /// stays as it was.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// use acr_core::CallOptions;
    ///
    /// let traced = repo.with(CallOptions::new().request_id("nightly-4711"));
    /// println!("{} tags", traced.properties().await?.tag_count.unwrap_or(0));
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn with(&self, options: CallOptions) -> Self {
        Self { pipeline: self.pipeline.with(options), ..self.clone() }
    }

    /// The repository.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |registry, _| {
    /// let repo = registry.repository("library/app")?;
    /// println!("looking into {}", repo.repository());
    /// # Ok(()) });
    /// ```
    pub fn repository(&self) -> &RepositoryName {
        &self.name
    }

    /// Reads the repository's properties: `GET /acr/v1/{name}`.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// let properties = repo.properties().await?;
    /// assert_eq!(properties.tag_count, Some(2));
    /// assert_eq!(properties.permissions.can_delete(), Some(true));
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// [`acr_core::ErrorKind::NotFound`] when the repository does not exist.
    ///
    /// # Cancellation
    ///
    /// Dropping the future sends nothing more.
    pub async fn properties(&self) -> Result<RepositoryProperties> {
        let operation = Operation::new("repository_properties").on(&self.name);
        let read = |fields: Fields<'_>| RepositoryProperties::read(fields, self.owner());
        self.read_properties(&[], operation, read).await
    }

    /// Changes the repository's locks: `PATCH /acr/v1/{name}`. Takes single flags, or
    /// the properties whose flags shall be restored.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// use acr_registry::Permissions;
    ///
    /// let before = repo.properties().await?;
    /// let locked = repo.update_properties(Permissions::new().delete(false)).await?;
    /// assert_eq!(locked.permissions.can_delete(), Some(false));
    /// // As it was.
    /// repo.update_properties(&before).await?;
    /// # Ok(()) });
    /// ```
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
        let operation = Operation::new("update_repository_properties").on(&self.name);
        let permissions = permissions.into();
        let read = |fields: Fields<'_>| RepositoryProperties::read(fields, self.owner());
        let is_done = |got: &RepositoryProperties| permissions.are_those_of(&got.permissions);
        self.write_properties(&[], &permissions, operation, read, is_done).await
    }

    /// Deletes the repository with all it holds: `DELETE /acr/v1/{name}`.
    ///
    /// What it took along is told if the registry tells it: [`Deletion::manifests`] and
    /// [`Deletion::tags`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// let deletion = repo.delete().await?;
    /// assert_eq!(deletion.manifests.len(), 3);
    /// assert_eq!(deletion.tags.len(), 2);
    /// // What is gone already is no error.
    /// assert!(!repo.delete().await?.existed());
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// [`acr_core::ErrorKind::Disallowed`] when a lock on the repository, a tag or a
    /// manifest forbids it: see [which lock stops what](crate::Permissions#which-lock-stops-what).
    ///
    /// # Cancellation
    ///
    /// After a drop the deletion may or may not have happened.
    pub async fn delete(&self) -> Result<Deletion> {
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
        let look = Box::pin(async { self.properties().await.map(drop) });
        let answer = self.send_deletion(request, locks::DELETE_REPOSITORY, look).await?;
        let was = if answer.is_some() { Was::Existed } else { Was::Absent };
        let mut deletion = Deletion::new(was);
        let body = answer.as_ref().map_or(&[][..], |(_, body)| body.as_ref());
        if let Ok(mut fields) = serde_json::from_slice::<Fields<'_>>(body) {
            deletion.manifests = fields.listed("manifestsDeleted", value);
            deletion.tags = fields.listed("tagsDeleted", value);
            deletion.unknown = fields.rest();
        }
        Ok(deletion)
    }

    pub(crate) async fn read_properties<T>(
        &self,
        below: &[&str],
        operation: Operation,
        read: impl FnOnce(Fields<'_>) -> Result<T, String>,
    ) -> Result<T> {
        let request = self
            .metadata(Method::GET, below)
            .operation(operation)
            .scope(self.metadata_read.clone())
            .effect(Effect::Read)
            .build()?;
        let answer = self.pipeline.send(request).await?;
        let answer = response::expect(answer, &[StatusCode::OK]).await?;
        answer::object(answer, MAX_PROPERTIES, read).await
    }

    /// Sends changes and gives the properties with them. Where the answer does not have
    /// the properties, they are read, and must show the changes.
    pub(crate) async fn write_properties<T>(
        &self,
        below: &[&str],
        changes: &(impl Serialize + Sync),
        operation: Operation,
        read: impl Fn(Fields<'_>) -> Result<T, String>,
        is_done: impl Fn(&T) -> bool,
    ) -> Result<T> {
        let body = serde_json::to_vec(changes).map_err(|error| {
            Error::new(ErrorKind::InvalidInput, "unusable permissions").with_source(error)
        })?;
        let request = self
            .metadata(Method::PATCH, below)
            .header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .operation(operation.clone())
            .scope(Scope::repository(&self.name, &[Action::METADATA_WRITE]))
            .effect(Effect::Set)
            .body(Body::from(body))
            .build()?;
        let answer = self.pipeline.send(request).await?;
        let (head, body) = answer::success(answer, MAX_PROPERTIES).await?;
        if let Ok(properties) = answer::parse(&head, &body, &read) {
            return Ok(properties);
        }
        let shown = self.read_properties(below, operation, read).await.map_err(|error| {
            let why = "the change was taken, but the properties with it cannot be read";
            Error::new(error.kind(), why).with_source(error)
        });
        let described = match shown {
            Ok(shown) if is_done(&shown) => return Ok(shown),
            Ok(_) => Error::new(
                ErrorKind::Protocol,
                "the change was answered with success, but the properties do not show it",
            ),
            Err(error) => error,
        };
        Err(response::describe(described, &head))
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

    /// Sends a deletion; `None` when there was nothing to delete, which is any 404 that can
    /// be the registry's. A success that does not say that it is done is looked at.
    pub(crate) async fn send_deletion(
        &self,
        request: Request,
        locks: &'static str,
        look: impl Future<Output = Result<()>>,
    ) -> Result<Option<(Parts, Bytes)>> {
        let answer = self.pipeline.send(request).await?;
        let answer = if answer.status().is_success() {
            answer
        } else {
            match response::expect_or_absent(answer, &[]).await {
                Ok(Some(answer)) => answer,
                Ok(None) => return Ok(None),
                Err(error) => return Err(locks::explain(error, locks)),
            }
        };
        let (head, body) = answer::success(answer, MAX_DELETED).await?;
        if says_deleted(&head, &body) {
            return Ok(Some((head, body)));
        }
        let described = match look.await {
            Err(error) if error.is_not_found() && !error.is_foreign() => {
                return Ok(Some((head, body)));
            }
            Ok(()) => Error::new(
                ErrorKind::Protocol,
                "the deletion was answered with success, but what it names is still there",
            ),
            Err(error) => {
                let why = "the answer does not say that the deletion is done, and asking failed";
                Error::new(error.kind(), why).with_source(error)
            }
        };
        Err(response::describe(described, &head))
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
            after: None,
            filter: None,
            refused: None,
            owner: Some(self.owner()),
        }
    }

    /// What stands in properties where the registry's envelope does not say it.
    pub(crate) fn owner(&self) -> Owner {
        let registry = self.pipeline.endpoint().host().to_owned();
        Owner { registry, repository: self.name.clone() }
    }
}

/// Whether an answer is one of those that mean a deletion is done: with nothing in it, or
/// with what went.
fn says_deleted(head: &Parts, body: &[u8]) -> bool {
    let is_meant =
        [StatusCode::OK, StatusCode::ACCEPTED, StatusCode::NO_CONTENT].contains(&head.status);
    let has_lists = || {
        serde_json::from_slice::<Fields<'_>>(body).is_ok_and(|fields| {
            fields.is_empty() || fields.has("manifestsDeleted") || fields.has("tagsDeleted")
        })
    };
    is_meant && (body.trim_ascii().is_empty() || has_lists())
}

/// A manifest with all its tags and references stays far below.
const MAX_PROPERTIES: usize = 1024 * 1024;

/// The lists of a repository with 100,000 manifests.
const MAX_DELETED: usize = 16 * 1024 * 1024;
