//! Pulls an OCI artifact into a folder: its manifest, its config, and each layer into a file
//! of its title, as Go's `Example_downloadImage` and Python's `sample_set_get_image`. A file
//! appears only when its content has the digest that the manifest names.
//!
//! ```text
//! cargo run --example pull_artifact -- REPOSITORY:TAG FOLDER
//! ```
//!
//! Without `CONTAINERREGISTRY_ENDPOINT` (see `src/registry.rs`) it pushes an artifact to
//! an emulator of its own first, and pulls it twice: whole, and with a byte that is flipped
//! on its way, which must leave no file of that layer. Then it pulls what the samples of other
//! packages push: that of Python's, whose config says `sizeInBytes` in place of `size`, and that
//! of Go's, whose sizes are wrong.

#![allow(clippy::print_stdout, reason = "a program that talks to a person")]

use std::path::Path;

use acr_blob::BlobClient;
use acr_core::{Error, ErrorKind, Pipeline, http::BoxError};
use acr_examples::{
    Registry, RepositoryTag, Wire, connect, push, push_as_go, push_as_python, read_manifest, title,
};
use acr_registry::DescriptorView;
use acr_testkit::{FakeRegistry, Fault, Operation};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    if std::env::var_os("CONTAINERREGISTRY_ENDPOINT").is_none() {
        return show().await;
    }
    let mut arguments = std::env::args().skip(1);
    let (Some(image), Some(folder)) = (arguments.next(), arguments.next()) else {
        return Err("usage: pull_artifact REPOSITORY:TAG FOLDER".into());
    };
    let registry = Registry::from_env().await?;
    let pipeline = connect(&registry, &Wire::default())?;
    pull(&pipeline, &image.parse()?, Path::new(&folder)).await
}

async fn pull(pipeline: &Pipeline, image: &RepositoryTag, folder: &Path) -> Result<(), BoxError> {
    let blobs = BlobClient::new(pipeline.clone(), image.repository.clone());
    let (_, document) = read_manifest(pipeline, image).await?;
    for layer in &document.layers {
        // Only a plain name stays in the folder; a title is chosen by whoever pushed.
        let digest = layer.digest()?;
        let title = title(layer).and_then(|title| Path::new(title).file_name());
        let name = title.map_or_else(|| digest.hex().into(), ToOwned::to_owned);
        fetch(&blobs, layer, &folder.join(name)).await?;
    }
    let config = document.config.ok_or("the manifest has no config")?;
    fetch(&blobs, &config, &folder.join("config.json")).await
}

async fn fetch(blobs: &BlobClient, part: &DescriptorView, target: &Path) -> Result<(), BoxError> {
    // The digest proves the content; the size is what somebody wrote beside it, or not: the
    // sample of the Python package says `sizeInBytes`, that of Go's says what another blob has.
    let size = blobs.download(part.digest()?).to_file(target).await?;
    let said = part.size.filter(|said| *said != size);
    let said = said.map(|said| format!(", though the manifest says {said}")).unwrap_or_default();
    println!("{} {size} bytes, verified{said}", target.display());
    Ok(())
}

async fn show() -> Result<(), BoxError> {
    let fake = FakeRegistry::new();
    let registry = Registry::emulator(&fake).await?;
    let pipeline = connect(&registry, &Wire::default())?;
    let image: RepositoryTag = "samples/artifact:v1".parse()?;
    let blobs = BlobClient::new(pipeline.clone(), image.repository.clone());
    let layer = blobs.upload("sample layer").await?;
    push(&pipeline, &image, "layer.txt", &layer).await?;

    let folder = tempfile::tempdir()?;
    pull(&pipeline, &image, folder.path()).await?;
    if std::fs::read(folder.path().join("layer.txt"))? != b"sample layer" {
        return Err("the file has another content".into());
    }

    let folder = tempfile::tempdir()?;
    fake.inject(Fault::corrupt(Operation::GetStorage, 3));
    match pull(&pipeline, &image, folder.path()).await {
        Err(error) if error.downcast_ref().map(Error::kind) == Some(ErrorKind::Integrity) => {
            println!("as it should: {error}");
        }
        other => return Err(format!("a flipped byte led to {other:?}").into()),
    }
    if std::fs::read_dir(folder.path())?.count() != 0 {
        return Err("the mismatch left a file".into());
    }

    let image = push_as_python(&pipeline).await?;
    pull(&pipeline, &image, folder.path()).await?;
    if std::fs::read(folder.path().join("config.json"))? != br#"{"sample config":"content"}"# {
        return Err("the config has another content".into());
    }
    let image = push_as_go(&pipeline).await?;
    pull(&pipeline, &image, folder.path()).await?;
    if std::fs::read(folder.path().join("config.json"))? != b"hello world" {
        return Err("what stands for the config has another content".into());
    }
    registry.shutdown().await;
    Ok(())
}
