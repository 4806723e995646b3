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

use acr_core::{Result, http::BoxError};
use acr_examples::{Registry, Wire, connect, push_samples};
use acr_registry::RegistryClient;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let registry = Registry::from_env().await?;
    // NewClient
    let client = RegistryClient::new(connect(&registry, &Wire::default())?);
    if registry.is_emulator() {
        push_samples(&client.repository("library/app")?, &["v1", "v2"]).await?;
        push_samples(&client.repository("samples/hello")?, &["latest"]).await?;
    }
    let result = list(&client).await;
    registry.shutdown().await;
    Ok(result?)
}

async fn list(client: &RegistryClient) -> Result<()> {
    // NewListRepositoriesPager
    let mut names = client.list_repositories();
    while let Some(name) = names.try_next().await? {
        let properties = client.repository(name)?.properties().await?;
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
