//! `changeableAttributes`: the four locks of a repository, tag or manifest.

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::answer::Refusal;

/// A bound on the body of a change, which is a few dozen bytes.
pub(crate) const MAX_ATTRIBUTES: usize = 64 * 1024;

/// The locks, all open at first; manifests can also be in quarantine, repositories be teleported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Attributes {
    delete_enabled: bool,
    write_enabled: bool,
    read_enabled: bool,
    list_enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    quarantine_state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quarantine_details: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    teleport_enabled: Option<bool>,
}

impl Attributes {
    /// Whether it may be deleted: both a delete lock and a write lock forbid it.
    pub(crate) fn can_delete(&self) -> bool {
        self.delete_enabled && self.write_enabled
    }

    pub(crate) fn can_write(&self) -> bool {
        self.write_enabled
    }

    pub(crate) fn can_read(&self) -> bool {
        self.read_enabled
    }

    /// What a scan found, if there was one.
    pub(crate) fn quarantine_state(&self) -> Option<&str> {
        self.quarantine_state.as_deref()
    }

    /// Whether a scan holds it back: any state but the one that says it passed.
    pub(crate) fn is_quarantined(&self) -> bool {
        self.quarantine_state.as_deref().is_some_and(|state| state != "Passed")
    }

    pub(crate) fn is_listed(&self) -> bool {
        self.list_enabled
    }

    /// Takes over the fields of a PATCH body. Nothing changes when one is refused.
    pub(crate) fn merge(&mut self, body: &[u8]) -> Result<(), Refusal> {
        let Some(fields) = read(body)? else {
            return Ok(());
        };
        let mut changed = self.clone();
        for (name, value) in fields {
            match (name.as_str(), value) {
                ("deleteEnabled", Value::Bool(value)) => changed.delete_enabled = value,
                ("writeEnabled", Value::Bool(value)) => changed.write_enabled = value,
                ("readEnabled", Value::Bool(value)) => changed.read_enabled = value,
                ("listEnabled", Value::Bool(value)) => changed.list_enabled = value,
                ("quarantineState", Value::String(value)) => changed.quarantine_state = Some(value),
                ("quarantineDetails", Value::String(value)) => {
                    changed.quarantine_details = Some(value);
                }
                ("teleportEnabled", Value::Bool(value)) => changed.teleport_enabled = Some(value),
                (
                    "deleteEnabled" | "writeEnabled" | "readEnabled" | "listEnabled"
                    | "quarantineState" | "quarantineDetails" | "teleportEnabled",
                    _,
                ) => return Err(malformed()),
                _ => {}
            }
        }
        *self = changed;
        Ok(())
    }
}

impl Default for Attributes {
    fn default() -> Self {
        Self {
            delete_enabled: true,
            write_enabled: true,
            read_enabled: true,
            list_enabled: true,
            quarantine_state: None,
            quarantine_details: None,
            teleport_enabled: None,
        }
    }
}

fn read(body: &[u8]) -> Result<Option<Map<String, Value>>, Refusal> {
    if body.is_empty() {
        return Ok(None);
    }
    serde_json::from_slice(body).map(Some).map_err(|_| malformed())
}

fn malformed() -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", "the attributes are malformed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_merges_and_a_bad_one_changes_nothing() {
        let mut attributes = Attributes::default();
        attributes.merge(b"").unwrap();
        attributes.merge(br#"{"deleteEnabled":false,"unknown":1}"#).unwrap();
        assert!(!attributes.can_delete() && attributes.can_write());
        for bad in
            ["{\"writeEnabled\":null}", "[]", "{", "{\"readEnabled\":false,\"writeEnabled\":1}"]
        {
            assert!(attributes.merge(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(attributes.can_write() && attributes.can_read() && attributes.is_listed());
        let json = serde_json::to_string(&attributes).unwrap();
        assert_eq!(
            json,
            r#"{"deleteEnabled":false,"writeEnabled":true,"readEnabled":true,"listEnabled":true}"#
        );
    }
}
