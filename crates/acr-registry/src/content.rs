//! The content of manifests: get and put, exact bytes. Requests are built and
//! answers read by pure functions; only two lines await.

use std::future::IntoFuture;

use acr_core::{
    Action, Digest, Effect, Endpoint, Error, ErrorKind, Operation, Reference, RepositoryName,
    Request, RequestBuilder, Result, Scope, Tag, response,
};
use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};

use crate::{
    answer::{refuse_errors, success},
    child, locks,
    model::{Manifest, MediaType, Platform},
    proof::Hashed,
    repository::RepositoryClient,
    shape::{fitting_media_type, refuse_ambiguity},
};

impl RepositoryClient {
    /// Gets a manifest: `GET /v2/{name}/manifests/{reference}`.
    ///
    /// Await the builder. The bytes are verified: against the digest asked for, and against
    /// the digest the registry names, by its algorithm. Of a signed schema 1 image the
    /// digest covers what is signed; the signatures may differ each time.
    pub fn get_manifest(&self, reference: impl Into<Reference>) -> GetManifest<'_> {
        GetManifest {
            client: self,
            reference: reference.into(),
            max_size: MAX_MANIFEST,
            accept: None,
            allow_ambiguous: false,
            platform: None,
        }
    }

    /// Puts a manifest: `PUT /v2/{name}/manifests/{tag or digest}`.
    ///
    /// Await the builder. The bytes are sent as they are.
    pub fn put_manifest(&self, content: impl Into<Bytes>) -> PutManifest<'_> {
        PutManifest {
            client: self,
            content: content.into(),
            tag: None,
            media_type: None,
            allow_ambiguous: false,
        }
    }

    /// Points a tag to a manifest that is there: gets its bytes and puts them, unchanged
    /// and under their media type, with the new tag. Gives the digest that the registry
    /// knows it by under the new tag.
    ///
    /// # Errors
    ///
    /// Those of [`GetManifest`] and [`PutManifest`].
    ///
    /// # Cancellation
    ///
    /// After a drop the tag may or may not have been set.
    pub async fn retag(&self, from: impl Into<Reference> + Send, to: &Tag) -> Result<Digest> {
        let manifest = self.get_manifest(from).allow_ambiguous().await?;
        let put = self.put_manifest(manifest.content).media_type(manifest.media_type);
        put.allow_ambiguous().tag(to).await
    }

    /// The digest a tag or digest stands for now: `HEAD /v2/{name}/manifests/{reference}`.
    ///
    /// Where a registry does not name the digest in its answer, or knows no `HEAD` (405,
    /// 501, 400 or 406), the manifest is got and the digest computed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`]; [`ErrorKind::Protocol`] when the registry names no digest
    /// that could be one.
    ///
    /// # Cancellation
    ///
    /// Dropping the future sends nothing more.
    pub async fn resolve(&self, reference: impl Into<Reference> + Send) -> Result<Digest> {
        let reference = reference.into();
        let operation = operation("resolve", &self.name, &reference);
        let request = read_request(Method::HEAD, self, &reference, operation, None)?;
        let answer = self.pipeline.send(request).await?;
        if HEAD_UNKNOWN.contains(&answer.status()) {
            // A lock answers 405 too, and says so in the body that only `GET` has.
            return Ok(self.get_manifest(reference).allow_ambiguous().await?.digest);
        }
        let answer = response::expect(answer, &[StatusCode::OK])
            .await
            .map_err(|error| locks::explain(error, locks::GET_MANIFEST))?;
        let (head, _) = answer.into_parts();
        refuse_errors(&head, &[])?;
        let named = response::header_text(&head.headers, &response::DOCKER_CONTENT_DIGEST);
        match (named, reference.digest()) {
            (Some(named), asked) => {
                let digest: Digest = named.parse().map_err(|error| {
                    let error = Error::new(ErrorKind::Protocol, "the registry names no digest")
                        .with_source(error);
                    response::describe(error, &head)
                })?;
                let Some(asked) = asked else { return Ok(digest) };
                response::check_digest_header(&head, asked)?;
                Ok(asked.clone())
            }
            (None, Some(asked)) => Ok(asked.clone()),
            (None, None) => Ok(self.get_manifest(reference).allow_ambiguous().await?.digest),
        }
    }
}

/// Gets a manifest when awaited.
///
/// # Errors
///
/// [`ErrorKind::NotFound`]; [`ErrorKind::Integrity`] when the bytes do not have the
/// digest; [`ErrorKind::TooLarge`] beyond [`GetManifest::max_size`];
/// [`ErrorKind::Protocol`] for a document that can be read in two ways (see
/// [`GetManifest::allow_ambiguous`]); [`ErrorKind::Disallowed`] when reading it is off. With
/// [`GetManifest::platform`], [`ErrorKind::NotFound`] also when nothing runs there.
///
/// # Cancellation
///
/// Dropping the future sends nothing more.
#[derive(Debug)]
#[must_use = "nothing is sent until it is awaited"]
pub struct GetManifest<'a> {
    client: &'a RepositoryClient,
    reference: Reference,
    max_size: usize,
    accept: Option<Vec<MediaType>>,
    allow_ambiguous: bool,
    platform: Option<Platform>,
}

/// Puts a manifest when awaited, and gives its digest: the one it was put under, or, for a
/// tag, the one that the registry names, which is checked.
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`], and nothing is sent, for a document that can be read in two
/// ways (see [`PutManifest::allow_ambiguous`]);
/// [`ErrorKind::Rejected`] when the registry finds a blob missing or the document
/// malformed; [`ErrorKind::Disallowed`] when the tag or the repository is locked;
/// [`ErrorKind::Integrity`] when the registry stored something else.
///
/// # Cancellation
///
/// After a drop the manifest may or may not have been stored.
#[derive(Debug)]
#[must_use = "nothing is sent until it is awaited"]
pub struct PutManifest<'a> {
    client: &'a RepositoryClient,
    content: Bytes,
    tag: Option<Tag>,
    media_type: Option<MediaType>,
    allow_ambiguous: bool,
}

impl GetManifest<'_> {
    /// Refuses a larger manifest while it is read (default 4 MiB, the registry's own limit).
    pub fn max_size(mut self, bytes: usize) -> Self {
        self.max_size = bytes;
        self
    }

    /// Asks for these media types only. Default: every type there is.
    ///
    /// With a narrow list a registry answers 404 for what it has, or, for the tag of an
    /// index, its linux/amd64 child: whoever sets it gets what it names.
    pub fn accept(mut self, media_types: impl IntoIterator<Item = MediaType>) -> Self {
        self.accept = Some(media_types.into_iter().collect());
        self
    }

    /// Takes also a document that is an index and an image at once, that disagrees with the
    /// media type it is kept under, or that has names which come twice or which some readers
    /// take for others, such as `Layers`. Whoever interprets such bytes may see another
    /// artifact than the next tool; to store or to hash them is safe.
    pub fn allow_ambiguous(mut self) -> Self {
        self.allow_ambiguous = true;
        self
    }

    /// Gets, where the reference stands for an index, the manifest in it that suits a
    /// platform best (see [`ImageIndex::select`](crate::ImageIndex::select)), with one more
    /// request. Indexes within are followed: 8 deep at most, 32 requests in all. What is no
    /// index is given as it is, whatever it runs on.
    pub fn platform(mut self, platform: Platform) -> Self {
        self.platform = Some(platform);
        self
    }

    async fn send(mut self) -> Result<Manifest> {
        match self.platform.take() {
            None => self.get().await,
            Some(wanted) => {
                let (client, max_size) = (self.client, self.max_size);
                let accept = self.accept.clone();
                let get = |digest: &Digest| {
                    let get = GetManifest { accept: accept.clone(), ..client.get_manifest(digest) };
                    get.max_size(max_size).get()
                };
                let operation = operation("get_manifest", &client.name, &self.reference);
                let found = child::follow(self.get().await?, &wanted, get).await;
                found.map_err(|error| error.with_operation(Some(&operation)))
            }
        }
    }

    async fn get(self) -> Result<Manifest> {
        let Self { client, reference, max_size, accept, allow_ambiguous, platform: _ } = self;
        let operation = operation("get_manifest", &client.name, &reference);
        let accept = accept.as_deref();
        let request = read_request(Method::GET, client, &reference, operation, accept)?;
        let answer = client.pipeline.send(request).await?;
        let answer = response::expect(answer, &[StatusCode::OK])
            .await
            .map_err(|error| locks::explain(error, locks::GET_MANIFEST))?;
        let (head, content, framing) = response::read_content(answer, max_size).await?;
        let read = content.len() as u64;
        let manifest = decode(&head, content, &reference)?;
        if !is_proven(&head, &reference) {
            framing.confirm(read).map_err(|error| response::describe(error, &head))?;
        }
        if !allow_ambiguous {
            refuse_ambiguity(&manifest.content, &manifest.media_type, ErrorKind::Protocol)
                .map_err(|error| response::describe(error, &head))?;
        }
        Ok(manifest)
    }
}

impl PutManifest<'_> {
    /// Points this tag to the manifest; without a tag it is stored under its digest.
    pub fn tag(mut self, tag: impl Into<Tag>) -> Self {
        self.tag = Some(tag.into());
        self
    }

    /// Stores it under this media type. Default: the document's own `mediaType`, else what
    /// its fields are those of, else that of an OCI image manifest.
    pub fn media_type(mut self, media_type: impl Into<MediaType>) -> Self {
        self.media_type = Some(media_type.into());
        self
    }

    /// Sends also a document that readers may read differently; as
    /// [`GetManifest::allow_ambiguous`].
    pub fn allow_ambiguous(mut self) -> Self {
        self.allow_ambiguous = true;
        self
    }

    async fn send(self) -> Result<Digest> {
        let Self { client, content, tag, media_type, allow_ambiguous } = self;
        let media_type = media_type.unwrap_or_else(|| fitting_media_type(&content));
        if !allow_ambiguous {
            refuse_ambiguity(&content, &media_type, ErrorKind::InvalidInput)?;
        }
        let is_tagged = tag.is_some();
        let hashed = Hashed::of(&content);
        let digest = hashed.digest();
        let endpoint = client.pipeline.endpoint();
        let reference = tag.clone().map_or_else(|| Reference::from(&digest), Reference::Tag);
        let body = content.clone();
        let request = put_request(endpoint, &client.name, tag, &digest, &media_type, body)?;
        let answer = client.pipeline.send(request).await?;
        let (head, _) = success(answer, MAX_PUT)
            .await
            .map_err(|error| locks::explain(error, locks::PUT_MANIFEST))?;
        let named = hashed.named(&head)?;
        if head.status != StatusCode::CREATED && named.is_none() {
            // Not the status of something stored, and no word of what was.
            let stored = client.get_manifest(reference).allow_ambiguous().await?.digest;
            if !hashed.has(&stored) {
                let text = format!("put `{digest}`, the registry has `{stored}`");
                return Err(response::describe(Error::new(ErrorKind::Integrity, text), &head));
            }
        }
        Ok(named.filter(|_| is_tagged).unwrap_or(digest))
    }
}

impl<'a> IntoFuture for GetManifest<'a> {
    type Output = Result<Manifest>;
    type IntoFuture = std::pin::Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

impl<'a> IntoFuture for PutManifest<'a> {
    type Output = Result<Digest>;
    type IntoFuture = std::pin::Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

fn read_request(
    method: Method,
    client: &RepositoryClient,
    reference: &Reference,
    operation: Operation,
    accept: Option<&[MediaType]>,
) -> Result<Request> {
    let accept = match accept {
        None => HeaderValue::from_static(ACCEPT),
        Some(types) => {
            let list: Vec<&str> = types.iter().map(MediaType::as_str).collect();
            header_value(&list.join(", "))?
        }
    };
    let path = ["v2", client.name.as_str(), "manifests", reference.as_str()];
    RequestBuilder::new(method, client.pipeline.endpoint(), &path)
        .header(header::ACCEPT, accept)
        .header(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"))
        .operation(operation)
        .scope(Scope::repository(&client.name, &[Action::PULL]))
        .effect(Effect::Read)
        .build()
}

fn header_value(text: &str) -> Result<HeaderValue> {
    HeaderValue::from_str(text).map_err(|error| {
        Error::new(ErrorKind::InvalidInput, "the media type cannot stand in a header")
            .with_source(error)
    })
}

fn put_request(
    endpoint: &Endpoint,
    name: &RepositoryName,
    tag: Option<Tag>,
    digest: &Digest,
    media_type: &MediaType,
    content: Bytes,
) -> Result<Request> {
    let media_type = header_value(media_type.as_str())?;
    // Content under its digest is a fact; a tag is a name that others move too.
    let (reference, effect) = match tag {
        Some(tag) => (Reference::Tag(tag), Effect::Move),
        None => (Reference::from(digest), Effect::Set),
    };
    let path = ["v2", name.as_str(), "manifests", reference.as_str()];
    RequestBuilder::new(Method::PUT, endpoint, &path)
        .header(header::CONTENT_TYPE, media_type)
        .operation(operation("put_manifest", name, &reference))
        .scope(Scope::repository(name, &[Action::PULL, Action::PUSH]))
        .effect(effect)
        .body(content)
        .build()
}

/// Whether there was a digest to compare with: ours, or the one that the registry names.
fn is_proven(head: &http::response::Parts, reference: &Reference) -> bool {
    reference.digest().is_some()
        || response::header_text(&head.headers, &response::DOCKER_CONTENT_DIGEST).is_some()
}

fn decode(head: &http::response::Parts, content: Bytes, reference: &Reference) -> Result<Manifest> {
    response::check_encoding(head)?;
    let digest = Hashed::of(&content).verified(reference.digest(), head)?;
    let media_type = response::header_text(&head.headers, &header::CONTENT_TYPE)
        .map(|text| text.split(';').next().unwrap_or_default().trim())
        .filter(|text| !text.is_empty())
        .map_or_else(|| fitting_media_type(&content), MediaType::from);
    Ok(Manifest { digest, media_type, content })
}

fn operation(name: &'static str, repository: &RepositoryName, reference: &Reference) -> Operation {
    let mark = if reference.digest().is_some() { '@' } else { ':' };
    Operation::new(name).on(format_args!("{repository}{mark}{reference}"))
}

/// Every manifest type there is. With a narrower list a registry answers 404 for
/// what it has, or the linux/amd64 child of an index in its place.
const ACCEPT: &str = "application/vnd.oci.image.manifest.v1+json, \
    application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.oci.artifact.manifest.v1+json, \
    application/vnd.cncf.oras.artifact.manifest.v1+json, \
    */*";

/// How a server says that it has no `HEAD` here.
const HEAD_UNKNOWN: [StatusCode; 4] = [
    StatusCode::METHOD_NOT_ALLOWED,
    StatusCode::NOT_IMPLEMENTED,
    StatusCode::BAD_REQUEST,
    StatusCode::NOT_ACCEPTABLE,
];

/// Nothing is read of the answer to a `PUT` but errors.
const MAX_PUT: usize = 1024 * 1024;

/// The registry's own limit.
const MAX_MANIFEST: usize = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn head(headers: &[(&'static str, &str)]) -> http::response::Parts {
        let mut response = http::Response::new(());
        for (name, value) in headers {
            response.headers_mut().insert(*name, value.parse().unwrap());
        }
        response.into_parts().0
    }

    #[test]
    fn the_digest_asked_for_is_the_only_authority() {
        let content = Bytes::from_static(b"{}");
        let right = Digest::sha256(&content);
        let wrong = Digest::sha256(b"other");
        let tag: Reference = "v1".parse().unwrap();
        for (reference, header, accepted) in [
            (Reference::from(&right), None, true),
            (Reference::from(&right), Some(&right), true),
            (Reference::from(&right), Some(&wrong), false),
            (Reference::from(&wrong), None, false),
            (Reference::from(&wrong), Some(&wrong), false),
            (tag.clone(), None, true),
            (tag.clone(), Some(&right), true),
            (tag, Some(&wrong), false),
        ] {
            let header: Vec<_> =
                header.map(|d| ("docker-content-digest", d.as_str())).into_iter().collect();
            let got = decode(&head(&header), content.clone(), &reference);
            match got {
                Ok(manifest) => assert!(accepted && manifest.digest == right),
                Err(error) => assert!(!accepted && error.kind() == ErrorKind::Integrity),
            }
        }
    }

    #[test]
    fn media_type_comes_from_the_header_then_the_document() {
        let reference: Reference = "v1".parse().unwrap();
        let document = Bytes::from_static(br#"{"mediaType":"application/x"}"#);
        for (header, expected) in
            [(Some("application/y; charset=utf-8"), "application/y"), (None, "application/x")]
        {
            let header: Vec<_> = header.map(|text| ("content-type", text)).into_iter().collect();
            let manifest = decode(&head(&header), document.clone(), &reference).unwrap();
            assert_eq!(manifest.media_type.as_str(), expected);
        }
        assert_eq!(fitting_media_type(b"not json"), MediaType::OCI_MANIFEST);
    }

    #[test]
    fn a_put_by_tag_is_a_move_and_by_digest_a_fact() {
        let endpoint: Endpoint = "r.azurecr.io".parse().unwrap();
        let name: RepositoryName = "a/b".parse().unwrap();
        let digest = Digest::sha256(b"{}");
        for (tag, effect, path) in [
            (Some("v1".parse().unwrap()), Effect::Move, "/v2/a/b/manifests/v1".to_owned()),
            (None, Effect::Set, format!("/v2/a/b/manifests/{digest}")),
        ] {
            let content = Bytes::from_static(b"{}");
            let request =
                put_request(&endpoint, &name, tag, &digest, &MediaType::OCI_MANIFEST, content)
                    .unwrap();
            assert_eq!(request.uri().path(), path);
            assert_eq!(request.extensions().get::<Effect>(), Some(&effect));
        }
    }
}
