//! Deletes manifests by digest or by one of their tags, with all their tags.
//!
//! ```text
//! cargo run --example delete_manifests -- REPOSITORY DIGEST-OR-TAG…
//! ```
//!
//! Talks to the registry named by `CONTAINERREGISTRY_ENDPOINT` (see `src/registry.rs`), or
//! to the emulator, where it deletes three samples, one of them by its tag, and one again.

#![allow(clippy::print_stdout, reason = "a program that talks to a person")]

use acr_core::{Error, ErrorKind, Reference, Result, http::BoxError};
use acr_examples::{Registry, Wire, connect, push_samples};
use acr_registry::{RegistryClient, RepositoryClient};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_else(|| "library/app".to_owned());
    let references = arguments.map(|text| text.parse()).collect::<Result<Vec<Reference>, _>>()?;
    let registry = Registry::from_env().await?;
    let client = RegistryClient::new(connect(&registry, &Wire::default())?);
    let repository = client.repository(name.as_str())?;
    let references = if registry.is_emulator() && references.is_empty() {
        let samples = push_samples(&repository, &["v1", "v2"]).await?;
        push_samples(&repository, &["v3"]).await?;
        let again = samples.first().cloned();
        let digests = samples.into_iter().chain(again).map(Reference::from);
        digests.chain(["v3".parse()?]).collect()
    } else {
        references
    };
    let result = delete(&repository, &references).await;
    registry.shutdown().await;
    Ok(result?)
}

async fn delete(repository: &RepositoryClient, references: &[Reference]) -> Result<()> {
    for reference in references {
        let deletion = match reference {
            // DeleteManifest
            Reference::Digest(digest) => repository.delete_manifest(digest).await?,
            Reference::Tag(tag) => repository.delete_manifest_of_tag(tag).await?,
            // There are no others today.
            other => {
                return Err(Error::new(
                    ErrorKind::InvalidInput,
                    format!("cannot delete `{other}`"),
                ));
            }
        };
        if deletion.existed() {
            println!("deleted {reference}");
        } else {
            println!("was not there: {reference}");
        }
    }
    Ok(())
}
