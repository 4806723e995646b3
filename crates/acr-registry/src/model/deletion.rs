//! How a deletion ended.

use acr_core::{Digest, Tag};

/// How a deletion ended. Both are success: what was to go is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Deletion {
    /// It existed and was deleted.
    Deleted,
    /// There was nothing to delete.
    AlreadyAbsent,
}

/// How the deletion of a repository ended, and what the registry says it deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RepositoryDeletion {
    /// Whether there was a repository.
    pub outcome: Deletion,
    /// The manifests that were deleted.
    pub manifests: Vec<Digest>,
    /// The tags that were deleted.
    pub tags: Vec<Tag>,
}
