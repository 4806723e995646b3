//! What transfers cost in requests, connections, bytes and allocations, against a sink: counts that
//! no load of the machine changes, held against `acr_bench::bounds`.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[cfg(test)]
mod allocations;
#[cfg(test)]
mod bytes;
#[cfg(test)]
mod connections;
#[cfg(test)]
#[path = "../../benches/compare/ours.rs"]
mod ours;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod support;
