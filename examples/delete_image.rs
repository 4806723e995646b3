//! Deletes an image: its manifest by digest, then its layers and its config; the other way round
//! at the end of Python's `sample_set_get_image`.
//!
//! ```text
//! cargo run --example delete_image -- REPOSITORY:TAG
//! ```
//!
//! The registry does not check whether other manifests of the repository name the same
//! blobs: do not use this where images share layers. Without `CONTAINERREGISTRY_ENDPOINT`
//! (see `src/registry.rs`) it pushes images to an emulator of its own first: one of ours, and
//! what the samples of the packages for Python and Go push.

#![allow(clippy::print_stdout, reason = "a program that talks to a person")]

use std::collections::BTreeSet;

use acr_client::{DescriptorView, Registry, http::BoxError};
use acr_examples::{RepositoryTag, push, push_as_go, push_as_python, read_manifest};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let place = acr_examples::Registry::from_env().await?;
    // With a registry of your own: `Registry::connect("myregistry.azurecr.io")?`.
    let registry = place.builder().build()?;
    let images = match std::env::args().nth(1) {
        Some(image) => vec![image.parse()?],
        None if place.is_emulator() => {
            let theirs = [push_as_python(&registry).await?, push_as_go(&registry).await?];
            [sample(&registry).await?].into_iter().chain(theirs).collect()
        }
        None => return Err("usage: delete_image REPOSITORY:TAG".into()),
    };
    for image in &images {
        delete(&registry, image).await?;
    }
    place.shutdown().await;
    Ok(())
}

async fn delete(registry: &Registry, image: &RepositoryTag) -> Result<(), BoxError> {
    let repo = registry.repository(&image.repository)?;
    let (digest, document) = read_manifest(registry, image).await?;
    // The manifest first: an image whose layers are gone is worse than layers without one.
    println!("manifest {digest} {}", repo.delete_manifest(&digest).await?);
    let parts = document.layers.iter().chain(&document.config);
    // A digest may stand there twice.
    let parts = parts.map(DescriptorView::digest).collect::<Result<BTreeSet<_>, _>>()?;
    for part in parts {
        println!("blob     {part} {}", repo.delete_blob(&part).await?);
        if repo.exists(&part).await? {
            return Err(format!("{part} is still there").into());
        }
    }
    Ok(())
}

async fn sample(registry: &Registry) -> Result<RepositoryTag, BoxError> {
    let image: RepositoryTag = "samples/image:v1".parse()?;
    let layer = registry.repository(&image.repository)?.upload("sample layer").await?;
    push(registry, &image, "layer.txt", &layer).await?;
    Ok(image)
}
