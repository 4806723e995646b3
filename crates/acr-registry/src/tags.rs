//! Tags: list, read, lock, remove.

use acr_core::{Action, Deletion, Effect, Operation, Pager, Result, Scope, Tag};
use http::Method;
use serde::Deserialize;

use crate::{
    list::{List, metadata_read},
    model::{self, Permissions, TagProperties},
    repository::RepositoryClient,
};

impl RepositoryClient {
    /// Lists the tags by name: `GET /acr/v1/{name}/_tags`, one request per page.
    pub fn list_tags(&self) -> Pager<TagProperties> {
        List {
            pipeline: self.pipeline.clone(),
            path: ["acr", "v1", self.name.as_str(), "_tags"].map(str::to_owned).into(),
            operation: Operation::new("list_tags").on(&self.name),
            scope: metadata_read(&self.name),
        }
        .pager::<TagList, _>()
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
        Ok(answer.tag)
    }

    /// Changes a tag's locks: `PATCH /acr/v1/{name}/_tags/{tag}`. A locked tag does not
    /// lock its manifest.
    ///
    /// # Errors
    ///
    /// [`acr_core::ErrorKind::NotFound`] when the tag or the repository does not exist.
    ///
    /// # Cancellation
    ///
    /// After a drop the change may or may not have happened.
    pub async fn update_tag(&self, tag: &Tag, permissions: &Permissions) -> Result<TagProperties> {
        let below = ["_tags", tag.as_str()];
        let operation = self.on_tag("update_tag", tag);
        let answer: OneTag = self.write_properties(&below, permissions, operation).await?;
        Ok(answer.tag)
    }

    /// Removes a tag and leaves its manifest: `DELETE /acr/v1/{name}/_tags/{tag}`.
    ///
    /// # Errors
    ///
    /// [`acr_core::ErrorKind::Disallowed`] when the tag is locked: its `delete` or
    /// `write` permission, or that of the repository, is off.
    ///
    /// # Cancellation
    ///
    /// After a drop the removal may or may not have happened.
    pub async fn delete_tag(&self, tag: &Tag) -> Result<Deletion> {
        let request = self
            .metadata(Method::DELETE, &["_tags", tag.as_str()])
            .operation(self.on_tag("delete_tag", tag))
            .scope(Scope::repository(&self.name, &[Action::DELETE]))
            .effect(Effect::Move)
            .build()?;
        Ok(match self.send_deletion(request).await? {
            Some(_) => Deletion::Deleted,
            None => Deletion::AlreadyAbsent,
        })
    }

    fn on_tag(&self, name: &'static str, tag: &Tag) -> Operation {
        Operation::new(name).on(format_args!("{}:{tag}", self.name))
    }
}

#[derive(Deserialize)]
struct OneTag {
    tag: TagProperties,
}

#[derive(Deserialize)]
struct TagList {
    #[serde(default, deserialize_with = "model::null_is_empty")]
    tags: Vec<TagProperties>,
}

impl From<TagList> for Vec<TagProperties> {
    fn from(page: TagList) -> Self {
        page.tags
    }
}
