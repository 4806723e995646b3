//! Lists the repositories of a registry, with what it knows about each: what Go's
//! `Example_listRepositories` does, and Python's `sample_hello_world` first.
//!
//! ```text
//! cargo run --example list_repositories
//! ```
//!
//! Talks to the emulator, or to the registry named by `CONTAINERREGISTRY_ENDPOINT`
//! (see `src/registry.rs`). Reads only.

#![allow(clippy::print_stdout, reason = "a program that talks to a person")]

use acr_client::{Registry, Result, http::BoxError};
use acr_examples::push_samples;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let place = acr_examples::Registry::from_env().await?;
    // NewClient; with a registry of your own: `Registry::connect("myregistry.azurecr.io")?`.
    let registry = place.builder().build()?;
    if place.is_emulator() {
        push_samples(registry.repository("library/app")?.metadata(), &["v1", "v2"]).await?;
        push_samples(registry.repository("samples/hello")?.metadata(), &["latest"]).await?;
    }
    let result = list(&registry).await;
    place.shutdown().await;
    Ok(result?)
}

async fn list(registry: &Registry) -> Result<()> {
    // NewListRepositoriesPager
    let mut names = registry.list_repositories();
    while let Some(name) = names.try_next().await? {
        let properties = registry.repository(name)?.properties().await?;
        println!(
            "{}: {} manifests, {} tags, updated {}",
            properties.name,
            properties.manifest_count.unwrap_or_default(),
            properties.tag_count.unwrap_or_default(),
            properties.updated_at.map(|time| time.to_string()).unwrap_or_default(),
        );
    }
    Ok(())
}
