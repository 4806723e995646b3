//! The requests of an upload session, one a function, and what their answers say.

use std::time::Duration;

use acr_core::{
    Action, Digest, Error, ErrorCode, ErrorKind, RepositoryName, Result, Scope,
    http::{Body, Effect, Operation, Request, RequestBuilder, Response, response, url_policy},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use tracing::debug;

use crate::{
    range::{self, Received},
    repository::Repository,
    upload::outcome::Failure,
};

/// An open session.
#[derive(Clone, Debug)]
pub(crate) struct Wire {
    repository: Repository,
    /// Where the next request goes; the registry names a new place after each.
    location: Uri,
    /// The registry says so; a place that was written down could be that of anything.
    is_session: bool,
}

/// A request without success.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) failure: Failure,
    pub(crate) error: Error,
}

/// What the start of an upload led to.
#[derive(Debug)]
pub(crate) enum Started {
    /// The blob was mounted from another repository, the registry says, with or without
    /// naming it.
    Mounted { named: bool },
    /// A session, and the shortest chunk that the registry takes.
    Opened(Box<Wire>, Option<u64>),
}

impl Wire {
    /// `POST /v2/{name}/blobs/uploads/`, asking for a mount where a source is named.
    pub(crate) async fn start(
        repository: &Repository,
        mount: Option<(&Digest, &RepositoryName)>,
    ) -> Result<Started> {
        let path = ["v2", repository.name.as_str(), "blobs", "uploads", ""];
        let name = if mount.is_some() { "mount_blob" } else { "start_upload" };
        let mut request = RequestBuilder::new(Method::POST, repository.pipeline.endpoint(), &path)
            .operation(operation(repository, name))
            .effect(Effect::Claim);
        let mut scope = push(repository);
        if let Some((digest, from)) = mount {
            request = request.query("mount", digest).query("from", from);
            scope = scope.union(Scope::repository(from, &[Action::PULL]));
        }
        let request = request.scope(scope).build()?;
        let uri = request.uri().clone();
        let answer = success(repository.pipeline.send(request).await?).await?;
        if let (Some((digest, _)), StatusCode::CREATED) = (mount, answer.status()) {
            let head = answer.into_parts().0;
            response::check_digest_header(&head, digest)?;
            return Ok(Started::Mounted { named: names_digest(&head.headers, digest) });
        }
        let min = response::header_u64(answer.headers(), &MIN_LENGTH).filter(|min| *min <= MAX_MIN);
        let mut wire = Self { repository: repository.clone(), location: uri, is_session: true };
        wire.location = wire.next_location(&wire.location, answer)?;
        Ok(Started::Opened(Box::new(wire), min))
    }

    /// A session that was opened before, at a place that was written down.
    pub(crate) fn resume(repository: &Repository, location: &str) -> Result<Self> {
        let unusable = || Error::new(ErrorKind::InvalidInput, "the place of the upload is no URL");
        let mut headers = HeaderMap::new();
        headers.insert(header::LOCATION, location.parse().map_err(|e| unusable().with_source(e))?);
        let endpoint = repository.pipeline.endpoint();
        let base = endpoint.uri("/")?;
        let location = url_policy::upload_location(endpoint, &repository.name, &base, &headers)?;
        // Elsewhere the path is opaque.
        let is_session = endpoint.is_azure_registry();
        Ok(Self { repository: repository.clone(), location, is_session })
    }

    pub(crate) fn location(&self) -> String {
        self.location.to_string()
    }

    /// `PATCH {location}` with the bytes that start at an offset.
    pub(crate) async fn append(
        &mut self,
        from: u64,
        to: u64,
        body: Body,
    ) -> Result<Option<Received>, Refusal> {
        let is_stream = body.try_clone().is_none();
        let request = self
            .request(Method::PATCH, "upload_chunk")
            .header(header::CONTENT_TYPE, OCTET_STREAM)
            .header(header::CONTENT_RANGE, content_range(from, to)?)
            .effect(Effect::Append)
            .body(body)
            .build()
            .map_err(Refusal::fatal)?;
        let answer = self.send(request, is_stream).await?;
        let received = range::received(answer.headers());
        let says_where = self.follow(answer)?;
        if received.is_none() && !says_where {
            // A success of something on the way, perhaps, and not of the registry.
            let text = "the answer to a chunk names neither a range nor a location";
            let error = Error::new(ErrorKind::Protocol, text);
            return Err(Refusal { failure: Failure::Doubtful, error });
        }
        Ok(received)
    }

    /// `PUT {location}&digest=` with the last bytes, possibly none; whether the answer
    /// names the digest. Says where they belong if the registry may have some already.
    pub(crate) async fn commit(
        &mut self,
        (from, to): (u64, u64),
        is_first: bool,
        body: Body,
        digest: &Digest,
    ) -> Result<bool, Refusal> {
        let is_stream = body.try_clone().is_none();
        let mut request = self
            .request(Method::PUT, "complete_upload")
            .query("digest", digest)
            .header(header::CONTENT_TYPE, OCTET_STREAM)
            .effect(Effect::Commit)
            .body(body);
        if to > from && !is_first {
            request = request.header(header::CONTENT_RANGE, content_range(from, to)?);
        }
        let request = request.build().map_err(Refusal::fatal)?;
        let answer = match self.send(request, is_stream).await {
            Ok(answer) => answer,
            Err(refusal) => return Err(refusal.of_commit()),
        };
        let head = answer.into_parts().0;
        response::check_digest_header(&head, digest).map_err(Refusal::fatal)?;
        // "Accepted" promises nothing yet.
        Ok(head.status != StatusCode::ACCEPTED && names_digest(&head.headers, digest))
    }

    /// `GET {location}`: how far the registry got.
    pub(crate) async fn status(&mut self) -> Result<Option<Received>, Refusal> {
        let request = self
            .request(Method::GET, "upload_status")
            .scope(self.repository.pull.clone())
            .effect(Effect::Read)
            .build()
            .map_err(Refusal::fatal)?;
        let answer = self.send(request, false).await;
        let answer = answer.map_err(Refusal::of_status)?;
        let received = range::received(answer.headers());
        self.is_session |= received.is_some();
        self.follow(answer)?;
        Ok(received)
    }

    /// `DELETE {location}`
    pub(crate) async fn cancel(&self) -> Result<()> {
        let request = RequestBuilder::to(Method::DELETE, self.location.clone())
            .operation(operation(&self.repository, "cancel_upload"))
            .scope(Scope::repository(&self.repository.name, &[Action::DELETE]))
            .effect(Effect::Set)
            .build()?;
        let answer = self.repository.pipeline.send(request).await?;
        success(answer).await?;
        Ok(())
    }

    /// Cancels, best effort and in bounded time: the outcome never replaces the error
    /// that led here. Whether there is nothing left to cancel.
    pub(crate) async fn abandon(&self) -> bool {
        if !self.is_session {
            debug!("what the checkpoint names is no upload session, and is left alone");
            return true;
        }
        match tokio::time::timeout(CANCEL_TIMEOUT, self.cancel()).await {
            Ok(Ok(())) => {
                debug!("upload session cancelled");
                return true;
            }
            Ok(Err(error)) if error.kind() == ErrorKind::NotFound => {
                debug!("the upload session was gone already");
                return true;
            }
            Ok(Err(error)) => debug!(%error, "upload session left to expire"),
            Err(_) => debug!("upload session left to expire: no answer in time"),
        }
        false
    }

    fn request(&self, method: Method, name: &'static str) -> RequestBuilder {
        RequestBuilder::to(method, self.location.clone())
            .operation(operation(&self.repository, name))
            .scope(push(&self.repository))
    }

    async fn send(&mut self, request: Request, is_stream: bool) -> Result<Response, Refusal> {
        let answer = self.repository.pipeline.send(request).await;
        let answer = answer.map_err(|error| Refusal::of(error, is_stream))?;
        let mut received = None;
        if answer.status() == StatusCode::RANGE_NOT_SATISFIABLE
            && answer.headers().contains_key(header::LOCATION)
        {
            received = range::received(answer.headers());
            let endpoint = self.repository.pipeline.endpoint();
            let repository = &self.repository.name;
            let headers = answer.headers();
            self.location =
                url_policy::upload_location(endpoint, repository, &self.location, headers)
                    .map_err(Refusal::fatal)?;
        }
        success(answer).await.map_err(|error| {
            let mut refusal = Refusal::of(error, is_stream);
            if let Failure::OutOfStep(place) = &mut refusal.failure {
                *place = received;
            }
            refusal
        })
    }

    /// Goes where the answer says, if it does; else the place stays the same.
    fn follow(&mut self, answer: Response) -> Result<bool, Refusal> {
        if !answer.headers().contains_key(header::LOCATION) {
            return Ok(false);
        }
        self.location = self.next_location(&self.location, answer).map_err(Refusal::fatal)?;
        Ok(true)
    }

    fn next_location(&self, request: &Uri, answer: Response) -> Result<Uri> {
        let (head, _) = answer.into_parts();
        let endpoint = self.repository.pipeline.endpoint();
        url_policy::upload_location(endpoint, &self.repository.name, request, &head.headers)
            .map_err(|error| response::describe(error, &head))
    }
}

impl Refusal {
    pub(crate) fn fatal(error: Error) -> Self {
        Self { failure: Failure::Refused, error }
    }

    /// Reads from an error what it says about the registry's state. Nothing repeated a
    /// stream, so that also what is repeated otherwise is mended by asking.
    fn of(error: Error, is_stream: bool) -> Self {
        let is_too_long = error.retry_after().is_some_and(|wait| wait > MAX_PAUSE);
        let status = error.status().map_or(0, |status| status.as_u16());
        let is_doubtful = error.is_retryable() && (is_stream || !error.is_unsent())
            || is_stream && error.kind() == ErrorKind::Unauthenticated
            || matches!(status, 409 | 412);
        let is_unknown = error.code() == Some(&ErrorCode::BLOB_UPLOAD_UNKNOWN);
        let failure = match status {
            413 => Failure::TooLarge,
            416 => Failure::OutOfStep(None),
            404 => Failure::Lost,
            // olareg says it with a 400.
            400..500 if is_unknown => Failure::Lost,
            _ if is_doubtful && !is_too_long => Failure::Doubtful,
            _ => Failure::Refused,
        };
        Self { failure, error }
    }

    /// The registry of go-containerregistry answers 400 to every `GET`.
    fn of_status(self) -> Self {
        let Self { failure, error } = self;
        let status = error.status().map_or(0, |status| status.as_u16());
        let failure = match (failure, status) {
            (Failure::Refused, 400 | 405 | 501) => Failure::NoStatus,
            (failure, _) => failure,
        };
        Self { failure, error }
    }

    fn of_commit(self) -> Self {
        let Self { failure, error } = self;
        let is_mismatch = error.code() == Some(&ErrorCode::DIGEST_INVALID);
        let status = error.status().map_or(0, |status| status.as_u16());
        let failure = match (failure, status) {
            (Failure::Refused, _) if is_mismatch => Failure::Mismatch,
            (Failure::Refused, 400 | 405 | 411 | 415 | 501) => Failure::BodyUnwanted,
            (failure, _) => failure,
        };
        Self { failure, error }
    }
}

/// Any success: which one a step is answered with differs from registry to registry, and
/// what it promises is checked by its headers.
async fn success(answer: Response) -> Result<Response> {
    if answer.status().is_success() {
        return Ok(answer);
    }
    Err(response::into_error(answer).await)
}

fn names_digest(headers: &HeaderMap, digest: &Digest) -> bool {
    let named = response::header_text(headers, &response::DOCKER_CONTENT_DIGEST);
    named == Some(digest.as_str())
}

/// Whether the registry, or its token service, will not do this for this caller, whatever it
/// can do otherwise.
pub(crate) fn is_refusal(error: &Error) -> bool {
    let kinds = [
        ErrorKind::Unauthenticated,
        ErrorKind::Forbidden,
        ErrorKind::NotFound,
        ErrorKind::Disallowed,
        ErrorKind::Conflict,
        ErrorKind::Rejected,
    ];
    let is_unimplemented = error.status() == Some(StatusCode::NOT_IMPLEMENTED);
    is_unimplemented || (kinds.contains(&error.kind()) && !error.is_retryable())
}

/// Whether somebody on the way was tired of waiting.
pub(crate) fn is_timeout(error: &Error) -> bool {
    let status = error.status().map_or(0, |status| status.as_u16());
    error.kind() == ErrorKind::Timeout || matches!(status, 408 | 504 | 524)
}

/// A success that tells nothing.
pub(crate) fn no_status() -> Error {
    Error::new(ErrorKind::Protocol, "the registry does not say how far the upload got")
}

/// Says of an error that the session is gone.
pub(crate) fn lost(error: Option<Error>) -> Error {
    let text = "the registry lost the upload session; the upload must start again";
    let lost = Error::new(ErrorKind::Session, text);
    let Some(error) = error else {
        return lost;
    };
    let lost = lost
        .with_attempts(error.attempts())
        .with_request_id(error.request_id())
        .with_correlation_id(error.correlation_id());
    lost.with_source(error)
}

fn content_range(from: u64, to: u64) -> Result<HeaderValue, Refusal> {
    range::chunk(from, to.saturating_sub(from)).ok_or_else(|| {
        let text = "the content is longer than 2^64 bytes";
        Refusal::fatal(Error::new(ErrorKind::InvalidInput, text))
    })
}

fn operation(repository: &Repository, name: &'static str) -> Operation {
    Operation::new(name).on(&repository.name)
}

fn push(repository: &Repository) -> Scope {
    repository.push.clone()
}

const OCTET_STREAM: HeaderValue = HeaderValue::from_static("application/octet-stream");

const MIN_LENGTH: HeaderName = HeaderName::from_static("oci-chunk-min-length");

/// A larger minimum would decide about our memory, and is none of a registry's business.
const MAX_MIN: u64 = 64 * 1024 * 1024;

/// A longer wish of the registry ends the upload with the error that carries it.
pub(crate) const MAX_PAUSE: Duration = Duration::from_secs(60);

/// Cancelling is a courtesy; nobody waits longer for it.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(5);
