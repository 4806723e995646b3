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

use acr_client::{DescriptorView, Error, ErrorKind, Registry, Repository, http::BoxError};
use acr_examples::{RepositoryTag, push, push_as_go, push_as_python, read_manifest, title};
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
    let place = acr_examples::Registry::from_env().await?;
    // With a registry of your own: `Registry::connect("myregistry.azurecr.io")?`.
    pull(&place.builder().build()?, &image.parse()?, Path::new(&folder)).await
}

async fn pull(registry: &Registry, image: &RepositoryTag, folder: &Path) -> Result<(), BoxError> {
    let repo = registry.repository(&image.repository)?;
    let (_, document) = read_manifest(registry, image).await?;
    for layer in &document.layers {
        // Only a plain name stays in the folder; a title is chosen by whoever pushed.
        let digest = layer.digest()?;
        let title = title(layer).and_then(|title| Path::new(title).file_name());
        let name = title.map_or_else(|| digest.hex().into(), ToOwned::to_owned);
        fetch(&repo, layer, &folder.join(name)).await?;
    }
    let config = document.config.ok_or("the manifest has no config")?;
    fetch(&repo, &config, &folder.join("config.json")).await
}

async fn fetch(repo: &Repository, part: &DescriptorView, target: &Path) -> Result<(), BoxError> {
    // The digest proves the content; the size is what somebody wrote beside it, or not: the
    // sample of the Python package says `sizeInBytes`, that of Go's says what another blob has.
    let size = repo.download(part.digest()?).to_file(target).await?;
    let said = part.size.filter(|said| *said != size);
    let said = said.map(|said| format!(", though the manifest says {said}")).unwrap_or_default();
    println!("{} {size} bytes, verified{said}", target.display());
    Ok(())
}

async fn show() -> Result<(), BoxError> {
    let fake = FakeRegistry::new();
    let place = acr_examples::Registry::emulator(&fake).await?;
    let registry = place.builder().build()?;
    let image: RepositoryTag = "samples/artifact:v1".parse()?;
    let layer = registry.repository(&image.repository)?.upload("sample layer").await?;
    push(&registry, &image, "layer.txt", &layer).await?;

    let folder = tempfile::tempdir()?;
    pull(&registry, &image, folder.path()).await?;
    if std::fs::read(folder.path().join("layer.txt"))? != b"sample layer" {
        return Err("the file has another content".into());
    }

    let folder = tempfile::tempdir()?;
    fake.inject(Fault::corrupt(Operation::GetStorage, 3));
    match pull(&registry, &image, folder.path()).await {
        Err(error) if error.downcast_ref().map(Error::kind) == Some(ErrorKind::Integrity) => {
            println!("as it should: {error}");
        }
        other => return Err(format!("a flipped byte led to {other:?}").into()),
    }
    if std::fs::read_dir(folder.path())?.count() != 0 {
        return Err("the mismatch left a file".into());
    }

    let image = push_as_python(&registry).await?;
    pull(&registry, &image, folder.path()).await?;
    if std::fs::read(folder.path().join("config.json"))? != br#"{"sample config":"content"}"# {
        return Err("the config has another content".into());
    }
    let image = push_as_go(&registry).await?;
    pull(&registry, &image, folder.path()).await?;
    if std::fs::read(folder.path().join("config.json"))? != b"hello world" {
        return Err("what stands for the config has another content".into());
    }
    place.shutdown().await;
    Ok(())
}
