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

use acr_blob::BlobClient;
use acr_core::{Pipeline, http::BoxError};
use acr_examples::{
    Registry, RepositoryTag, Wire, connect, push, push_as_go, push_as_python, read_manifest,
};
use acr_registry::{DescriptorView, RepositoryClient};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let registry = Registry::from_env().await?;
    let pipeline = connect(&registry, &Wire::default())?;
    let images = match std::env::args().nth(1) {
        Some(image) => vec![image.parse()?],
        None if registry.is_emulator() => {
            let theirs = [push_as_python(&pipeline).await?, push_as_go(&pipeline).await?];
            [sample(&pipeline).await?].into_iter().chain(theirs).collect()
        }
        None => return Err("usage: delete_image REPOSITORY:TAG".into()),
    };
    for image in &images {
        delete(&pipeline, image).await?;
    }
    registry.shutdown().await;
    Ok(())
}

async fn delete(pipeline: &Pipeline, image: &RepositoryTag) -> Result<(), BoxError> {
    let blobs = BlobClient::new(pipeline.clone(), image.repository.clone());
    let repository = RepositoryClient::new(pipeline.clone(), image.repository.clone());
    let (digest, document) = read_manifest(pipeline, image).await?;
    // The manifest first: an image whose layers are gone is worse than layers without one.
    println!("manifest {digest} {}", repository.delete_manifest(&digest).await?);
    let parts = document.layers.iter().chain(&document.config);
    // A digest may stand there twice.
    let parts = parts.map(DescriptorView::digest).collect::<Result<BTreeSet<_>, _>>()?;
    for part in parts {
        println!("blob     {part} {}", blobs.delete_blob(&part).await?);
        if blobs.exists(&part).await? {
            return Err(format!("{part} is still there").into());
        }
    }
    Ok(())
}

async fn sample(pipeline: &Pipeline) -> Result<RepositoryTag, BoxError> {
    let image: RepositoryTag = "samples/image:v1".parse()?;
    let blobs = BlobClient::new(pipeline.clone(), image.repository.clone());
    let layer = blobs.upload("sample layer").await?;
    push(pipeline, &image, "layer.txt", &layer).await?;
    Ok(image)
}
