//! Points a tag to a manifest that is there, and only from where it is expected to stand.

use std::{future::IntoFuture, pin::Pin};

use acr_core::{Digest, Error, ErrorKind, Reference, Result, Tag};

use crate::repository::RepositoryClient;

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
    /// let (tested, latest): (Tag, Tag) = ("v1".parse()?, "latest".parse()?);
    /// let before = repo.resolve(&latest).await?;
    /// // Not if somebody else moved it meanwhile.
    /// let now = repo.tag(&tested, &latest).if_tag_is(&before).await?;
    /// println!("latest: {before} -> {now}");
    /// # Ok(()) });
    /// ```
    pub fn tag(&self, from: impl Into<Reference>, to: &Tag) -> TagManifest {
        TagManifest {
            client: self.clone(),
            from: from.into(),
            to: to.clone(),
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
/// [`ErrorKind::Conflict`], and nothing is changed, when the tag does not stand where it is
/// expected to.
///
/// # Cancellation
///
/// After a drop the tag may or may not have been set.
#[derive(Clone, Debug)]
#[must_use = "nothing is sent until it is awaited"]
pub struct TagManifest {
    client: RepositoryClient,
    from: Reference,
    to: Tag,
    stands: Stands,
}

impl TagManifest {
    /// Only if the tag stands for this manifest now: one more request (`HEAD`), right before
    /// the `PUT`. The interface has no condition of its own, so somebody who moves the tag in
    /// the moment between the two is overwritten.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// use acr_core::{Digest, ErrorKind, Tag};
    ///
    /// let (v1, latest): (Tag, Tag) = ("v1".parse()?, "latest".parse()?);
    /// let elsewhere = Digest::sha256(b"another");
    /// let error = repo.tag(&v1, &latest).if_tag_is(&elsewhere).await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Conflict);
    /// # Ok(()) });
    /// ```
    pub fn if_tag_is(mut self, digest: &Digest) -> Self {
        self.stands = Stands::At(digest.clone());
        self
    }

    /// Only if there is no such tag yet; looked at as by [`TagManifest::if_tag_is`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// use acr_core::{ErrorKind, Tag};
    ///
    /// let (v1, stable): (Tag, Tag) = ("v1".parse()?, "stable".parse()?);
    /// repo.tag(&v1, &stable).if_absent().await?;
    /// let error = repo.tag(&v1, &stable).if_absent().await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Conflict);
    /// # Ok(()) });
    /// ```
    pub fn if_absent(mut self) -> Self {
        self.stands = Stands::Nowhere;
        self
    }

    async fn send(self) -> Result<Digest> {
        let Self { client, from, to, stands } = self;
        let manifest = client.get_manifest(from).allow_ambiguous().await?;
        let put = client.put_manifest(manifest.content).media_type(manifest.media_type);
        put.allow_ambiguous().tag(to).only(stands).await
    }
}

impl IntoFuture for TagManifest {
    type Output = Result<Digest>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

/// Where a tag has to stand for it to be moved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stands {
    #[default]
    Anywhere,
    Nowhere,
    At(Digest),
}

impl Stands {
    /// Looks where the tag stands, unless that does not matter.
    pub(crate) async fn check(&self, client: &RepositoryClient, tag: &Tag) -> Result<()> {
        if *self == Self::Anywhere {
            return Ok(());
        }
        let found = match client.resolve(tag).await {
            Ok(digest) => Some(digest),
            // An answer that is not the registry's says nothing of the tag.
            Err(error) if error.is_not_found() && !error.is_foreign() => None,
            Err(error) => return Err(error),
        };
        let text = match (self, found) {
            (Self::At(wanted), Some(found)) if *wanted == found => return Ok(()),
            (Self::Nowhere, None) => return Ok(()),
            (Self::At(wanted), Some(found)) => {
                format!("the tag `{tag}` stands for `{found}` and not for `{wanted}`")
            }
            (Self::At(wanted), None) => {
                format!("there is no tag `{tag}`, it was expected to stand for `{wanted}`")
            }
            (_, Some(found)) => format!("there is a tag `{tag}` already, it stands for `{found}`"),
            (Self::Anywhere, None) => return Ok(()),
        };
        Err(Error::new(ErrorKind::Conflict, format!("{text}; nothing was changed: look again")))
    }
}
