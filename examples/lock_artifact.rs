//! Locks a tag and its manifest against overwriting and deleting, or unlocks them; Go's
//! `Example_setArtifactProperties` locks the one, Python's `sample_set_image_properties` the other.
//!
//! ```text
//! cargo run --example lock_artifact -- [--unlock] REPOSITORY TAG
//! ```
//!
//! Talks to the emulator, or to the registry named by `CONTAINERREGISTRY_ENDPOINT`
//! (see `src/registry.rs`). On the emulator it also shows what a lock refuses.

#![allow(clippy::print_stdout, reason = "a program that talks to a person")]

use acr_core::{ErrorKind, Result, Tag, http::BoxError};
use acr_examples::{Registry, Wire, connect, push_samples};
use acr_registry::{Permissions, RegistryClient, RepositoryClient};
use clap::Parser;

#[derive(Parser)]
#[command(about = "Locks a tag and its manifest")]
struct Arguments {
    /// Allows writing and deleting again
    #[arg(long)]
    unlock: bool,
    #[arg(default_value = "library/app")]
    repository: String,
    #[arg(default_value = "v1")]
    tag: String,
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let arguments = Arguments::parse();
    let registry = Registry::from_env().await?;
    let client = RegistryClient::new(connect(&registry, &Wire::default())?);
    let repository = client.repository(arguments.repository.as_str())?;
    let tag: Tag = arguments.tag.parse()?;
    if registry.is_emulator() {
        push_samples(&repository, &[tag.as_str()]).await?;
    }
    let result = run(&repository, &tag, arguments.unlock, registry.is_emulator()).await;
    registry.shutdown().await;
    result
}

async fn run(
    repository: &RepositoryClient,
    tag: &Tag,
    unlock: bool,
    is_emulator: bool,
) -> Result<(), BoxError> {
    let permissions = Permissions::new().write(unlock).delete(unlock);
    let of_tag = repository.update_tag_properties(tag, permissions).await?;
    // Each has its own locks: without the second one the manifest could still be put anew, without
    // the first one the tag could stand for another.
    repository.update_manifest_properties(&of_tag.digest, permissions).await?;
    println!("{}:{tag} and {}: {:?}", of_tag.repository, of_tag.digest, of_tag.permissions);
    if is_emulator && !unlock {
        match repository.delete_manifest_of_tag(tag).await {
            Err(error) if error.kind() == ErrorKind::Disallowed => println!("{error}"),
            other => return Err(format!("the lock does not hold: {other:?}").into()),
        }
    }
    Ok(())
}
