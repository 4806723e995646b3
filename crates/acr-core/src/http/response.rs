//! Reads responses: status first, then a bounded body, then the registry's error envelope.

use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, StatusCode, Uri};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use crate::{
    http::{
        body::Body,
        challenge::Challenge,
        error::{
            Error, ErrorKind, Result,
            code::{ErrorCode, ErrorDetail},
        },
        framing::Framing,
        operation::{Attempt, Operation},
        redact::printable_up_to,
        retry_after::RetryAfter,
    },
    layer::RequestId,
    value::{
        digest::{Digest, ParseDigestError},
        rights::MissingRights,
    },
};

pub use crate::http::headers::{header_text, header_u64};

/// The response type of every layer.
pub type Response = http::Response<Body>;

/// What a response answers: a response extension, for errors made from it.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    pub(crate) operation: Option<Operation>,
    pub(crate) uri: Uri,
    pub(crate) request_id: Option<RequestId>,
}

/// Marks an answer to a hop of a redirect: a response extension.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CameByRedirect;

/// The `Docker-Content-Digest` of a redirect that was followed: a response
/// extension, since the storage behind the redirect does not send the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedirectDigest(pub(crate) String);

impl RedirectDigest {
    /// The header's text, not yet checked.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Passes a response with an expected status on and turns any other into an error.
///
/// # Errors
///
/// The kind follows the status; see [`ErrorKind`]. Up to 64 KiB of the body are
/// read for the registry's error code and message. A success status that is not
/// expected is [`ErrorKind::Protocol`].
///
/// # Cancellation
///
/// Dropping the future drops the response.
pub async fn expect(response: Response, expected: &[StatusCode]) -> Result<Response> {
    if expected.contains(&response.status()) {
        return Ok(response);
    }
    Err(into_error(response).await)
}

/// Whether a deletion was done: 200, 202 or 204, as RFC 9110 (9.3.5) has it.
///
/// # Errors
///
/// As [`expect`]; [`ErrorKind::Protocol`] also for a 200 that brings a web page or an error
/// envelope: whoever answered it did not delete anything.
///
/// # Cancellation
///
/// Dropping the future drops the response.
pub async fn expect_deleted(response: Response) -> Result<()> {
    let done = [StatusCode::OK, StatusCode::ACCEPTED, StatusCode::NO_CONTENT];
    let response = expect(response, &done).await?;
    if response.status() != StatusCode::OK {
        return Ok(());
    }
    let (head, body) = response.into_parts();
    let body = body.bytes(MAX_ERROR_BODY).await.map_err(|error| describe(error, &head))?;
    let is_refusal = is_markup(&head, &body)
        || serde_json::from_slice::<Envelope>(&body).is_ok_and(|it| !it.errors.is_empty());
    if is_refusal { Err(decode_error(&head, &body)) } else { Ok(()) }
}

/// The error that a response stands for.
///
/// # Cancellation
///
/// Dropping the future drops the response.
pub async fn into_error(response: Response) -> Error {
    let (head, body) = response.into_parts();
    // A body that breaks or is too large does not hide the status.
    match body.bytes(MAX_ERROR_BODY).await {
        Ok(body) => decode_error(&head, &body),
        Err(broken) => decode_error(&head, &[]).foreign(broken.kind() == ErrorKind::TooLarge),
    }
}

/// Passes on a success with an expected status, and tells from failures that there is
/// nothing: `None` for a 404, with an error code or without, unless it visibly is not the
/// registry's ([`Error::is_foreign`]).
///
/// # Errors
///
/// As [`expect`].
///
/// # Cancellation
///
/// Dropping the future drops the response.
pub async fn expect_or_absent(
    response: Response,
    expected: &[StatusCode],
) -> Result<Option<Response>> {
    match expect(response, expected).await {
        Ok(response) => Ok(Some(response)),
        Err(error) if error.is_not_found() && !error.is_foreign() => Ok(None),
        Err(error) => Err(error),
    }
}

/// The error for a body that is not what the operation gives, though its status is a
/// success. It has the registry's own errors, if the body is an envelope of them.
pub fn not_the_answer(head: &http::response::Parts, body: &[u8], why: &str) -> Error {
    let envelope = serde_json::from_slice::<Envelope>(body).ok();
    let details = envelope.map(Envelope::details).unwrap_or_default();
    let text = match details.first() {
        Some(first) => {
            let said = printable_up_to(first.message(), MAX_MESSAGE);
            format!("{why}; the registry says: {said}")
        }
        None => why.to_owned(),
    };
    let error = Error::new(ErrorKind::Protocol, text).with_details(details);
    describe(error.foreign(is_markup(head, body)), head)
}

/// Whether a body is a page in HTML or a document in XML: no registry answers with one,
/// what stands before it may.
pub fn is_markup(head: &http::response::Parts, body: &[u8]) -> bool {
    let media_type = header_text(&head.headers, &http::header::CONTENT_TYPE).unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    let kind = media_type.rsplit(['/', '+']).next().unwrap_or_default();
    ["html", "xhtml", "xml"].iter().any(|markup| kind.eq_ignore_ascii_case(markup))
        || body.trim_ascii_start().starts_with(b"<")
}

/// Whether the body of an error visibly is not the registry's: markup, or JSON that is not
/// its envelope of errors. Plain text and nothing at all can be its own.
fn is_foreign(head: &http::response::Parts, body: &[u8]) -> bool {
    let is_json = body.trim_ascii_start().first().is_some_and(|first| b"{[".contains(first));
    let has_errors = || {
        serde_json::from_slice::<Envelope>(body).is_ok_and(|envelope| !envelope.errors.is_empty())
    };
    is_markup(head, body) || is_json && !has_errors()
}

/// Reads a bounded JSON body.
///
/// # Errors
///
/// [`ErrorKind::TooLarge`] beyond the limit, [`ErrorKind::Protocol`] for anything
/// but the JSON expected (the body is not quoted: it may hold a token).
///
/// # Cancellation
///
/// Dropping the future drops the response.
pub async fn read_json<T: DeserializeOwned>(response: Response, limit: usize) -> Result<T> {
    let (head, bytes) = read_body(response, limit).await?;
    serde_json::from_slice(&bytes).map_err(|error| {
        // serde's message can quote the document, so only its position is kept.
        let text = format!(
            "the answer is not the expected JSON (line {}, column {})",
            error.line(),
            error.column()
        );
        describe(Error::new(ErrorKind::Protocol, text), &head)
    })
}

/// Reads a bounded body and keeps the head for the checks that follow.
///
/// # Errors
///
/// [`ErrorKind::TooLarge`] beyond the limit, [`ErrorKind::Protocol`] when nothing tells
/// whether the body is whole (see [`Framing`]), or the failure of the connection.
///
/// # Cancellation
///
/// Dropping the future drops the response.
pub async fn read_body(response: Response, limit: usize) -> Result<(http::response::Parts, Bytes)> {
    let (head, bytes, framing) = read_content(response, limit).await?;
    framing.confirm(bytes.len() as u64).map_err(|error| describe(error, &head))?;
    Ok((head, bytes))
}

/// The same for content that a digest may prove whole. Where none does, the caller must
/// have the [`Framing`] confirm the length.
///
/// # Errors
///
/// [`ErrorKind::TooLarge`] beyond the limit, or the failure of the connection.
///
/// # Cancellation
///
/// Dropping the future drops the response.
pub async fn read_content(
    response: Response,
    limit: usize,
) -> Result<(http::response::Parts, Bytes, Framing)> {
    let framing = Framing::of(&response);
    let (head, body) = response.into_parts();
    match body.bytes(limit).await {
        Ok(bytes) => Ok((head, bytes, framing)),
        Err(error) => Err(describe(error, &head)),
    }
}

/// Whether an answer came from a place that the registry redirected to.
pub fn came_by_redirect(response: &Response) -> bool {
    response.extensions().get::<CameByRedirect>().is_some()
}

/// Adds what the head of a response knows (operation, URL, status, ids, attempts) to an error.
pub fn describe(error: Error, head: &http::response::Parts) -> Error {
    let attempts = head.extensions.get::<Attempt>().map_or(1, |attempt| attempt.get());
    let error = error
        .with_status(head.status)
        .with_attempts(attempts)
        .with_correlation_id(header_text(&head.headers, &CORRELATION_ID));
    match head.extensions.get::<Context>() {
        None => error,
        Some(context) => error
            .with_operation(context.operation.as_ref())
            .with_url(&context.uri)
            .with_request_id(context.request_id.as_ref().map(RequestId::as_str)),
    }
}

/// Refuses a body that is not the content itself, but an encoding of it: a digest is over
/// what is stored, and nothing here decompresses.
///
/// # Errors
///
/// [`ErrorKind::Protocol`] for any `Content-Encoding` but `identity`.
pub fn check_encoding(head: &http::response::Parts) -> Result<()> {
    let mut encodings = head.headers.get_all(http::header::CONTENT_ENCODING).iter();
    if encodings.all(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Ok(());
    }
    let text = "the content came encoded, though that was ruled out";
    Err(describe(Error::new(ErrorKind::Protocol, text), head))
}

/// Compares `Docker-Content-Digest`, where present, with the digest that was computed. One of
/// another algorithm says nothing about it: registries know a blob by `sha256` also where it
/// was pushed or asked for by `sha512`.
///
/// # Errors
///
/// [`ErrorKind::Integrity`] when the header names another content.
pub fn check_digest_header(head: &http::response::Parts, computed: &Digest) -> Result<()> {
    let claimed = header_text(&head.headers, &DOCKER_CONTENT_DIGEST)
        .or_else(|| head.extensions.get::<RedirectDigest>().map(RedirectDigest::as_str));
    match claimed {
        Some(claimed) if claimed != computed.as_str() && !is_by_another(claimed, computed) => {
            let claimed = printable_up_to(claimed, MAX_MESSAGE).to_string();
            let text =
                format!("the registry names the digest `{claimed}`, the content has `{computed}`");
            Err(describe(Error::new(ErrorKind::Integrity, text), head))
        }
        _ => Ok(()),
    }
}

/// Whether a digest is one of another algorithm.
fn is_by_another(claimed: &str, computed: &Digest) -> bool {
    match claimed.parse::<Digest>() {
        Ok(claimed) => claimed.algorithm() != computed.algorithm(),
        Err(error) => matches!(error, ParseDigestError::UnsupportedAlgorithm(_)),
    }
}

/// `Docker-Content-Digest`.
pub const DOCKER_CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// `x-ms-correlation-request-id`, on every answer of the login server.
pub const CORRELATION_ID: HeaderName = HeaderName::from_static("x-ms-correlation-request-id");

#[derive(Deserialize)]
struct Envelope {
    #[serde(default)]
    errors: Vec<EnvelopeItem>,
}

#[derive(Deserialize)]
struct EnvelopeItem {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    detail: Option<Box<RawValue>>,
}

impl Envelope {
    fn details(self) -> Vec<ErrorDetail> {
        let detail = |item: EnvelopeItem| {
            let detail = item.detail.map(|raw| raw.get().to_owned());
            ErrorDetail::new(item.code, item.message, detail)
        };
        self.errors.into_iter().map(detail).collect()
    }
}

fn decode_error(head: &http::response::Parts, body: &[u8]) -> Error {
    let details =
        serde_json::from_slice::<Envelope>(body).map(Envelope::details).unwrap_or_default();
    let message = details.first().map_or_else(
        || plain_message(head, body),
        |first| printable_up_to(first.message(), MAX_MESSAGE).to_string(),
    );
    let (kind, message) = match head.extensions.get::<MissingRights>() {
        Some(missing) => (ErrorKind::Forbidden, format!("{missing}; the registry says: {message}")),
        None => {
            let code = details.first().map(ErrorDetail::code);
            (kind_of(head.status, code, &head.headers), message)
        }
    };
    let error = Error::new(kind, message)
        .with_details(details)
        .foreign(is_foreign(head, body))
        .with_retry_after(RetryAfter::of(&head.headers, SystemTime::now()));
    describe(error, head)
}

/// The words for an answer without the envelope: the reason phrase, and the text if it is short and plain.
fn plain_message(head: &http::response::Parts, body: &[u8]) -> String {
    let reason = if head.status.is_success() {
        "a success status that this operation does not have"
    } else {
        head.status.canonical_reason().unwrap_or("unknown status")
    };
    let is_text = header_text(&head.headers, &http::header::CONTENT_TYPE)
        .is_some_and(|value| value.starts_with("text/plain"));
    match std::str::from_utf8(body).map(str::trim) {
        Ok(text) if is_text && !text.is_empty() => {
            format!("{reason}: server text `{}`", printable_up_to(text, MAX_PLAIN_TEXT))
        }
        _ => reason.to_owned(),
    }
}

fn kind_of(status: StatusCode, code: Option<&ErrorCode>, headers: &HeaderMap) -> ErrorKind {
    match status.as_u16() {
        401 if is_insufficient_scope(headers) => ErrorKind::Forbidden,
        401 => ErrorKind::Unauthenticated,
        403 => ErrorKind::Forbidden,
        404 => ErrorKind::NotFound,
        405 if code == Some(&ErrorCode::REGISTRY_DISALLOWED_OPERATION) => ErrorKind::Disallowed,
        409 | 412 => ErrorKind::Conflict,
        429 => ErrorKind::Throttled,
        400 if code == Some(&ErrorCode::DIGEST_INVALID) => ErrorKind::Integrity,
        400..=499 => ErrorKind::Rejected,
        500..=599 => ErrorKind::Server,
        _ => ErrorKind::Protocol,
    }
}

fn is_insufficient_scope(headers: &HeaderMap) -> bool {
    Challenge::bearer(headers).is_some_and(|challenge| challenge.is_insufficient_scope())
}

/// What is read of an error body: envelopes are small, gateways can send anything.
const MAX_ERROR_BODY: usize = 64 * 1024;

/// What is kept of a server's message, in characters.
const MAX_MESSAGE: usize = 1024;

/// What is quoted of a plain-text answer, in characters.
const MAX_PLAIN_TEXT: usize = 120;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn head(status: u16, content_type: &str) -> http::response::Parts {
        let response = http::Response::builder()
            .status(status)
            .header("content-type", content_type)
            .header("x-ms-correlation-request-id", "cid-1")
            .body(())
            .unwrap();
        response.into_parts().0
    }

    #[test]
    fn status_and_code_decide_the_kind() {
        let json = "application/json";
        for (status, body, kind) in [
            (404, r#"{"errors":[{"code":"TAG_UNKNOWN","message":"m"}]}"#, ErrorKind::NotFound),
            (
                405,
                r#"{"errors":[{"code":"REGISTRY_DISALLOWED_OPERATION","message":"m","detail":{}}]}"#,
                ErrorKind::Disallowed,
            ),
            (405, r#"{"errors":[{"code":"UNSUPPORTED","message":"m"}]}"#, ErrorKind::Rejected),
            (
                400,
                r#"{"errors":[{"code":"DIGEST_INVALID","message":"m","detail":"text"}]}"#,
                ErrorKind::Integrity,
            ),
            (400, "<html>", ErrorKind::Rejected),
            (401, "", ErrorKind::Unauthenticated),
            (403, "{}", ErrorKind::Forbidden),
            (409, "[]", ErrorKind::Conflict),
            (429, "Ref A: x", ErrorKind::Throttled),
            (503, "", ErrorKind::Server),
            (302, "", ErrorKind::Protocol),
            (204, "", ErrorKind::Protocol),
            (999, "", ErrorKind::Protocol),
        ] {
            let error = decode_error(&head(status, json), body.as_bytes());
            assert_eq!(error.kind(), kind, "{status} {body}");
            assert_eq!(error.status().unwrap().as_u16(), status);
            assert_eq!(error.correlation_id(), Some("cid-1"));
        }
    }

    #[test]
    fn detail_of_any_json_type_is_kept_raw() {
        for detail in ["null", "\"text\"", "{\"Name\":\"x\"}", "[1,2]", "3"] {
            let body = format!(r#"{{"errors":[{{"code":"C","message":"m","detail":{detail}}}]}}"#);
            let error = decode_error(&head(400, "application/json"), body.as_bytes());
            // serde reads a JSON null as an absent field.
            let expected = (detail != "null").then_some(detail);
            assert_eq!(error.details()[0].detail(), expected);
        }
    }

    #[test]
    fn insufficient_scope_is_forbidden_with_status_401() {
        let mut head = head(401, "application/json");
        let challenge = r#"Bearer realm="https://r/oauth2/token",error="insufficient_scope""#;
        head.headers.insert("www-authenticate", challenge.parse().unwrap());
        let error = decode_error(&head, b"");
        assert_eq!(error.kind(), ErrorKind::Forbidden);
        assert_eq!(error.status(), Some(StatusCode::UNAUTHORIZED));
    }

    #[test]
    fn plain_text_is_quoted_and_html_is_not() {
        let error = decode_error(&head(404, "text/plain; charset=utf-8"), b"404 page not found\n");
        assert_eq!(
            error.to_string(),
            "404: Not Found: server text `404 page not found` (request id cid-1)"
        );
        let error = decode_error(&head(502, "text/html"), b"<html>secret</html>");
        assert!(!error.to_string().contains("secret"));
    }

    #[tokio::test]
    async fn g3_a_404_says_that_nothing_is_there_unless_somebody_else_says_it() {
        const ENVELOPE: &str = r#"{"errors":[{"code":"NAME_UNKNOWN","message":"m"}]}"#;
        for (media_type, body, is_absent) in [
            ("application/json; charset=utf-8", ENVELOPE, true),
            ("application/json", r#"{"errors":[{"message":"m"}]}"#, true),
            ("text/plain; charset=utf-8", "404 page not found\n", true),
            ("application/octet-stream", "Not found", true),
            ("text/plain", "", true),
            ("text/html; charset=UTF-8", "<html>not here</html>", false),
            ("TEXT/HTML", "", false),
            ("text/plain", "\r\n <!doctype html>", false),
            ("application/xml", "x", false),
            ("application/problem+xml", "x", false),
            ("application/json", r#"{"message":"no Route matched with those values"}"#, false),
            ("application/json", r#"{"errors":[]}"#, false),
            ("text/plain", "{}", false),
        ] {
            let head = head(404, media_type);
            let answer = Response::from_parts(head, Body::from(body.to_owned()));
            match expect_or_absent(answer, &[StatusCode::OK]).await {
                Ok(answer) => assert!(is_absent && answer.is_none(), "{media_type} {body}"),
                Err(error) => {
                    assert!(!is_absent && error.is_foreign(), "{media_type} {body}");
                    assert_eq!(error.kind(), ErrorKind::NotFound);
                }
            }
        }
        let answer = Response::from_parts(head(403, "text/plain"), Body::empty());
        assert!(expect_or_absent(answer, &[StatusCode::OK]).await.is_err());
        let answer = Response::from_parts(head(200, "text/plain"), Body::empty());
        assert!(expect_or_absent(answer, &[StatusCode::OK]).await.unwrap().is_some());
    }

    #[test]
    fn numbers_are_digits_only() {
        let name = http::header::CONTENT_LENGTH;
        for (text, value) in [
            ("5", Some(5)),
            ("+5", None),
            ("", None),
            ("5, 5", None),
            ("-1", None),
            ("99999999999999999999", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(&name, text.parse().unwrap());
            assert_eq!(header_u64(&headers, &name), value, "{text}");
        }
        let mut headers = HeaderMap::new();
        headers.append(&name, "5".parse().unwrap());
        headers.append(&name, "6".parse().unwrap());
        assert_eq!(header_u64(&headers, &name), None);
    }

    proptest! {
        #[test]
        fn any_error_body_gives_a_bounded_printable_message(status in 400u16..600, body in proptest::collection::vec(any::<u8>(), 0..4000)) {
            let error = decode_error(&head(status, "text/plain"), &body);
            let text = error.to_string();
            prop_assert!(text.len() < 20_000 && !text.chars().any(char::is_control));
        }
    }
}
