//! What is not said is not so: answers that are no answers, 404s of somebody else, lists
//! of referrers that are none, and changes that are done whatever the status.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop at the first surprise"
)]

#[path = "../support/mod.rs"]
mod support;

mod answers;
mod changes;
mod referrers;

use acr_core::Digest;

const ERRORS: &str = r#"{"errors":[{"code":"DENIED","message":"not for you"}]}"#;

fn digest() -> Digest {
    Digest::sha256(b"{}")
}
