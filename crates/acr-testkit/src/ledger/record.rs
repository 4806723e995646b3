//! What is recorded: tables, and changes of their records.

use serde::Serialize;

/// What a record is about. The keys have two parts; where one suffices the second is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Table {
    /// The registry itself.
    #[cfg(feature = "persist")]
    Settings,
    /// Repository.
    Repositories,
    /// Repository and tag.
    Tags,
    /// Repository and digest.
    Manifests,
    /// Repository and digest: the bytes of a manifest, deleted or not.
    Documents,
    /// Repository and digest of a blob.
    Blobs,
    /// Digest: where a blob's content is.
    Contents,
    /// Id of an upload session.
    Uploads,
    /// Repository and digest.
    DeletedManifests,
    /// Repository, and tag with digest.
    DeletedTags,
}

/// One record that is written or removed.
#[derive(Debug)]
#[cfg_attr(not(feature = "persist"), expect(dead_code, reason = "no database reads them"))]
pub(crate) struct Change {
    pub(super) table: Table,
    pub(super) key: (String, String),
    pub(super) value: Option<Vec<u8>>,
}

impl Change {
    /// Writes a record as JSON.
    pub(crate) fn put<T: Serialize>(table: Table, first: &str, second: &str, value: &T) -> Self {
        // The records are the crate's own structs, whose keys are text: this does not fail.
        let value = serde_json::to_vec(value).unwrap_or_default();
        Self::put_bytes(table, first, second, value)
    }

    /// Writes a record as it is.
    pub(crate) fn put_bytes(table: Table, first: &str, second: &str, value: Vec<u8>) -> Self {
        Self { table, key: (first.to_owned(), second.to_owned()), value: Some(value) }
    }

    /// Removes a record, whether it is there or not.
    pub(crate) fn remove(table: Table, first: &str, second: &str) -> Self {
        Self { table, key: (first.to_owned(), second.to_owned()), value: None }
    }
}

#[cfg(feature = "persist")]
impl Table {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::Repositories => "repositories",
            Self::Tags => "tags",
            Self::Manifests => "manifests",
            Self::Documents => "documents",
            Self::Blobs => "blobs",
            Self::Contents => "contents",
            Self::Uploads => "uploads",
            Self::DeletedManifests => "deleted_manifests",
            Self::DeletedTags => "deleted_tags",
        }
    }
}
