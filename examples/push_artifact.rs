//! Pushes a file as an OCI artifact: an empty config, one layer, a manifest under a tag. Go's
//! `Example_uploadImage` and Python's `sample_set_get_image` push texts.
//!
//! ```text
//! cargo run --example push_artifact -- [FILE] [REPOSITORY:TAG]
//! ```
//!
//! Talks to the registry named by `CONTAINERREGISTRY_ENDPOINT` (see `src/registry.rs`), or
//! else to an emulator of its own, where it then pushes this program's source. A layer that
//! the repository has already is not sent again.

#![allow(clippy::print_stdout, reason = "a program that talks to a person")]

use acr_client::{Content, Registry, http::BoxError};
use acr_examples::{RepositoryTag, push};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().unwrap_or_else(|| "examples/push_artifact.rs".to_owned());
    let image: RepositoryTag =
        arguments.next().unwrap_or_else(|| "samples/artifact:v1".to_owned()).parse()?;
    let place = acr_examples::Registry::from_env().await?;
    // With a registry of your own: `Registry::connect("myregistry.azurecr.io")?`.
    run(&place.builder().build()?, &path, &image).await?;
    place.shutdown().await;
    Ok(())
}

async fn run(registry: &Registry, path: &str, image: &RepositoryTag) -> Result<(), BoxError> {
    let repo = registry.repository(&image.repository)?;
    let layer = repo.upload(Content::file(path).await?).await?;
    println!("layer    {} {} bytes", layer.digest, layer.size);
    let manifest = push(registry, image, path, &layer).await?;
    println!("manifest {manifest} as {image}");
    Ok(())
}
