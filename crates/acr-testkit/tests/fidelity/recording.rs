//! Reads recorded conversations.

use std::{env, fs, path::PathBuf};

use acr_testkit::Era;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::Value;

/// One conversation.
#[derive(Debug, Deserialize)]
pub(crate) struct Recording {
    #[serde(skip)]
    pub(crate) name: String,
    pub(crate) format: String,
    pub(crate) exchanges: Vec<Exchange>,
}

/// A request and its answer.
#[derive(Debug, Deserialize)]
pub(crate) struct Exchange {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) operation: String,
    pub(crate) request_headers: Vec<(String, String)>,
    request_body: Option<Content>,
    pub(crate) status: u16,
    pub(crate) response_headers: Vec<(String, String)>,
    response_body: Option<Content>,
    pub(crate) notes: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Bytes { base64: String },
}

/// The folder of the recordings: that of `ACR_RECORDINGS`, else the one beside the clone.
pub(crate) fn folder() -> Option<PathBuf> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let beside = beside.join("../../../shared/recordings/normalized");
    let folder = env::var_os("ACR_RECORDINGS").map_or(beside, PathBuf::from);
    folder.is_dir().then_some(folder)
}

/// All recordings of a folder, by name.
pub(crate) fn load(folder: &PathBuf) -> Vec<Recording> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some()).collect();
    files.sort();
    let read = |path: PathBuf| {
        let mut recording: Recording = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        recording.name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        recording
    };
    files.into_iter().map(read).collect()
}

impl Recording {
    /// The time it was captured in.
    pub(crate) fn era(&self) -> Era {
        let dates = self.exchanges.iter().filter_map(|exchange| exchange.answered("date"));
        let mut months = dates.filter_map(|date| {
            let mut words = date.split(' ').skip(2);
            Some((words.next()?.to_owned(), words.next()?.parse::<u16>().ok()?))
        });
        match months.next() {
            // Already the challenges of the years that follow.
            _ if self.format == "nock" => Era::Year2024,
            // The recorder kept no dates: its other files are of that year.
            None => Era::Year2021,
            Some((_, ..=2021)) => Era::Year2021,
            Some((month, 2024)) if !["Jan", "Feb", "Mar"].contains(&month.as_str()) => {
                Era::Year2026
            }
            Some((_, ..=2024)) => Era::Year2024,
            Some(_) => Era::Year2026,
        }
    }
}

impl Exchange {
    /// The first value of a header of the request.
    pub(crate) fn asked(&self, name: &str) -> Option<&str> {
        first(&self.request_headers, name)
    }

    /// The first value of a header of the answer.
    pub(crate) fn answered(&self, name: &str) -> Option<&str> {
        first(&self.response_headers, name)
    }

    /// A parameter of the query, decoded.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        parameter(&self.query, name)
    }

    pub(crate) fn request_bytes(&self) -> Option<Vec<u8>> {
        self.request_body.as_ref().map(Content::bytes)
    }

    pub(crate) fn response_bytes(&self) -> Vec<u8> {
        self.response_body.as_ref().map(Content::bytes).unwrap_or_default()
    }

    /// The answer's body, if it is JSON.
    pub(crate) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.response_bytes()).ok()
    }

    /// The code of an error answer.
    pub(crate) fn code(&self) -> String {
        let json = self.json().unwrap_or_default();
        json["errors"][0]["code"].as_str().unwrap_or("–").to_owned()
    }

    /// Whether the path fits no route: a text that comes before any question of rights.
    pub(crate) fn is_unrouted(&self) -> bool {
        let text = self.answered("content-type").is_some_and(|value| !value.contains("json"));
        self.status == 404 && (text || self.answered("content-length") == Some("19"))
    }
}

/// A parameter of a query, decoded.
pub(crate) fn parameter(query: &str, name: &str) -> Option<String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let value = pairs.filter(|(key, _)| *key == name).map(|(_, value)| value).next()?;
    let value = value.replace('+', " ");
    Some(percent_encoding::percent_decode_str(&value).decode_utf8().unwrap().into_owned())
}

impl Content {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.clone().into_bytes(),
            Self::Bytes { base64 } => STANDARD.decode(base64).unwrap(),
        }
    }
}

fn first<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.as_str())
}
