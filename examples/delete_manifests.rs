//! Deletes manifests by digest, with all their tags.
//!
//! ```text
//! cargo run -p acr-examples --example delete_manifests -- REPOSITORY DIGEST…
//! ```
//!
//! Talks to the registry named by `CONTAINERREGISTRY_ENDPOINT` (see `src/registry.rs`), or
//! to the emulator, where it deletes two samples and one of them again.

#![allow(clippy::print_stdout, reason = "a program that talks to a person")]

use acr_core::{BoxError, Digest, Result};
use acr_examples::{Registry, Wire, connect, push_samples};
use acr_registry::{Deletion, RegistryClient, RepositoryClient};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_else(|| "library/app".to_owned());
    let digests = arguments.map(|text| text.parse()).collect::<Result<Vec<Digest>, _>>()?;
    let registry = Registry::from_env().await?;
    let client = RegistryClient::new(connect(&registry, &Wire::default())?);
    let repository = client.repository(name.as_str())?;
    let digests = if registry.is_emulator() && digests.is_empty() {
        let samples = push_samples(&repository, &["v1", "v2"]).await?;
        samples.iter().chain(samples.first()).cloned().collect()
    } else {
        digests
    };
    let result = delete(&repository, &digests).await;
    registry.shutdown().await;
    Ok(result?)
}

async fn delete(repository: &RepositoryClient, digests: &[Digest]) -> Result<()> {
    for digest in digests {
        match repository.delete_manifest(digest).await? {
            Deletion::Deleted => println!("deleted {digest}"),
            _ => println!("was not there: {digest}"),
        }
    }
    Ok(())
}
