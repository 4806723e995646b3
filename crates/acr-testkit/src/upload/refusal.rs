//! Why a request for an upload is refused.

use http::StatusCode;

use crate::answer::Refusal;

/// The state does not fit the session.
pub(crate) fn invalid() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "BLOB_UPLOAD_INVALID", "blob upload invalid")
}

/// The session is over, or never was.
pub(crate) fn unknown() -> Refusal {
    let message = "blob upload unknown to registry";
    Refusal::new(StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN", message)
}

/// The body has another length than was declared.
pub(crate) fn size_invalid() -> Refusal {
    let message = "provided length did not match content length";
    Refusal::new(StatusCode::BAD_REQUEST, "SIZE_INVALID", message)
}
