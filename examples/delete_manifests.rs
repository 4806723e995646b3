//! Deletes manifests by digest or by one of their tags, with all their tags.
//!
//! ```text
//! cargo run --example delete_manifests -- REPOSITORY DIGEST-OR-TAG…
//! ```
//!
//! Talks to the registry named by `CONTAINERREGISTRY_ENDPOINT` (see `src/registry.rs`), or
//! to the emulator, where it deletes three samples, one of them by its tag, and one again.

#![allow(clippy::print_stdout, reason = "a program that talks to a person")]

use acr_client::{Error, ErrorKind, Reference, Repository, Result, http::BoxError};
use acr_examples::push_samples;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_else(|| "library/app".to_owned());
    let references = arguments.map(|text| text.parse()).collect::<Result<Vec<Reference>, _>>()?;
    let place = acr_examples::Registry::from_env().await?;
    // With a registry of your own: `Registry::connect("myregistry.azurecr.io")?`.
    let repo = place.builder().build()?.repository(name)?;
    let references = if place.is_emulator() && references.is_empty() {
        let samples = push_samples(repo.metadata(), &["v1", "v2"]).await?;
        push_samples(repo.metadata(), &["v3"]).await?;
        let again = samples.first().cloned();
        let digests = samples.into_iter().chain(again).map(Reference::from);
        digests.chain(["v3".parse()?]).collect()
    } else {
        references
    };
    let result = delete(&repo, &references).await;
    place.shutdown().await;
    Ok(result?)
}

async fn delete(repo: &Repository, references: &[Reference]) -> Result<()> {
    for reference in references {
        let deletion = match reference {
            // DeleteManifest
            Reference::Digest(digest) => repo.delete_manifest(digest).await?,
            Reference::Tag(tag) => repo.delete_manifest_of_tag(tag).await?,
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
