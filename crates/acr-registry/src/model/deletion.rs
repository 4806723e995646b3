//! What the deletion of a repository took along.

use acr_core::{Deletion, Digest, Tag};

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
