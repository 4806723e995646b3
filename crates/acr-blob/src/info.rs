//! What is known about a blob.

use acr_core::Digest;

/// A blob that the registry has.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BlobInfo {
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}

/// How a deletion ended. Both are success: what was to go is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Deletion {
    /// It existed and was deleted.
    Deleted,
    /// There was nothing to delete.
    AlreadyAbsent,
}
