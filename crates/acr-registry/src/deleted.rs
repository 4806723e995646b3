//! Soft-deleted artifacts: what can still be restored. A preview of the registry,
//! known from the requests of Microsoft's command line only.

use acr_core::{
    Action, Body, Digest, Effect, Operation, Pager, RepositoryName, Result, Scope, Tag, Timestamp,
    response,
};
use http::{HeaderValue, Method, StatusCode, header};
use serde::Deserialize;

use crate::{
    list::{List, WirePage},
    list_pager::ListPager,
    model::{self, UnknownFields},
    registry::RegistryClient,
    repository::RepositoryClient,
};

/// A repository that was deleted and of which artifacts can be restored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeletedRepository {
    /// The repository.
    pub name: RepositoryName,
    /// When it was deleted, if the registry says so.
    pub deleted_at: Option<Timestamp>,
    /// Fields that this version has no name for.
    pub unknown: UnknownFields,
}

/// A manifest that was deleted and can be restored.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct DeletedManifest {
    /// The manifest.
    pub digest: Digest,
    /// When it was deleted.
    #[serde(rename = "deletedAt", default)]
    pub deleted_at: Option<Timestamp>,
    /// Fields that this version has no name for.
    #[serde(flatten)]
    pub unknown: UnknownFields,
}

/// A tag that was deleted with its manifest.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct DeletedTag {
    /// The tag.
    #[serde(rename = "tag")]
    pub name: Tag,
    /// What it pointed to.
    pub digest: Digest,
    /// When it was deleted.
    #[serde(rename = "deletedAt", default)]
    pub deleted_at: Option<Timestamp>,
    /// Fields that this version has no name for.
    #[serde(flatten)]
    pub unknown: UnknownFields,
}

impl RegistryClient {
    /// Lists the soft-deleted repositories: `GET /acr/v1/_deleted/_catalog`.
    pub fn list_deleted_repositories(&self) -> Pager<DeletedRepository> {
        let scope = Scope::resource("registry", "deleted_catalog", [Action::new("*")]);
        let path = ["acr", "v1", "_deleted", "_catalog"];
        self.catalog(&path, "list_deleted_repositories", scope).pager::<DeletedCatalog>()
    }
}

impl RepositoryClient {
    /// Lists the soft-deleted manifests: `GET /acr/v1/_deleted/{name}/_manifests`.
    pub fn list_deleted_manifests(&self) -> ListPager<DeletedManifest> {
        let path = ["acr", "v1", "_deleted", self.name.as_str(), "_manifests"];
        let list = self.list(&path, "list_deleted_manifests", self.deleted(&[DELETED_READ]));
        ListPager::new(list, List::pager::<DeletedManifests>)
    }

    /// Lists the soft-deleted tags: `GET /acr/v1/_deleted/{name}/_tags`.
    pub fn list_deleted_tags(&self) -> ListPager<DeletedTag> {
        let path = ["acr", "v1", "_deleted", self.name.as_str(), "_tags"];
        let list = self.list(&path, "list_deleted_tags", self.deleted(&[DELETED_READ]));
        ListPager::new(list, List::pager::<DeletedTags>)
    }

    /// Restores a soft-deleted manifest, with one of its tags or without:
    /// `POST /acr/v1/_deleted/{name}/_manifests/{digest}`.
    ///
    /// `force` takes a tag away from a manifest that has it by now.
    ///
    /// # Errors
    ///
    /// [`acr_core::ErrorKind::NotFound`] when there is nothing to restore.
    ///
    /// # Cancellation
    ///
    /// After a drop the manifest may or may not have been restored.
    pub async fn restore_manifest(
        &self,
        digest: &Digest,
        tag: Option<&Tag>,
        force: bool,
    ) -> Result<()> {
        let body = match tag {
            Some(tag) => serde_json::json!({ "tag": tag.as_str() }).to_string(),
            None => "{}".to_owned(),
        };
        let path = ["_deleted", self.name.as_str(), "_manifests", digest.as_str()];
        let request = self
            .versioned(Method::POST, &path)
            .query("force", force)
            .header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .operation(
                Operation::new("restore_manifest").on(format_args!("{}@{digest}", self.name)),
            )
            .scope(self.deleted(&[DELETED_READ, DELETED_RESTORE]))
            // With a tag it may take the name from another manifest.
            .effect(if tag.is_some() { Effect::Move } else { Effect::Set })
            .body(Body::from(body))
            .build()?;
        let answer = self.pipeline.send(request).await?;
        let expected =
            [StatusCode::OK, StatusCode::CREATED, StatusCode::ACCEPTED, StatusCode::NO_CONTENT];
        response::expect(answer, &expected).await.map(drop)
    }

    fn deleted(&self, actions: &[&str]) -> Scope {
        let actions = actions.iter().map(|&action| Action::new(action));
        Scope::resource("repository", self.name.as_str(), actions)
    }
}

/// No document says whether the items are names or objects: both are read.
#[derive(Deserialize)]
#[serde(untagged)]
enum WireDeletedRepository {
    Name(RepositoryName),
    #[serde(rename_all = "camelCase")]
    Described {
        #[serde(alias = "name", alias = "imageName")]
        repository: RepositoryName,
        #[serde(default)]
        deleted_at: Option<Timestamp>,
        #[serde(flatten)]
        unknown: UnknownFields,
    },
}

#[derive(Deserialize)]
struct DeletedCatalog {
    #[serde(default, deserialize_with = "model::null_is_empty")]
    repositories: Vec<WireDeletedRepository>,
}

#[derive(Deserialize)]
struct DeletedManifests {
    #[serde(default, deserialize_with = "model::null_is_empty")]
    manifests: Vec<DeletedManifest>,
}

#[derive(Deserialize)]
struct DeletedTags {
    #[serde(default, deserialize_with = "model::null_is_empty")]
    tags: Vec<DeletedTag>,
}

impl From<WireDeletedRepository> for DeletedRepository {
    fn from(wire: WireDeletedRepository) -> Self {
        match wire {
            WireDeletedRepository::Name(name) => {
                Self { name, deleted_at: None, unknown: UnknownFields::default() }
            }
            WireDeletedRepository::Described { repository, deleted_at, unknown } => {
                Self { name: repository, deleted_at, unknown }
            }
        }
    }
}

impl WirePage for DeletedCatalog {
    type Item = DeletedRepository;

    fn is_empty(&self) -> bool {
        self.repositories.is_empty()
    }

    fn items(self, _: &List) -> Vec<DeletedRepository> {
        self.repositories.into_iter().map(Into::into).collect()
    }

    fn key(repository: &DeletedRepository) -> impl std::hash::Hash {
        (repository.name.clone(), repository.deleted_at)
    }
}

impl WirePage for DeletedManifests {
    type Item = DeletedManifest;

    fn is_empty(&self) -> bool {
        self.manifests.is_empty()
    }

    fn items(self, _: &List) -> Vec<DeletedManifest> {
        self.manifests
    }

    fn key(manifest: &DeletedManifest) -> impl std::hash::Hash {
        (manifest.digest.clone(), manifest.deleted_at)
    }
}

impl WirePage for DeletedTags {
    type Item = DeletedTag;

    fn is_empty(&self) -> bool {
        self.tags.is_empty()
    }

    fn items(self, _: &List) -> Vec<DeletedTag> {
        self.tags
    }

    fn key(tag: &DeletedTag) -> impl std::hash::Hash {
        (tag.name.clone(), tag.digest.clone(), tag.deleted_at)
    }
}

const DELETED_READ: &str = "deleted_read";
const DELETED_RESTORE: &str = "deleted_restore";
