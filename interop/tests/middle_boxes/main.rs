//! What stands between our clients and a registry: nginx and HAProxy with their habits, and a
//! CONNECT proxy that asks for a password.
//!
//! Run by `bash interop/run middle-boxes`.
#![cfg(feature = "suites")]

mod late;
mod reverse;
mod tunnel;

#[path = "../support/mod.rs"]
mod support;

const SUITE: &str = "middle-boxes";
