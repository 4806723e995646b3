//! The client of one repository's blobs.

use acr_core::{
    Action, ByteRange, CallOptions, ContentRange, Deletion, Digest, Effect, Error, ErrorKind,
    Operation, Pipeline, RepositoryName, RequestBuilder, Response, Result, Scope, Was,
    layer::drain, response,
};
use http::{HeaderValue, Method, StatusCode, header};

use crate::{
    content::Content,
    download::{Download, DownloadRange, range_header},
    info::BlobInfo,
    upload::{Learned, Mount, Upload, UploadCheckpoint, UploadSession},
};

/// The blobs of one repository. Cheap to clone.
#[derive(Clone, Debug)]
pub struct BlobClient {
    pub(crate) pipeline: Pipeline,
    pub(crate) repository: RepositoryName,
    pub(crate) learned: Learned,
}

impl BlobClient {
    /// A client that sends through this pipeline.
    pub fn new(pipeline: Pipeline, repository: RepositoryName) -> Self {
        Self { pipeline, repository, learned: Learned::default() }
    }

    /// The same client with further options for its calls: a cheap clone. What they do not set
    /// stays as it was.
    #[must_use]
    pub fn with(&self, options: CallOptions) -> Self {
        Self { pipeline: self.pipeline.with(options), ..self.clone() }
    }

    /// The repository.
    pub fn repository(&self) -> &RepositoryName {
        &self.repository
    }

    /// Asks for a blob's size: `HEAD /v2/{name}/blobs/{digest}`.
    ///
    /// Where the registry refuses a `HEAD`, or its storage a link for one, a `GET` is sent
    /// in its place, whose content is not read.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] when it is absent; [`ErrorKind::Protocol`] when the answer has
    /// no size; [`ErrorKind::Integrity`] when it is about another blob.
    ///
    /// # Cancellation
    ///
    /// Dropping the future sends nothing more.
    pub async fn blob_properties(&self, digest: &Digest) -> Result<BlobInfo> {
        let mut answer = Box::pin(self.look(Method::HEAD, digest, None)).await?;
        if is_refused_look(&answer) {
            drain(answer.into_body()).await;
            answer = Box::pin(self.look(Method::GET, digest, None)).await?;
        }
        let answer = response::expect(answer, &[StatusCode::OK]).await?;
        // The content of a `GET` is not read: dropping it closes the connection.
        let head = answer.into_parts().0;
        response::check_digest_header(&head, digest)?;
        match response::header_u64(&head.headers, &header::CONTENT_LENGTH) {
            Some(size) => Ok(BlobInfo { digest: digest.clone(), size }),
            None => {
                let error = Error::new(ErrorKind::Protocol, "the answer has no size");
                Err(response::describe(error, &head))
            }
        }
    }

    /// The same, or `None` when it is absent.
    pub(crate) async fn find(&self, digest: &Digest) -> Result<Option<BlobInfo>> {
        match self.blob_properties(digest).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sends a request that only its answer's head is wanted of.
    async fn look(
        &self,
        method: Method,
        digest: &Digest,
        range: Option<ByteRange>,
    ) -> Result<Response> {
        let mut request = self
            .blob_request(method, digest, "blob_properties")
            // The size that is told must be that of the content, and not of an encoding.
            .header(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"))
            .scope(Scope::repository(&self.repository, &[Action::PULL]))
            .effect(Effect::Read)
            .follow_redirects();
        if let Some(range) = range {
            request = request.header(header::RANGE, range_header(range)?);
        }
        self.pipeline.send(request.build()?).await
    }

    /// Whether the repository has a blob: `HEAD /v2/{name}/blobs/{digest}`.
    ///
    /// # Errors
    ///
    /// As [`BlobClient::blob_properties`], but no error of absence.
    ///
    /// # Cancellation
    ///
    /// Dropping the future sends nothing more.
    pub async fn exists(&self, digest: &Digest) -> Result<bool> {
        Ok(self.find(digest).await?.is_some())
    }

    /// Downloads a blob: `GET /v2/{name}/blobs/{digest}` and the redirect it answers with.
    ///
    /// Await the builder for a [`crate::BlobReader`], or call `to_file`.
    pub fn download(&self, digest: &Digest) -> Download {
        Download::new(self.clone(), digest.clone())
    }

    /// Downloads a part of a blob, which nothing can verify: `GET` with `Range`, and the
    /// redirect it answers with. Await the builder for a [`crate::PartialReader`].
    pub fn download_range(&self, digest: &Digest, range: ByteRange) -> DownloadRange {
        DownloadRange::new(self.clone(), digest.clone(), range)
    }

    /// Whether a blob exists and reaches to the end of a range, or into it if the range
    /// has no end: `HEAD` with `Range`, which some registries ignore.
    ///
    /// # Errors
    ///
    /// As [`BlobClient::exists`].
    ///
    /// # Cancellation
    ///
    /// Dropping the future sends nothing more.
    pub async fn has_range(&self, digest: &Digest, range: ByteRange) -> Result<bool> {
        let answer = self.look(Method::HEAD, digest, Some(range)).await?;
        let wanted = range.last().unwrap_or(range.first());
        if answer.status() == StatusCode::RANGE_NOT_SATISFIABLE {
            return Ok(false);
        }
        if is_refused_look(&answer) {
            drain(answer.into_body()).await;
            return Ok(self.find(digest).await?.is_some_and(|blob| blob.size > wanted));
        }
        let expected = [StatusCode::OK, StatusCode::PARTIAL_CONTENT];
        let head = match response::expect(answer, &expected).await {
            Ok(answer) => answer.into_parts().0,
            Err(error) if error.is_not_found() => return Ok(false),
            Err(error) => return Err(error),
        };
        let part = response::header_text(&head.headers, &header::CONTENT_RANGE);
        if let Some(part) = part.and_then(|text| text.parse::<ContentRange>().ok()) {
            return Ok(part.first() <= range.first() && part.last() >= wanted);
        }
        let size = response::header_u64(&head.headers, &header::CONTENT_LENGTH);
        if head.status == StatusCode::OK
            && let Some(size) = size
        {
            return Ok(size > wanted);
        }
        let error = Error::new(ErrorKind::Protocol, "the answer does not say what it has");
        Err(response::describe(error, &head))
    }

    /// Uploads content: `POST …/blobs/uploads/`, then `PATCH` if need be, and a closing
    /// `PUT`. Content of at most one chunk takes two requests.
    ///
    /// Await the builder.
    pub fn upload(&self, content: impl Into<Content>) -> Upload {
        Upload::new(self.clone(), content.into())
    }

    /// Opens an upload to write to piece by piece: `POST …/blobs/uploads/`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Forbidden`] without the right to push.
    ///
    /// # Cancellation
    ///
    /// After a drop a session may be open on the registry; it expires.
    pub async fn start_upload(&self) -> Result<UploadSession> {
        UploadSession::start(self).await
    }

    /// Goes on with an upload of [`UploadSession`], perhaps of another process: asks the
    /// registry how far it got (`GET {location}`). Nobody can check that what is written to it
    /// goes on from what was sent: whoever calls this vouches for it. To go on with content
    /// that can be given again from its start, use [`Upload::resume`], which compares.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Session`] when the session is gone or got further than the checkpoint;
    /// [`ErrorKind::InvalidInput`] for the checkpoint of another repository. Any other error
    /// leaves the session as it was: try again later.
    ///
    /// # Cancellation
    ///
    /// Dropping the future sends nothing more.
    pub async fn resume_upload(&self, checkpoint: &UploadCheckpoint) -> Result<UploadSession> {
        UploadSession::resume(self, checkpoint).await
    }

    /// Takes a blob over from another repository of the registry without sending it:
    /// `POST …/blobs/uploads/?mount=…&from=…`. If the registry will not, or refuses the
    /// request, an upload is opened instead. An answer that does not name the blob is looked
    /// at: `HEAD /v2/{name}/blobs/{digest}`. Needs the right to pull from the other repository.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Forbidden`] without the right to push.
    ///
    /// # Cancellation
    ///
    /// After a drop the blob may be mounted, or a session open that expires.
    pub async fn mount(&self, digest: &Digest, from: &RepositoryName) -> Result<Mount> {
        UploadSession::mount(self, digest, from).await
    }

    /// Deletes a blob: `DELETE /v2/{name}/blobs/{digest}`. The registry does not check
    /// whether a manifest still names it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Forbidden`] without the right to delete; [`ErrorKind::NotFound`] for a
    /// 404 that visibly is not the registry's, such as a proxy's page in HTML.
    ///
    /// # Cancellation
    ///
    /// After a drop the deletion may or may not have happened.
    pub async fn delete_blob(&self, digest: &Digest) -> Result<Deletion> {
        let request = self
            .blob_request(Method::DELETE, digest, "delete_blob")
            .scope(Scope::repository(&self.repository, &[Action::DELETE]))
            .effect(Effect::Set)
            .build()?;
        let answer = self.pipeline.send(request).await?;
        match response::expect_deleted(answer).await {
            Ok(()) => Ok(Deletion::new(Was::Existed).digest(digest.clone())),
            Err(error) if error.is_not_found() && !error.is_foreign() => {
                Ok(Deletion::new(Was::Absent))
            }
            Err(error) => Err(error),
        }
    }

    pub(crate) fn blob_request(
        &self,
        method: Method,
        digest: &Digest,
        operation: &'static str,
    ) -> RequestBuilder {
        let path = ["v2", self.repository.as_str(), "blobs", digest.as_str()];
        RequestBuilder::new(method, self.pipeline.endpoint(), &path)
            .operation(Operation::new(operation).on(format_args!("{}@{digest}", self.repository)))
    }
}

/// Whether a `HEAD` may have been refused for its method or its range alone. A link to the
/// storage may be good for `GET` only.
fn is_refused_look(answer: &Response) -> bool {
    match answer.status() {
        StatusCode::BAD_REQUEST
        | StatusCode::METHOD_NOT_ALLOWED
        | StatusCode::NOT_ACCEPTABLE
        | StatusCode::NOT_IMPLEMENTED => true,
        StatusCode::NOT_FOUND | StatusCode::TOO_MANY_REQUESTS => false,
        status => response::came_by_redirect(answer) && status.is_client_error(),
    }
}
