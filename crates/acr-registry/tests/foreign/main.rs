//! Documents that others made: ambiguous, odd, signed, for many platforms.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "tests may stop at the first surprise"
)]

#[path = "../support/mod.rs"]
mod support;

mod ambiguous;
mod corpus;
mod kinds;
mod odd;
mod platform;
mod signed;
