//! Layers of tower and tower-http in both hooks of a pipeline: around the call and around
//! every hop.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop at the first surprise"
)]

mod own_layer;
mod registry;
mod tower_http_layers;
mod tower_layers;
