//! Soft-deleted artifacts: what can still be restored (`restore_manifest.rs`). A preview of the registry,
//! known from the requests of Microsoft's command line only.

use acr_core::{Action, Digest, RepositoryName, Result, Scope, Tag, Timestamp};
use serde_json::value::RawValue;

use crate::{
    after::After,
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

impl RegistryClient {
    /// Lists the soft-deleted repositories: `GET /acr/v1/_deleted/_catalog`.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |registry, repo| {
    /// repo.delete().await?;
    /// let mut deleted = registry.list_deleted_repositories();
    /// while let Some(repository) = deleted.try_next().await? {
    ///     println!("{} on {:?}", repository.name, repository.deleted_at);
    /// }
    /// # Ok(()) });
    /// ```
    pub fn list_deleted_repositories(&self) -> ListPager<DeletedRepository> {
        let scope = Scope::resource("registry", "deleted_catalog", [Action::new("*")]);
        let path = ["acr", "v1", "_deleted", "_catalog"];
        let list = self.catalog(&path, "list_deleted_repositories", scope);
        ListPager::new(list, List::pager)
    }
}

impl RepositoryClient {
    /// Lists the soft-deleted manifests: `GET /acr/v1/_deleted/{name}/_manifests`.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// repo.delete_manifest_of_tag(&"v1".parse()?).await?;
    /// let mut deleted = repo.list_deleted_manifests();
    /// while let Some(manifest) = deleted.try_next().await? {
    ///     repo.restore_manifest(&manifest.digest).await?;
    /// }
    /// # Ok(()) });
    /// ```
    pub fn list_deleted_manifests(&self) -> ListPager<DeletedManifest> {
        let path = ["acr", "v1", "_deleted", self.name.as_str(), "_manifests"];
        let list = self.list(&path, "list_deleted_manifests", self.deleted(&[DELETED_READ]));
        ListPager::new(list, List::pager)
    }

    /// Lists the soft-deleted tags: `GET /acr/v1/_deleted/{name}/_tags`.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// repo.delete_manifest_of_tag(&"v1".parse()?).await?;
    /// let mut names = Vec::new();
    /// let mut deleted = repo.list_deleted_tags();
    /// while let Some(tag) = deleted.try_next().await? {
    ///     names.push(tag.name.to_string());
    /// }
    /// assert_eq!(names, ["latest", "v1"]);
    /// # Ok(()) });
    /// ```
    pub fn list_deleted_tags(&self) -> ListPager<DeletedTag> {
        let path = ["acr", "v1", "_deleted", self.name.as_str(), "_tags"];
        let list = self.list(&path, "list_deleted_tags", self.deleted(&[DELETED_READ]));
        ListPager::new(list, List::pager)
    }

    pub(crate) fn deleted(&self, actions: &[&str]) -> Scope {
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
        (&self.name, self.deleted_at)
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
        (&self.digest, self.deleted_at)
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
        (&self.name, &self.digest, self.deleted_at)
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

pub(crate) const DELETED_READ: &str = "deleted_read";
const DELETED_AT: &str = "deletedAt";
