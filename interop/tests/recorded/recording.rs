//! Recordings as they lie in the folder, with what sanitising broke made whole again.

use std::{collections::BTreeMap, fs, path::Path};

use acr_core::Digest;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::Value;

/// The registry that all recordings are replayed under.
pub(crate) const HOST: &str = "recorded.azurecr.io";

#[derive(Deserialize)]
pub(crate) struct Recording {
    pub(crate) exchanges: Vec<Exchange>,
}

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
    request_body: Value,
    pub(crate) status: u16,
    #[serde(default)]
    pub(crate) response_headers: Vec<(String, String)>,
    #[serde(default)]
    response_body: Value,
    #[serde(default)]
    notes: Value,
}

/// Reads a recording and says what had to be rewritten.
pub(crate) fn read(path: &Path) -> Result<(Recording, BTreeMap<&'static str, usize>), String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let mut rewritten = BTreeMap::new();
    let text = whole_digests(&text, &mut rewritten);
    let mut recording: Recording =
        serde_json::from_str(&text).map_err(|error| error.to_string())?;
    for exchange in &mut recording.exchanges {
        if exchange.response_header("www-authenticate").is_some_and(has_no_scope) {
            *rewritten.entry("scopes").or_default() += 1;
        }
        if !exchange.is_storage() && exchange.host != HOST {
            exchange.rename_host();
            *rewritten.entry("hosts, realms and services").or_default() += 1;
        }
    }
    Ok((recording, rewritten))
}

/// Gives words that stand for a digest (`sha256_encoded_stream`, `sha256:00`) one that is
/// valid, the same for the same word.
fn whole_digests(text: &str, rewritten: &mut BTreeMap<&'static str, usize>) -> String {
    let mut whole = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("sha256") {
        let (before, from) = rest.split_at(at);
        whole.push_str(before);
        let end = from
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '%')))
            .unwrap_or(from.len());
        let word = &from[..end];
        let colon = if word.contains("%3A") { "%3A" } else { ":" };
        let value = word.trim_start_matches("sha256").trim_start_matches(colon);
        let is_zeros = value != word.trim_start_matches("sha256")
            && !value.is_empty()
            && value.len() < 64
            && value.bytes().all(|b| b == b'0');
        if word.starts_with("sha256_encoded_stream") || is_zeros {
            let stand_in = Digest::sha256(b"stands for a digest that was sanitised");
            whole.push_str(&stand_in.as_str().replacen(':', colon, 1));
            *rewritten.entry("digests").or_default() += 1;
        } else {
            whole.push_str(word);
        }
        rest = &from[end..];
    }
    whole.push_str(rest);
    whole
}

impl Exchange {
    pub(crate) fn is_storage(&self) -> bool {
        self.operation.starts_with("storage") || self.host.contains(".blob.core.windows.net")
    }

    pub(crate) fn is_token_call(&self) -> bool {
        self.path.starts_with("/oauth2/")
    }

    /// The path below the host, decoded.
    pub(crate) fn decoded_path(&self) -> String {
        percent_decode_str(&self.path).decode_utf8_lossy().into_owned()
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

    /// The query by meaning: without what carries none.
    pub(crate) fn query(&self) -> BTreeMap<String, String> {
        query(&self.query)
    }

    /// The form of a token call.
    pub(crate) fn form(&self) -> Option<BTreeMap<String, String>> {
        let body = String::from_utf8(self.request_body()?).ok()?;
        match serde_json::from_str::<BTreeMap<String, String>>(&body) {
            Ok(form) => Some(form),
            Err(_) => Some(query(&body.replace('+', "%20"))),
        }
    }

    /// Whether the recorded digest is not that of the recorded content: it is compared
    /// under the digest that it has.
    pub(crate) fn is_unverifiable(&self) -> bool {
        let is_manifest = self.path.contains("/manifests/");
        let content = match self.method.as_str() {
            "GET" if self.status == 200 => self.response_body(),
            "PUT" if self.status == 201 && is_manifest => self.request_body(),
            _ => return false,
        };
        let digest = self.response_header("docker-content-digest");
        digest.is_some_and(|digest| {
            content.is_none_or(|content| Digest::sha256(&content).as_str() != digest)
        })
    }

    pub(crate) fn replace_digest(&mut self, digest: &Digest) {
        if let Some((name, _)) = self.decoded_path().rsplit_once('/') {
            self.path = format!("{name}/{digest}");
        }
    }

    pub(crate) fn set_response_header(&mut self, name: &str, value: &str) {
        self.response_headers.retain(|(present, _)| !present.eq_ignore_ascii_case(name));
        self.response_headers.push((name.to_owned(), value.to_owned()));
    }

    fn rename_host(&mut self) {
        let old = std::mem::replace(&mut self.host, HOST.to_owned());
        for (name, value) in &mut self.response_headers {
            if name.eq_ignore_ascii_case("www-authenticate") {
                // The realm of some recordings lost its path too.
                let rest: Vec<&str> = value
                    .split(',')
                    .filter(|part| !part.contains("realm=") && !part.contains("service="))
                    .collect();
                if value.starts_with("Bearer") {
                    let rest = rest.join(",");
                    let comma = if rest.is_empty() { "" } else { "," };
                    *value = format!(
                        "Bearer realm=\"https://{HOST}/oauth2/token\",service=\"{HOST}\"{comma}{rest}"
                    );
                }
            } else {
                *value = value.replace(&format!("https://{old}/"), &format!("https://{HOST}/"));
            }
        }
    }
}

pub(crate) fn query(text: &str) -> BTreeMap<String, String> {
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    text.split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (decode(name), decode(value)))
        .filter(|(name, value)| name != "api-version" && !value.is_empty())
        .collect()
}

/// Whether a challenge's scope was replaced by a word that is none.
fn has_no_scope(challenge: &str) -> bool {
    let scope = challenge.split_once("scope=\"").and_then(|(_, rest)| rest.split('"').next());
    scope.is_some_and(|scope| acr_core::Scope::parse_lenient(scope).is_empty())
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
