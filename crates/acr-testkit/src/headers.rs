//! The headers that all answers of the login server share.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use crate::{answer::Answer, operation::Operation, shared::Shared};

/// Adds them to an answer; which ones depends on who gave it.
pub(crate) fn finish(
    answer: &mut Answer,
    shared: &Shared,
    operation: Option<Operation>,
    request: &HeaderMap,
) {
    let is_plain = operation.is_none()
        && answer.headers().get(header::CONTENT_TYPE).is_some_and(|value| value != JSON);
    let is_front_end =
        is_plain && answer.headers().get(header::CONTENT_TYPE).is_some_and(|value| value == OCTETS);
    let is_token = operation.is_some_and(Operation::is_token_service);
    let headers = answer.headers_mut();
    headers.insert(header::SERVER, HeaderValue::from_static(shared.settings.era.server()));
    let sts = HeaderValue::from_static("max-age=31536000; includeSubDomains");
    headers.insert(header::STRICT_TRANSPORT_SECURITY, sts.clone());
    if is_front_end {
        return;
    }
    if let Ok(id) = HeaderValue::from_str(&shared.uuid()) {
        headers.insert("x-ms-correlation-request-id", id);
    }
    if is_token {
        let rate = HeaderValue::from_static("333.283333");
        headers.insert("x-ms-ratelimit-remaining-calls-per-second", rate);
        return;
    }
    headers.append(header::STRICT_TRANSPORT_SECURITY, sts);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let version = HeaderValue::from_static("registry/2.0");
    headers.insert("docker-distribution-api-version", version);
    if !is_plain {
        for name in EXPOSED {
            let value = HeaderValue::from_static(name);
            headers.append(header::ACCESS_CONTROL_EXPOSE_HEADERS, value);
        }
    }
    let Some(operation) = operation.filter(|operation| operation.is_backend()) else {
        return;
    };
    // Neither of these two has been to the backend.
    let statuses = [StatusCode::UNAUTHORIZED, StatusCode::TEMPORARY_REDIRECT];
    if statuses.contains(&answer.status()) {
        return;
    }
    let headers = answer.headers_mut();
    let echo = request.get(&CLIENT_REQUEST_ID).cloned();
    headers.insert(CLIENT_REQUEST_ID, echo.unwrap_or_else(|| HeaderValue::from_static("")));
    if let Ok(id) = HeaderValue::from_str(&shared.uuid()) {
        headers.insert("x-ms-request-id", id);
    }
    if operation.is_counted_delete() {
        let left = format!("{}.000000", shared.remaining_deletes());
        if let Ok(value) = HeaderValue::from_str(&left) {
            headers.insert("x-ms-ratelimit-remaining-calls-per-second", value);
        }
    }
}

const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-client-request-id");
const JSON: &str = "application/json; charset=utf-8";
const OCTETS: &str = "application/octet-stream";
const EXPOSED: [&str; 4] =
    ["Docker-Content-Digest", "WWW-Authenticate", "Link", "X-Ms-Correlation-Request-Id"];
