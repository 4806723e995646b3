//! Our layers in stacks of somebody else's: `http::Request<B>` over hyper-util's client, to a
//! server on loopback, without `acr_core::http::Body`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop at the first surprise"
)]

mod captured;
mod layers;
mod observed;
mod repeated;
mod server;
