//! Brings a soft-deleted manifest back.

use std::{future::IntoFuture, pin::Pin};

use acr_core::{
    Digest, Error, ErrorKind, Result, Tag,
    http::{Body, Effect, Operation},
    value::Given,
};
use http::{HeaderValue, Method, StatusCode, header};

use crate::{
    answer, deleted::DELETED_READ, manifest_request::operation, repository::RepositoryClient,
};

/// What becomes of a tag that is to come back and stands for another manifest by now; see
/// [`RestoreManifest::on_conflict`].
///
/// ```
/// use acr_registry::TagConflict;
///
/// assert_eq!(TagConflict::default(), TagConflict::Fail);
/// ```
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

impl RepositoryClient {
    /// Restores a soft-deleted manifest, with one of its tags or without:
    /// `POST /acr/v1/_deleted/{name}/_manifests/{digest}`.
    ///
    /// Await the builder.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// repo.delete_manifest_of_tag(&"v1".parse()?).await?;
    /// let mut tags = repo.list_deleted_tags();
    /// while let Some(tag) = tags.try_next().await? {
    ///     repo.restore_manifest(&tag.digest).tag(&tag.name).await?;
    /// }
    /// assert_eq!(repo.properties().await?.tag_count, Some(2));
    /// # Ok(()) });
    /// ```
    pub fn restore_manifest(
        &self,
        digest: impl TryInto<Digest, Error: Into<Error>>,
    ) -> RestoreManifest {
        let (client, digest) = (self.clone(), Given::new(digest));
        RestoreManifest { client, digest, tag: None, conflict: None }
    }
}

/// Restores a soft-deleted manifest when awaited.
///
/// # Errors
///
/// [`ErrorKind::NotFound`] when there is nothing to restore; [`ErrorKind::Conflict`] when the
/// tag stands for another manifest by now and is not to be overwritten.
///
/// # Cancellation
///
/// After a drop the manifest may or may not have been restored.
#[derive(Clone, Debug)]
#[must_use = "nothing is sent until it is awaited"]
pub struct RestoreManifest {
    client: RepositoryClient,
    digest: Given<Digest>,
    tag: Option<Given<Tag>>,
    conflict: Option<TagConflict>,
}

impl RestoreManifest {
    /// Brings this tag back with it.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// use acr_core::Tag;
    ///
    /// let v1: Tag = "v1".parse()?;
    /// let digest = repo.resolve(&v1).await?;
    /// repo.delete_manifest(&digest).await?;
    /// repo.restore_manifest(&digest).tag(&v1).await?;
    /// assert_eq!(repo.resolve(&v1).await?, digest);
    /// # Ok(()) });
    /// ```
    pub fn tag(mut self, tag: impl TryInto<Tag, Error: Into<Error>>) -> Self {
        self.tag = Some(Given::new(tag));
        self
    }

    /// What becomes of the tag if it stands for another manifest by now (default
    /// [`TagConflict::Fail`]). Needs [`RestoreManifest::tag`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// use acr_core::Tag;
    /// use acr_registry::TagConflict;
    /// # use acr_registry::ImageIndex;
    ///
    /// let v1: Tag = "v1".parse()?;
    /// let digest = repo.resolve(&v1).await?;
    /// repo.delete_manifest(&digest).await?;
    /// # repo.put_manifest(ImageIndex::new().to_json()?).tag(&v1).await?;
    /// // Somebody has pushed another `v1` meanwhile.
    /// repo.restore_manifest(&digest).tag(&v1).on_conflict(TagConflict::Overwrite).await?;
    /// assert_eq!(repo.resolve(&v1).await?, digest);
    /// # Ok(()) });
    /// ```
    pub fn on_conflict(mut self, conflict: TagConflict) -> Self {
        self.conflict = Some(conflict);
        self
    }

    async fn send(self) -> Result<()> {
        let digest = self.digest.clone().get()?;
        let operation = operation("restore_manifest", &self.client.name, &(&digest).into());
        let restored = self.restore(digest, operation.clone()).await;
        restored.map_err(|error| error.with_operation(Some(&operation)))
    }

    async fn restore(self, digest: Digest, operation: Operation) -> Result<()> {
        let Self { client, tag, conflict, .. } = self;
        let tag = tag.map(Given::get).transpose()?;
        if tag.is_none() && conflict.is_some() {
            let text = "`on_conflict` is about a tag: say which one with `tag`";
            return Err(Error::new(ErrorKind::InvalidInput, text));
        }
        let body = match &tag {
            Some(tag) => serde_json::json!({ "tag": tag.as_str() }).to_string(),
            None => "{}".to_owned(),
        };
        let path = ["_deleted", client.name.as_str(), "_manifests", digest.as_str()];
        let request = client
            .versioned(Method::POST, &path)
            .query("force", conflict == Some(TagConflict::Overwrite))
            .header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .operation(operation)
            .scope(client.deleted(&[DELETED_READ, DELETED_RESTORE]))
            // With a tag it may take the name from another manifest.
            .effect(if tag.is_some() { Effect::Move } else { Effect::Set })
            .body(Body::from(body))
            .build()?;
        let answer = client.pipeline.send(request).await?;
        let (head, _) = answer::success(answer, MAX_RESTORED).await?;
        let expected =
            [StatusCode::OK, StatusCode::CREATED, StatusCode::ACCEPTED, StatusCode::NO_CONTENT];
        if !expected.contains(&head.status) {
            client.resolve(&digest).await?;
        }
        Ok(())
    }
}

impl IntoFuture for RestoreManifest {
    type Output = Result<()>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

const DELETED_RESTORE: &str = "deleted_restore";

/// Nothing is read of the answer but errors.
const MAX_RESTORED: usize = 1024 * 1024;
