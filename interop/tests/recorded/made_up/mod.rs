//! Recordings that we made up, in the same format: what no recorder met must be replayed
//! too, and what is wrong must fail.

mod blobs;
mod errors;
mod metadata;
mod sign_in;
mod wrong;

use acr_core::Digest;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use crate::{replay, table::Table};

/// An exchange as recorders write it.
struct Made(Value);

/// `GET /path?query` and the status of the answer.
fn made(request: &str, status: u16) -> Made {
    let (method, target) = request.split_once(' ').unwrap();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    Made(json!({
        "method": method, "host": "other.azurecr.io", "path": path, "query": query,
        "operation": format!("{method} {path}"), "status": status,
        "request_headers": [], "request_body": null,
        "response_headers": [["X-Ms-Correlation-Request-Id", "1"]], "response_body": null,
        "notes": [],
    }))
}

impl Made {
    fn header(mut self, name: &str, value: &str) -> Self {
        self.0["response_headers"].as_array_mut().unwrap().push(json!([name, value]));
        self
    }

    fn request_header(mut self, name: &str, value: &str) -> Self {
        self.0["request_headers"].as_array_mut().unwrap().push(json!([name, value]));
        self
    }

    fn sends(mut self, body: &Value) -> Self {
        self.0["request_body"] = json!(body.to_string());
        self.request_header("Content-Type", "application/json")
    }

    fn sends_text(mut self, body: &str) -> Self {
        self.0["request_body"] = json!(body);
        self
    }

    fn sends_bytes(mut self, body: &[u8]) -> Self {
        self.0["request_body"] = json!({ "base64": BASE64_STANDARD.encode(body) });
        self.request_header("Content-Length", &body.len().to_string())
    }

    fn answers(mut self, body: &Value) -> Self {
        self.0["response_body"] = json!(format!("{body}\n"));
        self.header("Content-Type", "application/json; charset=utf-8")
    }

    fn answers_text(mut self, body: &str) -> Self {
        self.0["response_body"] = json!(body);
        self
    }

    fn answers_bytes(mut self, body: &[u8]) -> Self {
        self.0["response_body"] = json!({ "base64": BASE64_STANDARD.encode(body) });
        self
    }

    fn at(mut self, host: &str) -> Self {
        self.0["host"] = json!(host);
        self
    }

    fn note(mut self, note: &str) -> Self {
        self.0["notes"].as_array_mut().unwrap().push(json!(note));
        self
    }

    fn field(mut self, name: &str, value: Value) -> Self {
        self.0[name] = value;
        self
    }

    /// The registry's error envelope.
    fn fails(self, code: &str, message: &str) -> Self {
        self.answers(&json!({ "errors": [{ "code": code, "message": message, "detail": {} }] }))
    }
}

/// The refusal of a request without a token.
fn challenge(request: &str, scope: &str) -> Made {
    made(request, 401)
        .header(
            "Www-Authenticate",
            &format!(
                "Bearer realm=\"https://other.azurecr.io/oauth2/token\",service=\"other.azurecr.io\",scope=\"{scope}\""
            ),
        )
        .fails("UNAUTHORIZED", "authentication required")
}

/// The two calls that an Entra identity signs in by.
fn sign_in(scope: &str) -> [Made; 2] {
    let scope = scope.replace(':', "%3A").replace('/', "%2F").replace(',', "%2C").replace(' ', "+");
    [
        made("POST /oauth2/exchange", 200)
            .sends_text("access_token=e&grant_type=access_token&service=other.azurecr.io")
            .answers(&json!({ "refresh_token": "the-refresh-token" })),
        made("POST /oauth2/token", 200)
            .sends_text(&format!(
                "grant_type=refresh_token&service=other.azurecr.io&scope={scope}&refresh_token=the-refresh-token"
            ))
            .answers(&json!({ "access_token": "the-access-token" })),
    ]
}

async fn replayed(exchanges: impl IntoIterator<Item = Made>) -> Table {
    let exchanges: Vec<Value> = exchanges.into_iter().map(|made| made.0).collect();
    let folder = tempfile::tempdir().unwrap();
    let recording = json!({ "source": "made up", "format": "1", "exchanges": exchanges });
    std::fs::write(folder.path().join("made_up.json"), recording.to_string()).unwrap();
    let table = replay::folder(folder.path()).await;
    assert!(table.is_complete(), "{table:?}");
    table
}

/// All of it is held, so much of it checked.
async fn holds(checked: usize, exchanges: impl IntoIterator<Item = Made>) -> Table {
    let table = replayed(exchanges).await;
    assert!(table.failed.is_empty(), "{:#?}", table.failed);
    assert_eq!(table.checked, checked, "{table:?}");
    table
}

/// One of the exchanges fails for this reason.
async fn fails(why: &str, exchanges: impl IntoIterator<Item = Made>) {
    let table = replayed(exchanges).await;
    assert!(table.failed.iter().any(|line| line.contains(why)), "{why}: {table:#?}");
}

fn digest(text: &str) -> String {
    Digest::sha256(text.as_bytes()).to_string()
}

fn attributes() -> Value {
    json!({ "deleteEnabled": true, "writeEnabled": false, "readEnabled": true, "listEnabled": true,
        "laterEnabled": [1, null] })
}
