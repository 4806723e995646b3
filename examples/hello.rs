//! The first program: lists the tags of a repository.
//!
//! ```text
//! cargo run --example hello
//! ```
//!
//! Talks to the emulator, or to the registry named by `CONTAINERREGISTRY_ENDPOINT` (see
//! `src/registry.rs`). Reads only, once the emulator has something to read.

#![allow(clippy::print_stdout, reason = "a program that talks to a person")]

use acr_core::http::BoxError;
use acr_examples::push_samples;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let place = acr_examples::Registry::from_env().await?;
    // With a registry of your own: `Registry::connect("myregistry.azurecr.io")?`.
    let registry = place.builder().build()?;
    let repo = registry.repository("library/hello-world")?;
    if place.is_emulator() {
        push_samples(repo.metadata(), &["v1", "v2"]).await?;
    }
    let mut tags = repo.list_tags();
    while let Some(tag) = tags.try_next().await? {
        println!("{} {}", tag.name, tag.digest);
    }
    Ok(())
}
