//! Builds answers: JSON with its final newline, the error envelope, plain texts.

use std::io;

use acr_core::http::Body;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body::{Frame, SizeHint};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

/// An answer on its way to the client.
pub(crate) type Answer = Response<Body>;

/// What a handler gives: an answer, or why not.
pub(crate) type Reply = Result<Answer, Failure>;

/// Why a handler ended early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An error answer.
    Refused(Box<Answer>),
    /// The request's body broke, and with it the connection.
    Broken(io::Error),
    /// The disk did not take or give what it had to.
    Disk(io::Error),
}

/// One or more errors in the registry's envelope.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    items: Vec<Item>,
}

#[derive(Debug, Serialize)]
struct Item {
    code: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<Box<RawValue>>,
}

#[derive(Serialize)]
struct Envelope<'a> {
    errors: &'a [Item],
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        let item = Item { code, message: message.into(), detail: None };
        Self { status, items: vec![item] }
    }

    /// Sets the detail of the last error; any JSON.
    pub(crate) fn detail<T: Serialize + ?Sized>(mut self, detail: &T) -> Self {
        if let Some(item) = self.items.last_mut() {
            item.detail = to_raw_value(detail).ok();
        }
        self
    }

    /// Adds another error to the same answer.
    pub(crate) fn and(mut self, code: &'static str, message: impl Into<String>) -> Self {
        self.items.push(Item { code, message: message.into(), detail: None });
        self
    }

    pub(crate) fn answer(&self) -> Answer {
        json(self.status, &Envelope { errors: &self.items })
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal.answer()))
    }
}

impl From<Answer> for Failure {
    fn from(answer: Answer) -> Self {
        Self::Refused(Box::new(answer))
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Disk(error)
    }
}

/// The answer when the disk fails: no registry's words, but the reason and what to do.
pub(crate) fn disk_failure(error: &io::Error) -> Answer {
    let is_full = matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    );
    let (status, remedy) = match is_full {
        true => (StatusCode::INSUFFICIENT_STORAGE, "make room and start it again"),
        false => (StatusCode::INTERNAL_SERVER_ERROR, "see its disk and its limits"),
    };
    let message = format!("the emulator cannot use its disk: {error}; {remedy}");
    Refusal::new(status, "UNKNOWN", message).answer()
}

/// Compact JSON and one newline. Long answers come without `Content-Length`, as recorded.
pub(crate) fn json<T: Serialize + ?Sized>(status: StatusCode, value: &T) -> Answer {
    let bytes = json_line(value);
    let long = status.is_success() && bytes.len() > MAX_COUNTED_JSON;
    let body = if long { chunked(bytes) } else { counted(bytes) };
    typed(status, "application/json; charset=utf-8", body)
}

/// Compact JSON and one newline, never with `Content-Length`: the token service.
pub(crate) fn chunked_json<T: Serialize + ?Sized>(value: &T) -> Answer {
    typed(StatusCode::OK, "application/json; charset=utf-8", chunked(json_line(value)))
}

/// Text or bytes of a given type.
pub(crate) fn text(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Answer {
    typed(status, content_type, counted(body.into()))
}

/// An answer without a body and with `Content-Length: 0`.
pub(crate) fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = status;
    if status != StatusCode::NO_CONTENT && status != StatusCode::NOT_MODIFIED {
        answer.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    answer
}

/// The plain text of a path that fits no route.
pub(crate) fn page_not_found() -> Answer {
    text(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", "404 page not found\n")
}

/// Sets a header; text that is no header value is left out.
pub(crate) fn set(answer: &mut Answer, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(name, value);
    }
}

/// An answer with one more header.
pub(crate) fn with(mut answer: Answer, name: HeaderName, value: &str) -> Answer {
    set(&mut answer, name, value);
    answer
}

/// Empties the body for HEAD and keeps the length it would have had.
pub(crate) fn without_body(mut answer: Answer) -> Answer {
    *answer.body_mut() = Body::empty();
    answer
}

pub(crate) const DOCKER_CONTENT_DIGEST: HeaderName =
    HeaderName::from_static("docker-content-digest");
pub(crate) const DOCKER_UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");

/// A body with its exact length, and the matching header.
fn counted(bytes: Bytes) -> (Body, Option<usize>) {
    let len = bytes.len();
    (Body::from(bytes), Some(len))
}

fn chunked(bytes: Bytes) -> (Body, Option<usize>) {
    (Body::stream(Unsized(Some(bytes))), None)
}

fn typed(
    status: StatusCode,
    content_type: &'static str,
    (body, len): (Body, Option<usize>),
) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Some(len) = len {
        answer.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(len));
    }
    answer
}

fn json_line<T: Serialize + ?Sized>(value: &T) -> Bytes {
    // The values are the crate's own structs, whose keys are text: this does not fail.
    let mut bytes = serde_json::to_vec(value).unwrap_or_default();
    bytes.push(b'\n');
    bytes.into()
}

/// A body that hides its length, so that the server uses chunked coding.
struct Unsized(Option<Bytes>);

impl http_body::Body for Unsized {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<io::Result<Frame<Bytes>>>> {
        std::task::Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::new()
    }
}

/// What the specification has for a digest that cannot be read.
pub(crate) fn malformed_digest() -> Refusal {
    wrong_digest("digest parsing failed")
}

/// The content is not what its digest says, or the digest says nothing.
pub(crate) fn wrong_digest(detail: &str) -> Refusal {
    let message = "provided digest did not match uploaded content";
    Refusal::new(StatusCode::BAD_REQUEST, "DIGEST_INVALID", message).detail(detail)
}

/// What the registry's server buffers before it gives up counting.
const MAX_COUNTED_JSON: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_envelope_is_compact_with_a_newline_that_counts() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let refusal =
            Refusal::new(StatusCode::NOT_FOUND, "BLOB_UNKNOWN", "blob unknown to registry");
        let answer = refusal.detail(&digest).answer();
        assert_eq!(answer.headers()["content-length"], "157");
        let bytes = answer.into_body().bytes(1000).await.unwrap();
        let expected = format!(
            "{{\"errors\":[{{\"code\":\"BLOB_UNKNOWN\",\"message\":\"blob unknown to registry\",\"detail\":\"{digest}\"}}]}}\n"
        );
        assert_eq!(bytes, expected);
    }

    #[test]
    fn only_204_and_304_have_no_length() {
        assert!(empty(StatusCode::NO_CONTENT).headers().is_empty());
        assert_eq!(empty(StatusCode::ACCEPTED).headers()["content-length"], "0");
        assert_eq!(page_not_found().headers()["content-length"], "19");
    }
}
