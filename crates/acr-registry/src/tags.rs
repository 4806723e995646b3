//! Tags: list, read, lock, remove.

use acr_core::{
    Action, Deletion, Digest, Result, Scope, Tag, Was,
    http::{Effect, Operation},
};
use http::{HeaderName, Method};
use serde_json::value::RawValue;

use crate::{
    list::{Filter, Item, List, metadata_read},
    list_pager::ListPager,
    locks,
    model::{Fields, Owner, Permissions, TagProperties, quick, value},
    repository::RepositoryClient,
};

impl RepositoryClient {
    /// Lists the tags by name: `GET /acr/v1/{name}/_tags`, one request per page.
    ///
    /// [`ListPager::order_by`] orders by time, [`ListPager::of`] lists the tags of one manifest.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// use acr_registry::Order;
    ///
    /// let mut tags = repo.list_tags().order_by(Order::NEWEST_FIRST);
    /// while let Some(tag) = tags.try_next().await? {
    ///     println!("{} {}", tag.name, tag.digest);
    /// }
    /// # Ok(()) });
    /// ```
    pub fn list_tags(&self) -> ListPager<TagProperties> {
        let path = ["acr", "v1", self.name.as_str(), "_tags"];
        let list = self.list(&path, "list_tags", metadata_read(&self.name));
        ListPager::new(list, List::pager)
    }

    /// Reads a tag's properties: `GET /acr/v1/{name}/_tags/{tag}`.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// let tag = repo.tag_properties(&"v1".parse()?).await?;
    /// println!("{} since {:?}", tag.digest, tag.updated_at);
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// [`acr_core::ErrorKind::NotFound`] when the tag or the repository does not exist.
    ///
    /// # Cancellation
    ///
    /// Dropping the future sends nothing more.
    pub async fn tag_properties(&self, tag: &Tag) -> Result<TagProperties> {
        let operation = self.on_tag("tag_properties", tag);
        let below = ["_tags", tag.as_str()];
        self.read_properties(&below, operation, |fields| one(fields, self.owner())).await
    }

    /// Changes a tag's locks: `PATCH /acr/v1/{name}/_tags/{tag}`. The manifest has
    /// locks of its own: see [which lock stops what](crate::Permissions#which-lock-stops-what).
    /// Takes single flags, or the properties whose flags shall be restored.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// use acr_core::Tag;
    /// use acr_registry::Permissions;
    ///
    /// let v1: Tag = "v1".parse()?;
    /// repo.update_tag_properties(&v1, Permissions::new().write(false).delete(false)).await?;
    /// let error = repo.delete_tag(&v1).await.unwrap_err();
    /// assert_eq!(error.kind(), acr_core::ErrorKind::Disallowed);
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// [`acr_core::ErrorKind::NotFound`] when the tag or the repository does not exist.
    ///
    /// # Cancellation
    ///
    /// After a drop the change may or may not have happened.
    pub async fn update_tag_properties(
        &self,
        tag: &Tag,
        permissions: impl Into<Permissions> + Send,
    ) -> Result<TagProperties> {
        let below = ["_tags", tag.as_str()];
        let operation = self.on_tag("update_tag_properties", tag);
        let permissions = permissions.into();
        let read = |fields: Fields<'_>| one(fields, self.owner());
        let is_done = |tag: &TagProperties| permissions.are_those_of(&tag.permissions);
        self.write_properties(&below, &permissions, operation, read, is_done).await
    }

    /// Removes a tag and leaves its manifest: `DELETE /acr/v1/{name}/_tags/{tag}`. What it stood
    /// for is [`Deletion::digest`](Deletion#structfield.digest), where the registry says it.
    ///
    /// To delete the manifest behind a tag, with all its tags, is
    /// [`RepositoryClient::delete_manifest_of_tag`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// use acr_core::Tag;
    ///
    /// let v1: Tag = "v1".parse()?;
    /// assert!(repo.delete_tag(&v1).await?.existed());
    /// // The manifest has its other tag still, and would be there without it.
    /// assert!(repo.resolve(&"latest".parse::<Tag>()?).await.is_ok());
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// [`acr_core::ErrorKind::Disallowed`] when the tag or the repository is locked: see
    /// [which lock stops what](crate::Permissions#which-lock-stops-what).
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
        let look = Box::pin(async { self.tag_properties(tag).await.map(drop) });
        Ok(match self.send_deletion(request, locks::DELETE_TAG, look).await? {
            Some((head, _)) => {
                let digest = acr_core::http::response::header_text(&head.headers, &POINTED_TO);
                let digest: Option<Digest> = digest.and_then(|text| text.parse().ok());
                Deletion::new(Was::Existed).digest(digest)
            }
            None => Deletion::new(Was::Absent),
        })
    }

    fn on_tag(&self, name: &'static str, tag: &Tag) -> Operation {
        Operation::new(name).on(format_args!("{}:{tag}", self.name))
    }
}

/// The answer about a single tag.
fn one(mut envelope: Fields<'_>, owner: Owner) -> Result<TagProperties, String> {
    let tag = envelope.need("tag")?;
    TagProperties::read(tag, &owner.or_of(&mut envelope))
}

impl Item for TagProperties {
    const LIST: &'static str = "tags";
    const ONE: Option<&'static str> = Some("tag");

    fn read(raw: &RawValue, owner: Option<&Owner>) -> Result<Self, String> {
        let owner = owner.ok_or("a tag of no repository")?;
        Self::read(value(raw)?, owner)
    }

    fn quick(body: &[u8], owner: Option<&Owner>) -> Option<Vec<Self>> {
        quick::tags(body, owner?)
    }

    fn belongs(&self, filter: &Filter) -> bool {
        match filter {
            // The registry was never seen to filter a page after the first.
            Filter::Digest(digest) => self.digest == *digest,
            Filter::ArtifactType(_) => true,
        }
    }

    fn key(&self) -> impl std::hash::Hash {
        (&self.name, self.updated_at)
    }
}

/// What the tag pointed to; the registry's own, and not on every registry.
const POINTED_TO: HeaderName = HeaderName::from_static("x-ms-int-docker-content-digest");
