//! Soft-deleted artifacts: what can still be restored. A preview of the registry,
//! known from the requests of Microsoft's command line only.

use acr_core::{
    Action, Body, Digest, Effect, Operation, RepositoryName, Result, Scope, Tag, Timestamp,
};
use http::{HeaderValue, Method, StatusCode, header};
use serde_json::value::RawValue;

use crate::{
    after::After,
    answer,
    list::{Item, List},
    list_pager::ListPager,
    model::{Fields, Owner, UnknownFields, value},
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
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeletedManifest {
    /// The manifest.
    pub digest: Digest,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
    /// Fields that this version has no name for.
    pub unknown: UnknownFields,
}

/// A tag that was deleted with its manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeletedTag {
    /// The tag.
    pub name: Tag,
    /// What it pointed to.
    pub digest: Digest,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
    /// Fields that this version has no name for.
    pub unknown: UnknownFields,
}

/// What becomes of a tag that is to come back and stands for another manifest by now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TagConflict {
    /// Nothing is restored, and the call fails: `force=false`.
    #[default]
    Fail,
    /// The tag moves to the restored manifest: `force=true`. The registry soft-deletes it as it
    /// stood.
    Overwrite,
}

impl RegistryClient {
    /// Lists the soft-deleted repositories: `GET /acr/v1/_deleted/_catalog`.
    pub fn list_deleted_repositories(&self) -> ListPager<DeletedRepository> {
        let scope = Scope::resource("registry", "deleted_catalog", [Action::new("*")]);
        let path = ["acr", "v1", "_deleted", "_catalog"];
        let list = self.catalog(&path, "list_deleted_repositories", scope);
        ListPager::new(list, List::pager)
    }
}

impl RepositoryClient {
    /// Lists the soft-deleted manifests: `GET /acr/v1/_deleted/{name}/_manifests`.
    pub fn list_deleted_manifests(&self) -> ListPager<DeletedManifest> {
        let path = ["acr", "v1", "_deleted", self.name.as_str(), "_manifests"];
        let list = self.list(&path, "list_deleted_manifests", self.deleted(&[DELETED_READ]));
        ListPager::new(list, List::pager)
    }

    /// Lists the soft-deleted tags: `GET /acr/v1/_deleted/{name}/_tags`.
    pub fn list_deleted_tags(&self) -> ListPager<DeletedTag> {
        let path = ["acr", "v1", "_deleted", self.name.as_str(), "_tags"];
        let list = self.list(&path, "list_deleted_tags", self.deleted(&[DELETED_READ]));
        ListPager::new(list, List::pager)
    }

    /// Restores a soft-deleted manifest, with one of its tags or without:
    /// `POST /acr/v1/_deleted/{name}/_manifests/{digest}`.
    ///
    /// # Errors
    ///
    /// [`acr_core::ErrorKind::NotFound`] when there is nothing to restore,
    /// [`acr_core::ErrorKind::Conflict`] when the tag stands for another manifest by now and is
    /// not to be overwritten.
    ///
    /// # Cancellation
    ///
    /// After a drop the manifest may or may not have been restored.
    pub async fn restore_manifest(
        &self,
        digest: &Digest,
        tag: Option<&Tag>,
        conflict: TagConflict,
    ) -> Result<()> {
        let body = match tag {
            Some(tag) => serde_json::json!({ "tag": tag.as_str() }).to_string(),
            None => "{}".to_owned(),
        };
        let path = ["_deleted", self.name.as_str(), "_manifests", digest.as_str()];
        let request = self
            .versioned(Method::POST, &path)
            .query("force", conflict == TagConflict::Overwrite)
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
        let (head, _) = answer::success(answer, MAX_RESTORED).await?;
        let expected =
            [StatusCode::OK, StatusCode::CREATED, StatusCode::ACCEPTED, StatusCode::NO_CONTENT];
        if !expected.contains(&head.status) {
            self.resolve(digest).await?;
        }
        Ok(())
    }

    fn deleted(&self, actions: &[&str]) -> Scope {
        let actions = actions.iter().map(|&action| Action::new(action));
        Scope::resource("repository", self.name.as_str(), actions)
    }
}

impl Item for DeletedRepository {
    const LIST: &'static str = "repositories";

    /// No document says whether the items are names or objects: both are read.
    fn read(raw: &RawValue, _: Option<&Owner>) -> Result<Self, String> {
        if let Ok(name) = value(raw) {
            return Ok(Self { name, deleted_at: None, unknown: UnknownFields::default() });
        }
        let mut fields: Fields<'_> = value(raw)?;
        let name = ["repository", "name", "imageName"];
        let name = name.into_iter().find_map(|name| fields.take(name));
        Ok(Self {
            name: name.ok_or("no usable `repository`")?,
            deleted_at: fields.take(DELETED_AT),
            unknown: fields.rest(),
        })
    }

    fn key(&self) -> impl std::hash::Hash {
        (self.name.clone(), self.deleted_at)
    }
}

impl Item for DeletedManifest {
    const LIST: &'static str = "manifests";

    fn read(raw: &RawValue, _: Option<&Owner>) -> Result<Self, String> {
        let mut fields: Fields<'_> = value(raw)?;
        let (digest, deleted_at) = (fields.need("digest")?, fields.take(DELETED_AT));
        Ok(Self { digest, deleted_at, unknown: fields.rest() })
    }

    fn key(&self) -> impl std::hash::Hash {
        (self.digest.clone(), self.deleted_at)
    }
}

impl Item for DeletedTag {
    const LIST: &'static str = "tags";

    fn read(raw: &RawValue, _: Option<&Owner>) -> Result<Self, String> {
        let mut fields: Fields<'_> = value(raw)?;
        let (name, digest) = (fields.need("tag")?, fields.need("digest")?);
        Ok(Self { name, digest, deleted_at: fields.take(DELETED_AT), unknown: fields.rest() })
    }

    fn key(&self) -> impl std::hash::Hash {
        (self.name.clone(), self.digest.clone(), self.deleted_at)
    }
}

impl From<&RepositoryName> for After<DeletedRepository> {
    fn from(name: &RepositoryName) -> Self {
        Self::new(name.as_str(), None)
    }
}

impl From<&Digest> for After<DeletedManifest> {
    fn from(digest: &Digest) -> Self {
        Self::new(digest.as_str(), None)
    }
}

impl From<&Tag> for After<DeletedTag> {
    fn from(tag: &Tag) -> Self {
        Self::new(tag.as_str(), None)
    }
}

const DELETED_READ: &str = "deleted_read";
const DELETED_RESTORE: &str = "deleted_restore";
const DELETED_AT: &str = "deletedAt";

/// Nothing is read of the answer but errors.
const MAX_RESTORED: usize = 1024 * 1024;
