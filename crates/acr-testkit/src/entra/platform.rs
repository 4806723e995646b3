//! What differs between the identity services of Azure's platforms.

use bytes::Bytes;
use http::{Response, StatusCode, request::Parts};
use serde_json::json;

use super::answers::json as json_answer;

#[derive(Clone, Debug)]
pub(crate) enum Platform {
    VirtualMachine,
    AppService { header: String },
}

impl Platform {
    pub(crate) fn path(&self) -> &'static str {
        match self {
            Self::VirtualMachine => "/metadata/identity/oauth2/token",
            Self::AppService { .. } => "/msi/token",
        }
    }

    /// Whether a request proves that it is none that a server was talked into.
    pub(crate) fn admits(&self, head: &Parts) -> bool {
        match self {
            Self::VirtualMachine => {
                let is_forwarded = head.headers.contains_key("x-forwarded-for");
                head.headers.get("metadata").is_some_and(|v| v == "true") && !is_forwarded
            }
            Self::AppService { header } => {
                head.headers.get("x-identity-header").is_some_and(|v| v == header.as_str())
            }
        }
    }

    pub(crate) fn versions(&self) -> &'static [&'static str] {
        match self {
            Self::VirtualMachine => &["2018-02-01", "2019-08-01"],
            Self::AppService { .. } => &["2019-08-01"],
        }
    }

    /// A 400 as this platform writes it.
    pub(crate) fn bad_request(&self, text: &str) -> Response<Bytes> {
        let body = match self {
            Self::VirtualMachine => json!({"error": "invalid_request", "error_description": text}),
            Self::AppService { .. } => json!({
                "statusCode": 400,
                "message": text,
                "correlationId": "1f1e1d1c-0000-4000-8000-000000000000",
            }),
        };
        json_answer(StatusCode::BAD_REQUEST, body.to_string())
    }
}
