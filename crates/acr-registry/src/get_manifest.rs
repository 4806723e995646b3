//! Gets a manifest: exact bytes, verified.

use std::{future::IntoFuture, pin::Pin};

use acr_core::{Digest, Error, ErrorKind, Reference, Result, http::response, value::Given};
use http::{Method, StatusCode, response::Parts};

use crate::{
    child, locks,
    manifest_request::{operation, read_request},
    model::{Manifest, MediaType, Platform},
    repository::RepositoryClient,
};

impl RepositoryClient {
    /// Gets a manifest: `GET /v2/{name}/manifests/{reference}`.
    ///
    /// Await the builder. The bytes are verified: against the digest asked for, and against
    /// the digest the registry names, by its algorithm. Of a signed schema 1 image the
    /// digest covers what is signed; the signatures may differ each time.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// use acr_registry::Document;
    ///
    /// let manifest = repo.get_manifest("v1").await?;
    /// match manifest.document()? {
    ///     Document::Index(index) => assert_eq!(index.manifests.len(), 2),
    ///     other => println!("{other:?}"),
    /// }
    /// # Ok(()) });
    /// ```
    pub fn get_manifest(
        &self,
        reference: impl TryInto<Reference, Error: Into<Error>>,
    ) -> GetManifest {
        GetManifest {
            client: self.clone(),
            reference: Given::new(reference),
            max_size: MAX_MANIFEST,
            accept: None,
            allow_ambiguous: false,
            platform: None,
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
/// [`GetManifest::platform`], [`ErrorKind::NotFound`] also when nothing runs there;
/// [`ErrorKind::InvalidInput`] for text that is no reference or platform.
///
/// # Cancellation
///
/// Dropping the future sends nothing more.
#[derive(Clone, Debug)]
#[must_use = "nothing is sent until it is awaited"]
pub struct GetManifest {
    client: RepositoryClient,
    reference: Given<Reference>,
    max_size: usize,
    accept: Option<Vec<MediaType>>,
    allow_ambiguous: bool,
    platform: Option<Given<Platform>>,
}

impl GetManifest {
    /// Refuses a larger manifest while it is read (default 4 MiB, the registry's own limit).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// use acr_core::ErrorKind;
    ///
    /// let error = repo.get_manifest("v1").max_size(16).await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::TooLarge);
    /// # Ok(()) });
    /// ```
    pub fn max_size(mut self, bytes: usize) -> Self {
        self.max_size = bytes;
        self
    }

    /// Asks for these media types only. Default: every type there is.
    ///
    /// With a narrow list a registry answers 404 for what it has, or, for the tag of an
    /// index, its linux/amd64 child: whoever sets it gets what it names.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// use acr_registry::MediaType;
    ///
    /// let index = repo.get_manifest("v1").accept([MediaType::OCI_INDEX]).await?;
    /// assert_eq!(index.media_type, MediaType::OCI_INDEX);
    /// # Ok(()) });
    /// ```
    pub fn accept(mut self, media_types: impl IntoIterator<Item = MediaType>) -> Self {
        self.accept = Some(media_types.into_iter().collect());
        self
    }

    /// Takes also a document that is an index and an image at once, that disagrees with the
    /// media type it is kept under, or that has names which come twice or which some readers
    /// take for others, such as `Layers`. Whoever interprets such bytes may see another
    /// artifact than the next tool; to store or to hash them is safe.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// use acr_core::Digest;
    ///
    /// // To keep its bytes, whatever they say.
    /// let manifest = repo.get_manifest("v1").allow_ambiguous().await?;
    /// assert_eq!(Digest::sha256(&manifest.content), manifest.digest);
    /// # Ok(()) });
    /// ```
    pub fn allow_ambiguous(mut self) -> Self {
        self.allow_ambiguous = true;
        self
    }

    /// Gets, where the reference stands for an index, the manifest in it that suits a
    /// platform best (see [`ImageIndex::select`](crate::ImageIndex::select)), with one more
    /// request. Indexes within are followed: 8 deep at most, 32 requests in all. What is no
    /// index is given as it is, whatever it runs on. A platform may be text: what is wrong with it
    /// is said when the builder is awaited.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// use acr_registry::Document;
    ///
    /// let image = repo.get_manifest("v1").platform("linux/arm64").await?;
    /// assert!(matches!(image.document()?, Document::Image(_)));
    /// # Ok(()) });
    /// ```
    pub fn platform(mut self, platform: impl TryInto<Platform, Error: Into<Error>>) -> Self {
        self.platform = Some(Given::new(platform));
        self
    }

    async fn send(mut self) -> Result<Manifest> {
        let reference = self.reference.clone().get()?;
        let Some(wanted) = self.platform.take() else { return self.get(reference).await };
        let wanted = wanted.get()?;
        let operation = operation("get_manifest", &self.client.name, &reference);
        let first = self.clone().get(reference).await?;
        let get = |digest: &Digest| {
            // Whatever may be said of the index, not of what it leads to.
            Self { allow_ambiguous: false, ..self.clone() }.get(digest.into())
        };
        let found = child::follow(first, &wanted, get).await;
        found.map_err(|error| error.with_operation(Some(&operation)))
    }

    async fn get(self, reference: Reference) -> Result<Manifest> {
        let Self { client, max_size, accept, allow_ambiguous, .. } = self;
        let operation = operation("get_manifest", &client.name, &reference);
        let accept = accept.as_deref();
        let request = read_request(Method::GET, &client, &reference, operation, accept)?.build()?;
        let answer = client.pipeline.send(request).await?;
        let answer = response::expect(answer, &[StatusCode::OK])
            .await
            .map_err(|error| locks::explain(error, locks::GET_MANIFEST))?;
        let (head, content, framing) = response::read_content(answer, max_size).await?;
        let read = content.len() as u64;
        let manifest = Manifest::from_answer(reference.digest(), &head, content)?;
        if !is_proven(&head, &reference) {
            framing.confirm(read).map_err(|error| response::describe(error, &head))?;
        }
        if !allow_ambiguous {
            manifest
                .refuse_ambiguity(ErrorKind::Protocol)
                .map_err(|error| response::describe(error, &head))?;
        }
        Ok(manifest)
    }
}

impl IntoFuture for GetManifest {
    type Output = Result<Manifest>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

/// Whether there was a digest to compare with: ours, or the one that the registry names.
fn is_proven(head: &Parts, reference: &Reference) -> bool {
    reference.digest().is_some()
        || response::header_text(&head.headers, &response::DOCKER_CONTENT_DIGEST).is_some()
}

/// The registry's own limit.
const MAX_MANIFEST: usize = 4 * 1024 * 1024;
