//! Points a tag to a manifest that is there, and only from where it is expected to stand.

use std::{future::IntoFuture, pin::Pin};

use acr_core::{Digest, Error, Reference, Result, Tag, value::Given};

use crate::{manifest_request::operation, repository::RepositoryClient, stands::Stands};

impl RepositoryClient {
    /// Points a tag to a manifest that is there: gets its bytes and puts them, unchanged
    /// and under their media type, with the new tag (`GET`, then `PUT`).
    ///
    /// Await the builder.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// use acr_core::Tag;
    ///
    /// let latest: Tag = "latest".parse()?;
    /// let before = repo.resolve(&latest).await?;
    /// // Not if somebody else moved it meanwhile.
    /// let now = repo.tag("v1", &latest).if_tag_is(&before).await?;
    /// println!("latest: {before} -> {now}");
    /// # Ok(()) });
    /// ```
    pub fn tag(
        &self,
        from: impl TryInto<Reference, Error: Into<Error>>,
        to: impl TryInto<Tag, Error: Into<Error>>,
    ) -> TagManifest {
        TagManifest {
            client: self.clone(),
            from: Given::new(from),
            to: Given::new(to),
            stands: Stands::Anywhere,
        }
    }
}

/// Points a tag to a manifest when awaited, and gives the digest that the registry knows it
/// by under the new tag.
///
/// # Errors
///
/// Those of [`GetManifest`](crate::GetManifest) and [`PutManifest`](crate::PutManifest);
/// [`acr_core::ErrorKind::Conflict`], and nothing is changed, when the tag does not stand where it is
/// expected to.
///
/// # Cancellation
///
/// After a drop the tag may or may not have been set.
#[derive(Clone, Debug)]
#[must_use = "nothing is sent until it is awaited"]
pub struct TagManifest {
    client: RepositoryClient,
    from: Given<Reference>,
    to: Given<Tag>,
    stands: Stands,
}

impl TagManifest {
    /// Only if the tag stands for this manifest now: looked at (`HEAD`, and `GET` of a tag that
    /// seems to be absent) before the `PUT`, and again whenever the `PUT` had to wait before it
    /// is sent once more. The interface has no condition of its own: somebody who moves the tag
    /// after the look was answered and before the `PUT` arrives is overwritten. That is the way
    /// of two messages, and longer only if the token that served for the look is refused then.
    /// The second look goes around the layers of
    /// [`layer_per_call`](acr_core::PipelineBuilder::layer_per_call).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// use acr_core::{Digest, ErrorKind};
    ///
    /// let elsewhere = Digest::sha256(b"another");
    /// let error = repo.tag("v1", "latest").if_tag_is(&elsewhere).await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Conflict);
    /// # Ok(()) });
    /// ```
    pub fn if_tag_is(mut self, digest: impl TryInto<Digest, Error: Into<Error>>) -> Self {
        self.stands = Stands::at(digest).after(&self.stands);
        self
    }

    /// Only if there is no such tag yet; looked at as by [`TagManifest::if_tag_is`], which
    /// contradicts it: both together are [`acr_core::ErrorKind::InvalidInput`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// use acr_core::ErrorKind;
    ///
    /// repo.tag("v1", "stable").if_absent().await?;
    /// let error = repo.tag("v1", "stable").if_absent().await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Conflict);
    /// # Ok(()) });
    /// ```
    pub fn if_absent(mut self) -> Self {
        self.stands = Stands::Nowhere.after(&self.stands);
        self
    }

    async fn send(self) -> Result<Digest> {
        let Self { client, from, to, stands } = self;
        let (from, to) = (from.get()?, to.get()?);
        let moves = operation("put_manifest", &client.name, &Reference::from(&to));
        stands.check_option(true).map_err(|error| error.with_operation(Some(&moves)))?;
        let manifest = client.get_manifest(from).allow_ambiguous().await?;
        let put = client.put_manifest(manifest.content).media_type(manifest.media_type);
        put.allow_ambiguous().tag(&to).only(stands).await
    }
}

impl IntoFuture for TagManifest {
    type Output = Result<Digest>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}
