//! The built-in Entra sources against the emulated authority and identity services, and
//! against programs named `az` and `azd`.

#![cfg(all(feature = "entra", any(feature = "aws-lc-rs", feature = "ring")))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop at the first surprise"
)]

mod authority;
mod chain;
mod default_chain;
mod end_to_end;
mod machine;
#[cfg(unix)]
mod named_identities;
mod platforms;
mod refused;
mod support;
#[cfg(unix)]
mod tools;
