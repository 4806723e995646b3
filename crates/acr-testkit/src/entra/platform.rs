//! What differs between the identity services of Azure's platforms.

use bytes::Bytes;
use http::{Response, StatusCode, request::Parts};
use serde_json::json;

use super::answers::{json as json_answer, typed};

#[derive(Clone, Debug)]
pub(crate) enum Platform {
    VirtualMachine,
    ContainerInstances,
    AppService { header: String },
}

impl Platform {
    pub(crate) fn path(&self) -> &'static str {
        match self {
            Self::VirtualMachine | Self::ContainerInstances => "/metadata/identity/oauth2/token",
            Self::AppService { .. } => "/msi/token",
        }
    }

    /// Whether a request proves that it is none that a server was talked into.
    pub(crate) fn admits(&self, head: &Parts) -> bool {
        match self {
            Self::VirtualMachine | Self::ContainerInstances => {
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
            Self::VirtualMachine | Self::ContainerInstances => &["2018-02-01", "2019-08-01"],
            Self::AppService { .. } => &["2019-08-01"],
        }
    }

    /// The names of a user-assigned identity's object id and resource id.
    pub(crate) fn selectors(&self) -> [&'static str; 2] {
        match self {
            Self::VirtualMachine | Self::ContainerInstances => ["object_id", "msi_res_id"],
            Self::AppService { .. } => ["principal_id", "mi_res_id"],
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::VirtualMachine => "virtual machine",
            Self::ContainerInstances => "Container Instances",
            Self::AppService { .. } => "App Service",
        }
    }

    /// The answer to a request without the header.
    pub(crate) fn not_admitted(&self) -> Response<Bytes> {
        let text = "Required metadata header not specified";
        match self {
            Self::ContainerInstances => {
                let text = format!("{text} or not correct");
                typed(StatusCode::BAD_REQUEST, "text/plain; charset=utf-8", text)
            }
            _ => self.bad_request(text),
        }
    }

    /// A 400 as this platform writes it.
    pub(crate) fn bad_request(&self, text: &str) -> Response<Bytes> {
        let body = match self {
            Self::VirtualMachine | Self::ContainerInstances => {
                json!({"error": "invalid_request", "error_description": text})
            }
            Self::AppService { .. } => json!({
                "statusCode": 400,
                "message": text,
                "correlationId": "1f1e1d1c-0000-4000-8000-000000000000",
            }),
        };
        json_answer(StatusCode::BAD_REQUEST, body.to_string())
    }
}
