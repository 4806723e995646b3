//! proptest strategies for what registries deal in (feature `proptest`).
//!
//! Everything generated is valid: it parses, hashes to what it says, and the fake registry
//! takes it. They shrink towards short names, few pieces and empty content.
//!
//! ```
//! use acr_testkit::strategy;
//! use proptest::prelude::*;
//!
//! proptest!(ProptestConfig::with_cases(16), |(name in strategy::repository_name(),
//!                                             content in strategy::content(1_000))| {
//!     prop_assert!(name.as_str().len() <= 255);
//!     let digest = acr_core::Digest::sha256(&content);
//!     prop_assert_eq!(digest.as_str().len(), 71);
//! });
//! ```

mod content;
mod fault;
mod manifest;
mod name;
mod range;

pub use self::{
    content::{content, digest, pieces, split},
    fault::fault_plan,
    manifest::{ManifestDocument, artifact_manifest, image_index, image_manifest},
    name::{reference, repository_name, tag},
    range::{byte_range, content_range},
};
