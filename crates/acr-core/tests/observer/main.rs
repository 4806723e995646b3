//! What an observer is told: of a pipeline to a function, and of our own transport.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop at the first surprise"
)]

mod bytes;
mod calls;
#[cfg(feature = "_transport")]
mod connections;
mod dropped;
mod nested;
#[cfg(feature = "_transport")]
#[path = "../network/mod.rs"]
mod network;
mod recorder;
