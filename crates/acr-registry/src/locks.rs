//! Which locks can stand in the way of an operation: the table at [`crate::Permissions`], in words.

use acr_core::{Error, ErrorKind};

/// Adds to a refusal which flags can be behind it. The registry does not say which it
/// was, and asking would be a further request.
pub(crate) fn explain(error: Error, flags: &'static str) -> Error {
    if error.kind() == ErrorKind::Disallowed { error.with_hint(flags) } else { error }
}

pub(crate) const DELETE_REPOSITORY: &str =
    "deleteEnabled or writeEnabled may be off, of the repository or of a tag or manifest in it";
pub(crate) const DELETE_TAG: &str =
    "deleteEnabled or writeEnabled may be off, of the tag or of the repository";
pub(crate) const DELETE_MANIFEST: &str = "deleteEnabled or writeEnabled may be off, of the manifest, of a tag of it or of the repository";
pub(crate) const PUT_MANIFEST: &str =
    "writeEnabled may be off, of the tag, of the manifest or of the repository";
pub(crate) const GET_MANIFEST: &str = "readEnabled may be off, of the manifest, of the tag or of the repository, or the manifest is in quarantine";
