//! The signed state that the addresses of uploads carry.

use base64::{Engine as _, engine::general_purpose::URL_SAFE};
use serde::{Deserialize, Serialize};

use crate::{
    clock::Stamp,
    seal::{Key, STATE_MAC_LEN},
};

/// The content of `_state`, in the order of the wire.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct UploadState {
    name: String,
    #[serde(rename = "UUID")]
    uuid: String,
    pub(crate) offset: u64,
    started_at: String,
}

impl UploadState {
    pub(super) fn new(name: &str, id: &str, offset: u64, started: Stamp) -> Self {
        let (name, uuid, started_at) = (name.to_owned(), id.to_owned(), started.to_string());
        Self { name, uuid, offset, started_at }
    }

    /// Whether it belongs to a session of a repository.
    pub(super) fn is_of(&self, repository: &str, id: &str) -> bool {
        self.name == repository && self.uuid == id
    }

    pub(super) fn seal(&self, key: &Key) -> String {
        let json = serde_json::to_vec(self).unwrap_or_default();
        let mut bytes = key.state_mac(&json);
        bytes.extend(json);
        URL_SAFE.encode(bytes)
    }

    pub(super) fn open(key: &Key, text: &str) -> Option<Self> {
        let bytes = URL_SAFE.decode(text).ok()?;
        let (mac, json) = bytes.split_at_checked(STATE_MAC_LEN)?;
        if key.state_mac(json) != mac {
            return None;
        }
        serde_json::from_slice(json).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_opens_only_unchanged_and_with_its_key() {
        let key = Key::new(&mut fastrand::Rng::with_seed(1));
        let state = UploadState {
            name: "library/hello".to_owned(),
            uuid: "3d2d2ca6".to_owned(),
            offset: 22,
            started_at: "2024-06-26T15:05:06.7925461Z".to_owned(),
        };
        let text = state.seal(&key);
        assert!(text.starts_with("canarystate-"));
        assert_eq!(UploadState::open(&key, &text).unwrap(), state);
        let other = Key::new(&mut fastrand::Rng::with_seed(2));
        assert_eq!(UploadState::open(&other, &text), None);
        let mut bytes = URL_SAFE.decode(&text).unwrap();
        let at = bytes.len() - 40;
        bytes[at] ^= 1;
        assert_eq!(UploadState::open(&key, &URL_SAFE.encode(bytes)), None);
        assert_eq!(UploadState::open(&key, "AAAA"), None);
        let json = URL_SAFE.decode(&text).unwrap().split_off(STATE_MAC_LEN);
        assert!(
            json.starts_with(
                br#"{"Name":"library/hello","UUID":"3d2d2ca6","Offset":22,"StartedAt":"#
            )
        );
    }
}
