//! What a deletion took along.

use acr_core::{Deletion, Digest, Tag};

use super::{Listed, UnknownFields};

/// How the deletion of a repository ended, and what the registry says it deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RepositoryDeletion {
    /// Whether there was a repository.
    pub outcome: Deletion,
    /// The manifests that were deleted, if the registry says so.
    pub manifests: Listed<Digest>,
    /// The tags that were deleted, if the registry says so.
    pub tags: Listed<Tag>,
    /// Fields that this version has no name for.
    pub unknown: UnknownFields,
}

/// How the deletion of a tag, or of the manifest behind a tag, ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TagDeletion {
    /// Whether there was a tag, or a manifest.
    pub outcome: Deletion,
    /// The manifest that the tag pointed to, if the registry said so.
    pub digest: Option<Digest>,
}

impl PartialEq<Deletion> for TagDeletion {
    fn eq(&self, outcome: &Deletion) -> bool {
        self.outcome == *outcome
    }
}
