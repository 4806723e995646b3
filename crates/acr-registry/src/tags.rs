//! Tags: list, read, lock, remove.

use acr_core::{Action, Deletion, Effect, Operation, RepositoryName, Result, Scope, Tag};
use http::{HeaderName, Method};
use serde::Deserialize;

use crate::{
    list::{Filter, List, WirePage, metadata_read},
    list_pager::ListPager,
    locks,
    model::{self, Owner, Permissions, TagDeletion, TagProperties, WireTag},
    repository::RepositoryClient,
};

impl RepositoryClient {
    /// Lists the tags by name: `GET /acr/v1/{name}/_tags`, one request per page.
    ///
    /// [`ListPager::order_by`] orders by time, [`ListPager::of`] lists the tags of one manifest.
    pub fn list_tags(&self) -> ListPager<TagProperties> {
        let path = ["acr", "v1", self.name.as_str(), "_tags"];
        let list = self.list(&path, "list_tags", metadata_read(&self.name));
        ListPager::new(list, List::pager::<TagList>)
    }

    /// Reads a tag's properties: `GET /acr/v1/{name}/_tags/{tag}`.
    ///
    /// # Errors
    ///
    /// [`acr_core::ErrorKind::NotFound`] when the tag or the repository does not exist.
    ///
    /// # Cancellation
    ///
    /// Dropping the future sends nothing more.
    pub async fn get_tag(&self, tag: &Tag) -> Result<TagProperties> {
        let operation = self.on_tag("get_tag", tag);
        let answer: OneTag = self.read_properties(&["_tags", tag.as_str()], operation).await?;
        Ok(answer.properties(self.owner()))
    }

    /// Changes a tag's locks: `PATCH /acr/v1/{name}/_tags/{tag}`. A locked tag does not
    /// lock its manifest. Takes single flags, or the properties whose flags shall be restored.
    ///
    /// # Errors
    ///
    /// [`acr_core::ErrorKind::NotFound`] when the tag or the repository does not exist.
    ///
    /// # Cancellation
    ///
    /// After a drop the change may or may not have happened.
    pub async fn update_tag(
        &self,
        tag: &Tag,
        permissions: impl Into<Permissions> + Send,
    ) -> Result<TagProperties> {
        let below = ["_tags", tag.as_str()];
        let operation = self.on_tag("update_tag", tag);
        let permissions = permissions.into();
        let answer: OneTag = self.write_properties(&below, &permissions, operation).await?;
        Ok(answer.properties(self.owner()))
    }

    /// Removes a tag and leaves its manifest: `DELETE /acr/v1/{name}/_tags/{tag}`.
    ///
    /// To delete the manifest behind a tag, with all its tags, is
    /// [`RepositoryClient::delete_manifest_of_tag`].
    ///
    /// # Errors
    ///
    /// [`acr_core::ErrorKind::Disallowed`] when the tag is locked: its `delete` or
    /// `write` permission, or that of the repository, is off.
    ///
    /// # Cancellation
    ///
    /// After a drop the removal may or may not have happened.
    pub async fn delete_tag(&self, tag: &Tag) -> Result<TagDeletion> {
        let request = self
            .metadata(Method::DELETE, &["_tags", tag.as_str()])
            .operation(self.on_tag("delete_tag", tag))
            .scope(Scope::repository(&self.name, &[Action::DELETE]))
            .effect(Effect::Move)
            .build()?;
        Ok(match self.send_deletion(request, locks::DELETE_TAG).await? {
            Some(answer) => {
                let digest = acr_core::response::header_text(answer.headers(), &POINTED_TO);
                let digest = digest.and_then(|text| text.parse().ok());
                TagDeletion { outcome: Deletion::Deleted, digest }
            }
            None => TagDeletion { outcome: Deletion::AlreadyAbsent, digest: None },
        })
    }

    fn on_tag(&self, name: &'static str, tag: &Tag) -> Operation {
        Operation::new(name).on(format_args!("{}:{tag}", self.name))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OneTag {
    registry: Option<String>,
    image_name: Option<RepositoryName>,
    tag: WireTag,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TagList {
    registry: Option<String>,
    image_name: Option<RepositoryName>,
    #[serde(default, deserialize_with = "model::null_is_empty")]
    tags: Vec<WireTag>,
}

impl OneTag {
    fn properties(self, owner: Owner) -> TagProperties {
        self.tag.owned_by(&owner.or(self.registry, self.image_name))
    }
}

impl WirePage for TagList {
    type Item = TagProperties;

    fn is_empty(&self) -> bool {
        self.tags.is_empty()
    }

    fn items(self, list: &List) -> Vec<TagProperties> {
        let Some(owner) = list.owner.clone() else { return Vec::new() };
        let owner = owner.or(self.registry, self.image_name);
        // The registry was never seen to filter a page after the first.
        let belongs = |tag: &WireTag| match &list.filter {
            Some(Filter::Digest(digest)) => tag.digest == *digest,
            _ => true,
        };
        self.tags.into_iter().filter(belongs).map(|tag| tag.owned_by(&owner)).collect()
    }

    fn key(tag: &TagProperties) -> impl std::hash::Hash {
        (tag.name.clone(), tag.updated_at)
    }
}

/// What the tag pointed to; the registry's own, and not on every registry.
const POINTED_TO: HeaderName = HeaderName::from_static("x-ms-int-docker-content-digest");
