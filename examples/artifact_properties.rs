//! Pushes a manifest under its digest and under a tag, reads it by both, and shows and changes
//! what the registry knows of the repository, its manifests and its tags.
//!
//! ```text
//! cargo run -p acr-examples --example artifact_properties -- [REPOSITORY] [TAG]
//! ```
//!
//! Talks to the emulator, or to the registry named by `CONTAINERREGISTRY_ENDPOINT`
//! (see `src/registry.rs`), and deletes there what it pushed.

#![allow(clippy::print_stdout, reason = "a program that talks to a person")]

use std::num::NonZeroU32;

use acr_core::{BoxError, Tag};
use acr_examples::{Registry, Wire, connect};
use acr_registry::{ImageIndex, Order, Permissions, RegistryClient, RepositoryClient};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_else(|| "samples/properties".to_owned());
    let tag: Tag = arguments.next().unwrap_or_else(|| "v1".to_owned()).parse()?;
    let registry = Registry::from_env().await?;
    let client = RegistryClient::new(connect(&registry, &Wire::default())?);
    // All its calls together are large for a future on the stack.
    Box::pin(run(&client.repository(name.as_str())?, &tag)).await?;
    registry.shutdown().await;
    Ok(())
}

async fn run(repository: &RepositoryClient, tag: &Tag) -> Result<(), BoxError> {
    // UploadManifest by reference and by tag, GetManifest by both
    let document = ImageIndex::new().annotation("sample", "properties").to_json()?;
    let digest = repository.put_manifest(document.clone()).await?;
    repository.put_manifest(document).tag(tag.clone()).await?;
    let (by_tag, by_digest) =
        (repository.get_manifest(tag).await?, repository.get_manifest(&digest).await?);
    println!("same     {}", by_tag.content == by_digest.content);

    // GetRepositoryProperties, GetTagProperties, GetManifestProperties
    let of_repository = repository.get_properties().await?;
    let (of_tag, of_manifest) =
        (repository.get_tag(tag).await?, repository.get_manifest_properties(&digest).await?);
    println!("tags     {:?} of {}", of_repository.tag_count, of_repository.name);
    println!("tag      {} {}", of_tag.name, of_tag.digest);
    println!("manifest {}", of_manifest.fully_qualified_reference());

    // UpdateRepositoryProperties, UpdateTagProperties, UpdateManifestProperties, and back
    let locked = Permissions::new().write(false);
    repository.update_properties(locked).await?;
    repository.update_tag(tag, locked).await?;
    let now = repository.update_manifest_properties(&digest, locked).await?;
    println!("write    {:?}", now.permissions.can_write());
    repository.update_manifest_properties(&digest, &of_manifest).await?;
    repository.update_tag(tag, &of_tag).await?;
    repository.update_properties(&of_repository).await?;

    // NewListManifestsPager, NewListTagsPager
    let mut manifests = repository.list_manifests().order_by(Order::NEWEST_FIRST);
    if let Some(newest) = manifests.try_next().await? {
        println!("newest   {}", newest.digest);
    }
    let mut pages = repository.list_tags().page_size(NonZeroU32::MIN).into_pages();
    while let Some(page) = pages.try_next().await? {
        println!("page     {} tags", page.items.len());
    }
    // DeleteManifest
    println!("deletion {:?}", repository.delete_manifest(&digest).await?);
    Ok(())
}
