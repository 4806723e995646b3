//! How Entra says no.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::json;

use super::answers::{json as json_answer, typed};

/// An error as Entra writes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    error: &'static str,
    code: u32,
    text: &'static str,
}

impl Refusal {
    pub(crate) fn answer(self) -> Response<Bytes> {
        let Self { status, error, code, text } = self;
        if code == 0 {
            return typed(status, "text/html", text);
        }
        let (trace, correlation) =
            ("0f0e0d0c-0000-4000-8000-000000000000", "1f1e1d1c-0000-4000-8000-000000000000");
        let time = "2026-11-21 06:00:00Z";
        let body = json!({
            "error": error,
            "error_description": format!(
                "AADSTS{code}: {text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {time}"
            ),
            "error_codes": [code],
            "timestamp": time,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": format!("https://login.fake.example/error?code={code}"),
        });
        json_answer(status, body.to_string())
    }
}

const fn refusal(
    status: StatusCode,
    error: &'static str,
    code: u32,
    text: &'static str,
) -> Refusal {
    Refusal { status, error, code, text }
}

pub(crate) const NOT_FOUND: Refusal =
    refusal(StatusCode::NOT_FOUND, "", 0, "<html>not found</html>");
pub(crate) const WRONG_METHOD: Refusal = refusal(
    StatusCode::BAD_REQUEST,
    "invalid_request",
    900_561,
    "The endpoint only accepts POST requests.",
);
pub(crate) const NO_GRANT: Refusal = refusal(
    StatusCode::BAD_REQUEST,
    "invalid_request",
    900_144,
    "The request body must contain the following parameter: 'grant_type'.",
);
pub(crate) const NO_TENANT: Refusal =
    refusal(StatusCode::BAD_REQUEST, "invalid_request", 90_002, "Tenant not found.");
pub(crate) const WRONG_GRANT: Refusal = refusal(
    StatusCode::BAD_REQUEST,
    "unsupported_grant_type",
    70_003,
    "The app requested an unsupported grant type.",
);
pub(crate) const NO_CLIENT: Refusal = refusal(
    StatusCode::BAD_REQUEST,
    "invalid_request",
    900_144,
    "The request body must contain the following parameter: 'client_id'.",
);
pub(crate) const NO_SCOPE: Refusal = refusal(
    StatusCode::BAD_REQUEST,
    "invalid_request",
    90_014,
    "The required field 'scope' is missing from the credential.",
);
pub(crate) const BAD_SCOPE: Refusal = refusal(
    StatusCode::BAD_REQUEST,
    "invalid_scope",
    1_002_012,
    "The provided value for scope is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier.",
);
pub(crate) const NO_RESOURCE: Refusal = refusal(
    StatusCode::BAD_REQUEST,
    "invalid_resource",
    500_011,
    "The resource principal was not found in the tenant.",
);
pub(crate) const UNKNOWN_CLIENT: Refusal = refusal(
    StatusCode::BAD_REQUEST,
    "unauthorized_client",
    700_016,
    "Application was not found in the directory.",
);
pub(crate) const BAD_SECRET: Refusal = refusal(
    StatusCode::UNAUTHORIZED,
    "invalid_client",
    7_000_215,
    "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID.",
);
pub(crate) const BAD_ASSERTION: Refusal = refusal(
    StatusCode::UNAUTHORIZED,
    "invalid_client",
    700_211,
    "No matching federated identity record found for presented assertion issuer.",
);
pub(crate) const BAD_ASSERTION_TYPE: Refusal = refusal(
    StatusCode::BAD_REQUEST,
    "invalid_request",
    50_027,
    "The client assertion type is not supported.",
);
pub(crate) const NO_CREDENTIAL: Refusal = refusal(
    StatusCode::UNAUTHORIZED,
    "invalid_client",
    7_000_218,
    "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
);
