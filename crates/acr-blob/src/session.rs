//! One upload session: start, chunks, status, commit, cancel. After a doubtful
//! outcome it asks the registry and goes on from what was received.

use std::time::Duration;

use acr_core::{
    Action, Body, Digest, Effect, Error, ErrorCode, ErrorKind, Operation, Request, RequestBuilder,
    Response, Result, Scope, response, url_policy,
};
use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, Uri, header};
use tracing::{debug, warn};

use crate::{client::BlobClient, info::BlobInfo, range};

/// An upload in progress.
pub(crate) struct Session<'a> {
    client: &'a BlobClient,
    /// Where the next request goes; the registry names a new place after each.
    location: Uri,
    /// Bytes the registry has confirmed.
    offset: u64,
}

impl<'a> Session<'a> {
    /// `POST /v2/{name}/blobs/uploads/`
    pub(crate) async fn start(client: &'a BlobClient) -> Result<Self> {
        let path = ["v2", client.repository.as_str(), "blobs", "uploads", ""];
        let request = RequestBuilder::new(Method::POST, client.pipeline.endpoint(), &path)
            .operation(operation(client, "start_upload"))
            .scope(push(client))
            .effect(Effect::Claim)
            .build()?;
        let uri = request.uri().clone();
        let mut session = Self { client, location: uri.clone(), offset: 0 };
        let answer = client.pipeline.send(request).await?;
        let answer = response::expect(answer, &[StatusCode::ACCEPTED]).await?;
        session.location = session.next_location(&uri, answer)?;
        Ok(session)
    }

    /// Appends a chunk, whatever it takes of asking and repeating what is missing.
    pub(crate) async fn write(&mut self, chunk: Bytes) -> Result<()> {
        let start = self.offset;
        let end = start.saturating_add(chunk.len() as u64);
        let mut recoveries = 0;
        while self.offset < end {
            let sent = usize::try_from(self.offset.saturating_sub(start)).unwrap_or(usize::MAX);
            let missing = chunk.slice(sent.min(chunk.len())..);
            match self.append(missing, end).await {
                Ok(()) => {}
                Err(error) if may_recover(&error, recoveries) => {
                    recoveries += 1;
                    self.recover(error, end, recoveries).await?;
                }
                Err(error) => return Err(lost(error)),
            }
        }
        Ok(())
    }

    /// Ends the upload with its last bytes, possibly none: `PUT {location}&digest=`.
    pub(crate) async fn complete(mut self, last: Bytes, digest: &Digest) -> Result<BlobInfo> {
        let start = self.offset;
        let size = start.saturating_add(last.len() as u64);
        let mut recoveries = 0;
        loop {
            let sent = usize::try_from(self.offset.saturating_sub(start)).unwrap_or(usize::MAX);
            let missing = last.slice(sent.min(last.len())..);
            let error = match self.commit(missing, digest).await {
                Ok(Confirmed::ByDigest) => return Ok(BlobInfo { digest: digest.clone(), size }),
                Ok(Confirmed::ByStatus) => return confirm(self.client, digest, size).await,
                Err(error) => error,
            };
            if is_stored(self.client, &error, digest, size).await {
                return Ok(BlobInfo { digest: digest.clone(), size });
            }
            if !may_recover(&error, recoveries) {
                self.abandon(&error).await;
                return Err(lost(error));
            }
            recoveries += 1;
            if let Err(error) = self.recover(error, size, recoveries).await {
                self.abandon(&error).await;
                return Err(error);
            }
        }
    }

    /// Cancels the session, best effort: its outcome never replaces the error that
    /// led here. Not tried when the registry cannot be reached.
    pub(crate) async fn abandon(self, because: &Error) {
        if matches!(because.kind(), ErrorKind::Connect | ErrorKind::Session) {
            return;
        }
        let request = RequestBuilder::to(Method::DELETE, self.location.clone())
            .operation(operation(self.client, "cancel_upload"))
            .scope(Scope::repository(&self.client.repository, &[Action::DELETE]))
            .effect(Effect::Set)
            .build();
        let Ok(request) = request else { return };
        match tokio::time::timeout(CANCEL_TIMEOUT, self.client.pipeline.send(request)).await {
            Ok(Ok(answer)) => debug!(status = answer.status().as_u16(), "upload session cancelled"),
            Ok(Err(error)) => debug!(%error, "upload session left to expire"),
            Err(_) => debug!("upload session left to expire: no answer in time"),
        }
    }

    async fn append(&mut self, bytes: Bytes, end: u64) -> Result<()> {
        let content_range = range::chunk(self.offset, bytes.len() as u64).ok_or_else(|| {
            Error::new(ErrorKind::InvalidInput, "the content is longer than 2^64 bytes")
        })?;
        let request = self
            .request(Method::PATCH, "upload_chunk")
            .header(header::CONTENT_TYPE, OCTET_STREAM)
            .header(header::CONTENT_RANGE, content_range)
            .effect(Effect::Append)
            .body(Body::from(bytes))
            .build()?;
        let answer = self.send(request, StatusCode::ACCEPTED).await?;
        match range::received(answer.headers(), end) {
            Some(received) if received != end => {
                let text = format!("the registry confirms {received} bytes where {end} were sent");
                let (head, _) = answer.into_parts();
                Err(response::describe(Error::new(ErrorKind::Protocol, text), &head))
            }
            _ => {
                self.location = self.next_location(&self.location, answer)?;
                self.offset = end;
                Ok(())
            }
        }
    }

    async fn commit(&self, last: Bytes, digest: &Digest) -> Result<Confirmed> {
        let request = self
            .request(Method::PUT, "complete_upload")
            .query("digest", digest)
            .header(header::CONTENT_TYPE, OCTET_STREAM)
            .effect(Effect::Commit)
            .body(Body::from(last))
            .build()?;
        let answer = self.send(request, StatusCode::CREATED).await?;
        let head = answer.into_parts().0;
        response::check_digest_header(&head, digest)?;
        Ok(match response::header_text(&head.headers, &response::DOCKER_CONTENT_DIGEST) {
            Some(_) => Confirmed::ByDigest,
            None => Confirmed::ByStatus,
        })
    }

    /// Asks how far the registry got and takes that over, if it lies within what was sent.
    async fn recover(&mut self, error: Error, end: u64, attempt: u32) -> Result<()> {
        let pause = error.retry_after().unwrap_or(PAUSE.saturating_mul(attempt));
        warn!(%error, attempt, pause_ms = pause.as_millis(), "asking the registry how far the upload got");
        tokio::time::sleep(pause).await;
        let request = self
            .request(Method::GET, "upload_status")
            .scope(Scope::repository(&self.client.repository, &[Action::PULL]))
            .effect(Effect::Read)
            .build()?;
        let answer = match self.send(request, StatusCode::NO_CONTENT).await {
            Ok(answer) => answer,
            // Lost for good: the registry says so. Otherwise what broke first says more.
            Err(status) if status.is_not_found() => return Err(lost(status)),
            Err(_) => return Err(error),
        };
        let received = range::received(answer.headers(), self.offset);
        let location = self.next_location(&self.location, answer)?;
        match received {
            Some(received) if (self.offset..=end).contains(&received) => {
                self.offset = received;
                self.location = location;
                Ok(())
            }
            received => {
                let text = match received {
                    None => "the registry does not say how far the upload got; it must start again",
                    Some(_) => {
                        "the registry's account of the upload does not fit what was sent; it must start again"
                    }
                };
                let operation = operation(self.client, "upload_chunk");
                let lost = Error::new(ErrorKind::Session, text).with_source(error);
                Err(lost.with_operation(Some(&operation)))
            }
        }
    }

    fn request(&self, method: Method, name: &'static str) -> RequestBuilder {
        RequestBuilder::to(method, self.location.clone())
            .operation(operation(self.client, name))
            .scope(push(self.client))
    }

    async fn send(&self, request: Request, expected: StatusCode) -> Result<Response> {
        let answer = self.client.pipeline.send(request).await?;
        response::expect(answer, &[expected]).await
    }

    fn next_location(&self, request: &Uri, answer: Response) -> Result<Uri> {
        let (head, _) = answer.into_parts();
        let endpoint = self.client.pipeline.endpoint();
        url_policy::upload_location(endpoint, &self.client.repository, request, &head.headers)
            .map_err(|error| response::describe(error, &head))
    }
}

/// How much the answer to a commit says.
enum Confirmed {
    ByDigest,
    ByStatus,
}

/// Looks whether a commit that named no digest stored what was sent.
async fn confirm(client: &BlobClient, digest: &Digest, size: u64) -> Result<BlobInfo> {
    match client.stat(digest).await? {
        Some(info) if info.size == size => Ok(info),
        found => {
            let found = found.map_or_else(|| "nothing".to_owned(), |i| format!("{} bytes", i.size));
            let text = format!("the registry took {size} bytes and has {found} under `{digest}`");
            Err(Error::new(ErrorKind::Integrity, text))
        }
    }
}

/// Whether the outcome of a request is unknown or mended by asking.
fn may_recover(error: &Error, recoveries: u32) -> bool {
    let is_doubtful = error.is_retryable() && !error.is_unsent();
    let is_out_of_step = error.status() == Some(StatusCode::RANGE_NOT_SATISFIABLE);
    let is_too_long = error.retry_after().is_some_and(|wait| wait > MAX_PAUSE);
    (is_doubtful || is_out_of_step) && !is_too_long && recoveries < MAX_RECOVERIES
}

/// After a commit with an unknown outcome the blob itself tells.
async fn is_stored(client: &BlobClient, error: &Error, digest: &Digest, size: u64) -> bool {
    let is_unknown = error.is_retryable() && !error.is_unsent();
    let is_gone = error.is_not_found() || error.status() == Some(StatusCode::RANGE_NOT_SATISFIABLE);
    if !is_unknown && !is_gone {
        return false;
    }
    matches!(client.stat(digest).await, Ok(Some(info)) if info.size == size)
}

/// A session the registry does not know any more is its own kind of failure.
fn lost(error: Error) -> Error {
    let gone = [ErrorCode::BLOB_UPLOAD_UNKNOWN, ErrorCode::BLOB_UPLOAD_INVALID];
    if !error.is_not_found() || !error.code().is_some_and(|code| gone.contains(code)) {
        return error;
    }
    let text = "the registry lost the upload session; the upload must start again";
    let lost = Error::new(ErrorKind::Session, text)
        .with_attempts(error.attempts())
        .with_request_id(error.request_id())
        .with_correlation_id(error.correlation_id());
    lost.with_source(error)
}

fn operation(client: &BlobClient, name: &'static str) -> Operation {
    Operation::new(name).on(&client.repository)
}

fn push(client: &BlobClient) -> Scope {
    Scope::repository(&client.repository, &[Action::PULL, Action::PUSH])
}

const OCTET_STREAM: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// How often one chunk or commit may be mended.
const MAX_RECOVERIES: u32 = 3;

/// Waited before asking, times the number of the recovery, unless the registry named a time.
const PAUSE: Duration = Duration::from_millis(500);

/// A longer wish of the registry ends the upload with the error that carries it.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// Cancelling is a courtesy; nobody waits longer for it.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(5);
