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

use acr_client::{ErrorKind, Permissions, Repository, Result, http::BoxError};
use acr_examples::push_samples;
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
    let place = acr_examples::Registry::from_env().await?;
    // With a registry of your own: `Registry::connect("myregistry.azurecr.io")?`.
    let repo = place.builder().build()?.repository(arguments.repository)?;
    if place.is_emulator() {
        push_samples(repo.metadata(), &[&arguments.tag]).await?;
    }
    let result = run(&repo, &arguments.tag, arguments.unlock, place.is_emulator()).await;
    place.shutdown().await;
    result
}

async fn run(
    repo: &Repository,
    tag: &str,
    unlock: bool,
    is_emulator: bool,
) -> Result<(), BoxError> {
    let permissions = Permissions::new().write(unlock).delete(unlock);
    let of_tag = repo.update_tag_properties(tag, permissions).await?;
    // Each has its own locks: without the second one the manifest could still be put anew, without
    // the first one the tag could stand for another.
    repo.update_manifest_properties(&of_tag.digest, permissions).await?;
    println!("{}:{tag} and {}: {:?}", of_tag.repository, of_tag.digest, of_tag.permissions);
    if is_emulator && !unlock {
        match repo.delete_manifest_of_tag(tag).await {
            Err(error) if error.kind() == ErrorKind::Disallowed => println!("{error}"),
            other => return Err(format!("the lock does not hold: {other:?}").into()),
        }
    }
    Ok(())
}
