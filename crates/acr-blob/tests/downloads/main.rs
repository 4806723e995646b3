//! Downloads from a registry that answers as it likes, read in every way there is.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests may stop at the first surprise"
)]

mod beside;
#[path = "../modes/mod.rs"]
mod modes;
mod origin;
mod reading;
mod recovery;

use acr_blob::BlobClient;
use acr_core::{
    Error, Pipeline, Transport,
    http::{Body, Request, Response},
};

/// A client of what answers each request as the function says.
fn client<F>(answer: F) -> BlobClient
where
    F: Fn(&Request) -> Response + Clone + Send + Sync + 'static,
{
    let transport = Transport::new(tower::service_fn(move |request: Request| {
        let response = answer(&request);
        async move { Ok::<_, Error>(response) }
    }));
    let endpoint = "r.azurecr.io".parse().unwrap();
    let pipeline =
        Pipeline::builder(endpoint).transport(transport).hashing(modes::hashing()).build().unwrap();
    BlobClient::new(pipeline, "a".parse().unwrap())
}

fn status(code: u16) -> Response {
    http::Response::builder().status(code).body(Body::empty()).unwrap()
}

fn content(len: usize) -> bytes::Bytes {
    (0..len).map(|n| (n * 7 + n / 251) as u8).collect()
}
