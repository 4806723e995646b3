//! Puts a manifest: the bytes as they are, under a tag or their digest.

use std::{future::IntoFuture, pin::Pin};

use acr_core::{
    Action, Digest, Endpoint, Error, ErrorKind, Reference, RepositoryName, Result, Scope, Tag,
    http::{Effect, Request, RequestBuilder, response},
    value::Given,
};
use bytes::Bytes;
use http::{Method, StatusCode, header};

use crate::{
    answer::success,
    locks,
    manifest_request::{header_value, operation},
    model::{Manifest, MediaType},
    repository::RepositoryClient,
    stands::Stands,
};

impl RepositoryClient {
    /// Puts a manifest: `PUT /v2/{name}/manifests/{tag or digest}`.
    ///
    /// Await the builder. The bytes are sent as they are.
    ///
    /// The config and the layers that it names must be there first: `acr_blob::BlobClient::upload`.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// use acr_core::Tag;
    /// use acr_registry::ImageManifest;
    ///
    /// let image = ImageManifest::artifact("application/vnd.example.report").to_json()?;
    /// let digest = repo.put_manifest(image).tag("report").await?;
    /// assert_eq!(repo.resolve("report".parse::<Tag>()?).await?, digest);
    /// # Ok(()) });
    /// ```
    pub fn put_manifest(&self, content: impl Into<Bytes>) -> PutManifest {
        PutManifest {
            client: self.clone(),
            content: content.into(),
            tag: None,
            media_type: None,
            allow_ambiguous: false,
            stands: Stands::Anywhere,
        }
    }
}

/// Puts a manifest when awaited, and gives its digest: the one it was put under, or, for a
/// tag, the one that the registry names, which is checked.
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`], and nothing is sent, for a document that can be read in two
/// ways (see [`PutManifest::allow_ambiguous`]);
/// [`ErrorKind::Rejected`] when the registry finds a blob missing or the document
/// malformed; [`ErrorKind::Conflict`], and nothing is put, when the tag does not stand where
/// it is expected to; [`ErrorKind::Disallowed`] when the tag or the repository is locked;
/// [`ErrorKind::Integrity`] when the registry stored something else.
///
/// # Cancellation
///
/// After a drop the manifest may or may not have been stored.
#[derive(Clone, Debug)]
#[must_use = "nothing is sent until it is awaited"]
pub struct PutManifest {
    client: RepositoryClient,
    content: Bytes,
    tag: Option<Given<Tag>>,
    media_type: Option<MediaType>,
    allow_ambiguous: bool,
    stands: Stands,
}

impl PutManifest {
    /// Points this tag to the manifest; without a tag it is stored under its digest.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// let manifest = repo.get_manifest("v1").await?;
    /// let same = repo.put_manifest(manifest.content).tag("v1.0").await?;
    /// assert_eq!(same, manifest.digest);
    /// # Ok(()) });
    /// ```
    pub fn tag(mut self, tag: impl TryInto<Tag, Error: Into<Error>>) -> Self {
        self.tag = Some(Given::new(tag));
        self
    }

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
    /// # use acr_registry::ImageManifest;
    /// # let image = ImageManifest::artifact("application/vnd.example.report").to_json()?;
    ///
    /// let elsewhere = Digest::sha256(b"another");
    /// let error = repo.put_manifest(image).tag("latest").if_tag_is(&elsewhere).await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Conflict);
    /// # Ok(()) });
    /// ```
    pub fn if_tag_is(self, digest: impl TryInto<Digest, Error: Into<Error>>) -> Self {
        self.only(Stands::at(digest))
    }

    /// Only if there is no such tag yet; looked at as by [`PutManifest::if_tag_is`], which
    /// contradicts it: both together are [`ErrorKind::InvalidInput`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// use acr_core::ErrorKind;
    /// # use acr_registry::ImageManifest;
    /// # let image = ImageManifest::artifact("application/vnd.example.report").to_json()?;
    ///
    /// repo.put_manifest(image.clone()).tag("build-4711").if_absent().await?;
    /// let error = repo.put_manifest(image).tag("build-4711").if_absent().await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Conflict);
    /// # Ok(()) });
    /// ```
    pub fn if_absent(self) -> Self {
        self.only(Stands::Nowhere)
    }

    pub(crate) fn only(mut self, stands: Stands) -> Self {
        self.stands = stands.after(&self.stands);
        self
    }

    /// Stores it under this media type. Default: the document's own `mediaType`, else what
    /// its fields are those of, else that of an OCI image manifest.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// use acr_registry::MediaType;
    ///
    /// // An index that does not say what it is.
    /// let put = repo.put_manifest(&br#"{"schemaVersion":2,"manifests":[]}"#[..]);
    /// let digest = put.media_type(MediaType::OCI_INDEX).await?;
    /// assert_eq!(repo.get_manifest(digest).await?.media_type, MediaType::OCI_INDEX);
    /// # Ok(()) });
    /// ```
    pub fn media_type(mut self, media_type: impl Into<MediaType>) -> Self {
        self.media_type = Some(media_type.into());
        self
    }

    /// Sends also a document that readers may read differently; as
    /// [`GetManifest::allow_ambiguous`](crate::GetManifest::allow_ambiguous).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// use acr_core::ErrorKind;
    ///
    /// let doubled = r#"{"schemaVersion":2,"manifests":[],"Manifests":[]}"#;
    /// let error = repo.put_manifest(doubled).await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::InvalidInput);
    /// repo.put_manifest(doubled).allow_ambiguous().await?;
    /// # Ok(()) });
    /// ```
    pub fn allow_ambiguous(mut self) -> Self {
        self.allow_ambiguous = true;
        self
    }

    async fn send(mut self) -> Result<Digest> {
        let manifest = Manifest::new(std::mem::take(&mut self.content));
        let tag = self.tag.take().map(Given::get).transpose()?;
        let reference = match &tag {
            Some(tag) => Reference::from(tag),
            None => Reference::from(&manifest.digest),
        };
        let operation = operation("put_manifest", &self.client.name, &reference);
        let put = self.put(manifest, tag, reference).await;
        put.map_err(|error| error.with_operation(Some(&operation)))
    }

    async fn put(
        self,
        manifest: Manifest,
        tag: Option<Tag>,
        reference: Reference,
    ) -> Result<Digest> {
        let Self { client, media_type, allow_ambiguous, stands, .. } = self;
        stands.check_option(tag.is_some())?;
        let manifest = match media_type {
            Some(media_type) => manifest.kept_as(media_type),
            None => manifest,
        };
        if !allow_ambiguous {
            manifest.refuse_ambiguity(ErrorKind::InvalidInput)?;
        }
        let is_tagged = tag.is_some();
        let endpoint = client.pipeline.endpoint();
        let mut request = put_request(endpoint, &client.name, &reference, &manifest)?;
        if let Some(tag) = &tag {
            stands.guard(&client, tag, &mut request).await?;
        }
        let answer = client.pipeline.send(request).await?;
        let (head, _) = success(answer, MAX_PUT)
            .await
            .map_err(|error| locks::explain(error, locks::PUT_MANIFEST))?;
        let named = manifest.named_by(&head)?;
        if head.status != StatusCode::CREATED && named.is_none() {
            // Not the status of something stored, and no word of what was.
            let stored = client.get_manifest(reference).allow_ambiguous().await?.digest;
            if !manifest.has(&stored) {
                let text = format!("put `{}`, the registry has `{stored}`", manifest.digest);
                return Err(response::describe(Error::new(ErrorKind::Integrity, text), &head));
            }
        }
        Ok(named.filter(|_| is_tagged).unwrap_or(manifest.digest))
    }
}

impl IntoFuture for PutManifest {
    type Output = Result<Digest>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

fn put_request(
    endpoint: &Endpoint,
    name: &RepositoryName,
    reference: &Reference,
    manifest: &Manifest,
) -> Result<Request> {
    let media_type = header_value(manifest.media_type.as_str())?;
    // Content under its digest is a fact; a tag is a name that others move too.
    let effect = if reference.digest().is_some() { Effect::Set } else { Effect::Move };
    let path = ["v2", name.as_str(), "manifests", reference.as_str()];
    RequestBuilder::new(Method::PUT, endpoint, &path)
        .header(header::CONTENT_TYPE, media_type)
        .operation(operation("put_manifest", name, reference))
        .scope(Scope::repository(name, &[Action::PULL, Action::PUSH]))
        .effect(effect)
        .body(manifest.content.clone())
        .build()
}

/// Nothing is read of the answer to a `PUT` but errors.
const MAX_PUT: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_put_by_tag_is_a_move_and_by_digest_a_fact() {
        let endpoint: Endpoint = "r.azurecr.io".parse().unwrap();
        let name: RepositoryName = "a/b".parse().unwrap();
        let manifest = Manifest::new("{}");
        for (reference, effect, path) in [
            ("v1".parse().unwrap(), Effect::Move, "/v2/a/b/manifests/v1".to_owned()),
            (
                Reference::from(&manifest.digest),
                Effect::Set,
                format!("/v2/a/b/manifests/{}", manifest.digest),
            ),
        ] {
            let request = put_request(&endpoint, &name, &reference, &manifest).unwrap();
            assert_eq!(request.uri().path(), path);
            assert_eq!(request.extensions().get::<Effect>(), Some(&effect));
        }
    }
}
