//! Recordings as they lie in a folder.

use std::{collections::BTreeMap, fs, path::Path};

use acr_core::Digest;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::Value;

use crate::{sanitised, table::Rewritten};

/// The registry that all recordings are replayed under.
pub(crate) const HOST: &str = "recorded.azurecr.io";

#[derive(Deserialize)]
struct Recording {
    exchanges: Vec<Exchange>,
}

/// One request and its answer.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Exchange {
    pub(crate) method: String,
    pub(crate) host: String,
    pub(crate) path: String,
    #[serde(default)]
    pub(crate) query: String,
    #[serde(default)]
    pub(crate) operation: String,
    #[serde(default)]
    pub(crate) request_headers: Vec<(String, String)>,
    #[serde(default)]
    pub(crate) request_body: Value,
    pub(crate) status: u16,
    #[serde(default)]
    pub(crate) response_headers: Vec<(String, String)>,
    #[serde(default)]
    pub(crate) response_body: Value,
    #[serde(default)]
    notes: Value,
    /// The host on record, before it was rewritten.
    #[serde(skip)]
    pub(crate) registry: String,
}

/// Reads a recording and makes whole what sanitising broke.
pub(crate) fn read(path: &Path) -> Result<(Vec<Exchange>, Rewritten), String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let recording: Recording = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let mut exchanges = recording.exchanges;
    let rewritten = sanitised::make_whole(&mut exchanges);
    Ok((exchanges, rewritten))
}

impl Exchange {
    pub(crate) fn is_storage(&self) -> bool {
        let host = self.host.split(':').next().unwrap_or_default();
        self.operation.starts_with("storage")
            || host.contains(".blob.core.windows.net")
            || host.contains(".data.azurecr.")
    }

    pub(crate) fn is_token_call(&self) -> bool {
        self.path.starts_with("/oauth2/")
    }

    /// A token call that brought what it was for.
    pub(crate) fn token(&self) -> Option<String> {
        let name = if self.path == "/oauth2/exchange" { "refresh_token" } else { "access_token" };
        let json = self.json().filter(|_| self.is_token_call() && self.status == 200)?;
        json[name].as_str().filter(|token| !token.is_empty()).map(str::to_owned)
    }

    /// The path below the host, decoded.
    pub(crate) fn decoded_path(&self) -> String {
        decode(&self.path)
    }

    pub(crate) fn has_note(&self, text: &str) -> bool {
        self.notes.to_string().contains(text)
    }

    pub(crate) fn request_body(&self) -> Option<Vec<u8>> {
        bytes(&self.request_body)
    }

    pub(crate) fn response_body(&self) -> Option<Vec<u8>> {
        bytes(&self.response_body)
    }

    pub(crate) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.response_body()?).ok()
    }

    pub(crate) fn request_header(&self, name: &str) -> Option<&str> {
        find(&self.request_headers, name)
    }

    pub(crate) fn response_header(&self, name: &str) -> Option<&str> {
        find(&self.response_headers, name)
    }

    pub(crate) fn set_response_header(&mut self, name: &str, value: &str) {
        self.response_headers.retain(|(present, _)| !present.eq_ignore_ascii_case(name));
        self.response_headers.push((name.to_owned(), value.to_owned()));
    }

    /// The query by meaning: without what carries none.
    pub(crate) fn query(&self) -> BTreeMap<String, String> {
        query(&self.query)
    }

    /// A query parameter, the version of the interface among them.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        pairs(&self.query).into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// Whether the recorder kept the query.
    pub(crate) fn has_query(&self) -> bool {
        !self.has_note("query string not recorded")
    }

    /// The form of a token call.
    pub(crate) fn form(&self) -> Option<BTreeMap<String, String>> {
        let body = String::from_utf8(self.request_body()?).ok()?;
        match serde_json::from_str::<BTreeMap<String, String>>(&body) {
            Ok(form) => Some(form),
            Err(_) => Some(query(&body.replace('+', "%20"))),
        }
    }

    /// Whether the recorded digest is not that of the recorded content, which is then
    /// compared under the digest that it has.
    pub(crate) fn is_unverifiable(&self) -> bool {
        let is_content =
            self.path.contains("/manifests/") || self.path.contains("/blobs/") && !self.is_upload();
        let content = match self.method.as_str() {
            "GET" if self.status == 200 && is_content => self.response_body(),
            "PUT" if self.status == 201 && is_content => self.request_body(),
            _ => return false,
        };
        let digest = self.response_header("docker-content-digest");
        digest.is_some_and(|digest| {
            content.is_none_or(|content| Digest::sha256(&content).as_str() != digest)
        })
    }

    /// A body that its recorder vouches for, and that is another all the same.
    pub(crate) fn is_altered(&self) -> bool {
        let is_vouched_for = self.has_note("response body matches Docker-Content-Digest")
            || self.has_note("request body matches the digest in the reply");
        is_vouched_for && self.is_unverifiable()
    }

    pub(crate) fn is_upload(&self) -> bool {
        self.decoded_path().contains("/blobs/uploads/")
    }

    /// Whether the challenge says that a token has not the rights.
    pub(crate) fn is_insufficient(&self) -> bool {
        let challenge = self.response_header("www-authenticate").unwrap_or_default();
        challenge.contains("insufficient_scope")
    }

    /// The scope that a challenge names; none where sanitising took it away.
    pub(crate) fn challenged_scope(&self) -> Option<acr_core::Scope> {
        let challenge = self.response_header("www-authenticate")?;
        let (_, rest) = challenge.split_once("scope=\"")?;
        let scope = acr_core::Scope::parse_lenient(rest.split('"').next().unwrap_or_default());
        (!scope.is_empty()).then_some(scope)
    }
}

/// The pairs of a query or form, decoded.
pub(crate) fn pairs(text: &str) -> Vec<(String, String)> {
    text.split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

/// By meaning: without the version and without what is empty.
pub(crate) fn query(text: &str) -> BTreeMap<String, String> {
    pairs(text)
        .into_iter()
        .filter(|(name, value)| name != "api-version" && !value.is_empty())
        .collect()
}

pub(crate) fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

fn bytes(body: &Value) -> Option<Vec<u8>> {
    match body {
        Value::String(text) => Some(text.clone().into_bytes()),
        Value::Object(encoded) => BASE64_STANDARD.decode(encoded.get("base64")?.as_str()?).ok(),
        _ => None,
    }
}
