//! The requests of downloads, and what may be asked again when they are refused.

use acr_core::{
    ByteRange, Digest, Error, ErrorKind, Result,
    http::{DataStream, Effect, Framing, Operation, Response, response},
    layer::drain,
    value::{ContentRange, Given},
};
use http::{HeaderValue, Method, StatusCode, header};

use crate::{
    download::machine::{Answer, Ask, Extent},
    repository::Repository,
};

/// The blob that was named, or what is wrong with the name.
pub(crate) fn named(repository: &Repository, digest: Given<Digest>) -> Result<Digest> {
    let operation = || Operation::new("download_blob").on(&repository.name);
    digest.get().map_err(|error| error.with_operation(Some(&operation())))
}

/// Names what is done, for errors.
pub(crate) fn operation(repository: &Repository, digest: &Digest) -> Operation {
    Operation::new("download_blob").on(format_args!("{}@{digest}", repository.name))
}

/// Asks the registry for what a download lacks; `None` if it lacks nothing. Where a range
/// is refused, everything is asked for, and what is there already passed over.
pub(crate) async fn ask(
    repository: &Repository,
    digest: &Digest,
    ask: Ask,
) -> Result<Option<(Answer, DataStream)>> {
    let answer = match ask {
        Ask::Nothing => return Ok(None),
        Ask::Everything => get(repository, digest, None).await,
        Ask::Rest(range) => match get(repository, digest, Some(range)).await {
            Err(error) if may_be_for_the_range(&error) => get(repository, digest, None).await,
            answer => answer,
        },
    };
    answer.map(Some)
}

/// Whether a request might be answered without its range. Servers and what stands before
/// them say in many ways that they do not understand one; only what surely means something
/// else is left out, for asking in vain costs one request.
fn may_be_for_the_range(error: &Error) -> bool {
    error.status().is_some_and(|status| match status {
        StatusCode::UNAUTHORIZED | StatusCode::NOT_FOUND | StatusCode::TOO_MANY_REQUESTS => false,
        StatusCode::NOT_IMPLEMENTED => true,
        status => status.is_client_error(),
    })
}

/// Asks the registry for a blob, or for a part of it; the redirect is followed below.
pub(crate) async fn get(
    repository: &Repository,
    digest: &Digest,
    range: Option<ByteRange>,
) -> Result<(Answer, DataStream)> {
    let mut answer = send(repository, digest, range).await?;
    if is_dead_link(&answer) {
        // Only the registry can give another link.
        drain(answer.into_body()).await;
        answer = send(repository, digest, range).await?;
    }
    let expected = [StatusCode::OK, StatusCode::PARTIAL_CONTENT];
    let expected = if range.is_some() { &expected[..] } else { &expected[..1] };
    let answer = response::expect(answer, expected).await?;
    let framing = Framing::of(&answer);
    let (head, body) = answer.into_parts();
    check_head(&head, digest)?;
    let answer = if head.status == StatusCode::PARTIAL_CONTENT {
        let text = response::header_text(&head.headers, &header::CONTENT_RANGE);
        let part = text.and_then(|text| text.parse::<ContentRange>().ok()).ok_or_else(|| {
            let error =
                Error::new(ErrorKind::Protocol, "the answer does not say which part it has");
            response::describe(error, &head)
        })?;
        Answer::Part(part)
    } else {
        Answer::Whole(match framing {
            Framing::Length(len) => Extent::Bytes(len),
            Framing::Marked => Extent::Marked,
            _ => Extent::Open,
        })
    };
    Ok((answer, body.into_data_stream()))
}

async fn send(
    repository: &Repository,
    digest: &Digest,
    range: Option<ByteRange>,
) -> Result<Response> {
    let mut request = repository
        .blob_request(Method::GET, digest, "download_blob")
        .header(header::ACCEPT, HeaderValue::from_static("application/octet-stream, */*"))
        // A digest is over the bytes as they are stored; nothing here decompresses.
        .header(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"))
        .scope(repository.pull.clone())
        .effect(Effect::Read)
        .follow_redirects();
    if let Some(range) = range {
        request = request.header(header::RANGE, range_header(range)?);
    }
    repository.pipeline.send(request.build()?).await
}

/// The value of `Range`.
pub(crate) fn range_header(range: ByteRange) -> Result<HeaderValue> {
    HeaderValue::from_str(&range.to_string()).map_err(|error| {
        Error::new(ErrorKind::InvalidInput, "the range cannot stand in a header").with_source(error)
    })
}

/// Whether the storage refused the link that the registry had given: expired, revoked, or
/// for content that was moved.
fn is_dead_link(answer: &Response) -> bool {
    let status = answer.status();
    let is_the_range = status == StatusCode::RANGE_NOT_SATISFIABLE;
    let is_later = status == StatusCode::TOO_MANY_REQUESTS;
    response::came_by_redirect(answer) && status.is_client_error() && !is_the_range && !is_later
}

/// What the head alone can refuse: a compressed body, or the digest of something else.
fn check_head(head: &http::response::Parts, digest: &Digest) -> Result<()> {
    response::check_encoding(head)?;
    response::check_digest_header(head, digest)
}
