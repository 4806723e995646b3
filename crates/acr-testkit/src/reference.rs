//! What a text names: a tag, a digest, or a digest that cannot exist.

use acr_core::{Digest, value::ParseDigestError};

/// Whether a manifest reference is a digest: a tag cannot hold a colon.
pub(crate) fn is_digest(reference: &str) -> bool {
    reference.contains(':')
}

/// Whether a text is no digest in the form of its algorithm; what algorithms there may be is open.
pub(crate) fn is_malformed(digest: &str) -> bool {
    matches!(digest.parse::<Digest>(), Err(ParseDigestError::Malformed(_)))
}
