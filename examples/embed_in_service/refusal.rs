//! An [`Error`] as clients of a registry expect it: a status and the OCI error envelope.

use acr_core::{
    Error, ErrorKind,
    http::{Body, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

/// What became of a read.
///
/// What the client did is told with the registry's own code. What went wrong between us
/// and the registry is a gateway's error: a 401 would ask the client to sign in, and
/// signing in is our job here.
pub(crate) fn of(error: &Error) -> Response {
    let (status, code) = match error.kind() {
        ErrorKind::InvalidInput => (StatusCode::BAD_REQUEST, "NAME_INVALID"),
        ErrorKind::NotFound => (StatusCode::NOT_FOUND, "NAME_UNKNOWN"),
        ErrorKind::Forbidden => (StatusCode::FORBIDDEN, "DENIED"),
        ErrorKind::Throttled => (StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS"),
        ErrorKind::Rejected | ErrorKind::Disallowed | ErrorKind::Conflict => {
            let status = error.status().unwrap_or(StatusCode::BAD_REQUEST);
            (status, "UNSUPPORTED")
        }
        ErrorKind::Timeout => (StatusCode::GATEWAY_TIMEOUT, "UNAVAILABLE"),
        _ => (StatusCode::BAD_GATEWAY, "UNAVAILABLE"),
    };
    let code = match error.code() {
        Some(theirs) if status.is_client_error() => theirs.as_str(),
        _ => code,
    };
    let mut answer = envelope(status, code, &error.to_string());
    if let Some(wait) = error.retry_after() {
        let seconds = HeaderValue::from(wait.as_secs().max(1));
        answer.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    answer
}

/// Every method that could change something.
pub(crate) fn read_only() -> Response {
    let text = "this service only reads";
    let mut answer = envelope(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", text);
    let allowed = HeaderValue::from_static("GET, HEAD");
    answer.headers_mut().insert(header::ALLOW, allowed);
    answer
}

fn envelope(status: StatusCode, code: &str, message: &str) -> Response {
    let body = json!({ "errors": [{ "code": code, "message": message }] });
    let mut answer = Response::new(Body::from(body.to_string()));
    *answer.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    answer.headers_mut().insert(header::CONTENT_TYPE, json);
    answer
}
