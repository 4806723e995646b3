//! What is asked about a blob without its content: `HEAD`, or a `GET` that nobody reads.

use acr_core::{
    ByteRange, Digest, Error, ErrorKind, Result,
    http::{Effect, Response, response},
    layer::drain,
    value::ContentRange,
};
use http::{HeaderValue, Method, StatusCode, header};

use crate::{download::range_header, info::BlobInfo, repository::Repository};

/// What the registry says of a blob.
pub(crate) async fn properties(repository: &Repository, digest: &Digest) -> Result<BlobInfo> {
    let mut answer = Box::pin(look(repository, Method::HEAD, digest, None)).await?;
    if is_refused_look(&answer) {
        drain(answer.into_body()).await;
        answer = Box::pin(look(repository, Method::GET, digest, None)).await?;
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

/// The same, or `None` when it is absent; but a 404 that visibly is not the registry's says
/// nothing of the blob, and is an error.
pub(crate) async fn find(repository: &Repository, digest: &Digest) -> Result<Option<BlobInfo>> {
    match properties(repository, digest).await {
        Ok(found) => Ok(Some(found)),
        Err(error) if is_absence(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a blob exists and reaches to the end of a range.
pub(crate) async fn has_range(
    repository: &Repository,
    digest: &Digest,
    range: ByteRange,
) -> Result<bool> {
    let answer = look(repository, Method::HEAD, digest, Some(range)).await?;
    let wanted = range.last().unwrap_or(range.first());
    if answer.status() == StatusCode::RANGE_NOT_SATISFIABLE {
        return Ok(false);
    }
    if is_refused_look(&answer) {
        drain(answer.into_body()).await;
        return Ok(find(repository, digest).await?.is_some_and(|blob| blob.size > wanted));
    }
    let expected = [StatusCode::OK, StatusCode::PARTIAL_CONTENT];
    let head = match response::expect(answer, &expected).await {
        Ok(answer) => answer.into_parts().0,
        Err(error) if is_absence(&error) => return Ok(false),
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

fn is_absence(error: &Error) -> bool {
    error.is_not_found() && !error.is_foreign()
}

/// Sends a request that only its answer's head is wanted of.
async fn look(
    repository: &Repository,
    method: Method,
    digest: &Digest,
    range: Option<ByteRange>,
) -> Result<Response> {
    let mut request = repository
        .blob_request(method, digest, "blob_properties")
        // The size that is told must be that of the content, and not of an encoding.
        .header(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"))
        .scope(repository.pull.clone())
        .effect(Effect::Read)
        .follow_redirects();
    if let Some(range) = range {
        request = request.header(header::RANGE, range_header(range)?);
    }
    repository.pipeline.send(request.build()?).await
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
