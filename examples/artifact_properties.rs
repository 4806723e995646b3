//! Pushes a manifest under its digest and under a tag, reads it by both, and shows and changes
//! what the registry knows of the repository, its manifests and its tags.
//!
//! ```text
//! cargo run --example artifact_properties -- [REPOSITORY] [TAG]
//! ```
//!
//! Talks to the emulator, or to the registry named by `CONTAINERREGISTRY_ENDPOINT`
//! (see `src/registry.rs`), and deletes there what it pushed. The tag must be a new one.

#![allow(clippy::print_stdout, reason = "a program that talks to a person")]

use acr_core::{Tag, http::BoxError};
use acr_examples::{Registry, Wire, connect};
use acr_registry::{ImageIndex, MediaType, Order, Permissions, RegistryClient, RepositoryClient};

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
    // Not over somebody's tag, which would be deleted in the end.
    match repository.resolve(tag).await {
        Ok(_) => return Err(format!("the tag `{tag}` is there already; name a new one").into()),
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(error.into()),
    }
    // UploadManifest by reference and by tag: the digest that comes back is compared with ours
    let document = ImageIndex::new().annotation("sample", "properties").to_json()?;
    let digest = repository.put_manifest(document.clone()).await?;
    repository.put_manifest(document).tag(tag).await?;
    // GetManifest by tag and by reference: what comes has the digest
    let by_tag = repository.get_manifest(tag).accept([MediaType::OCI_INDEX]).await?;
    let by_digest = repository.get_manifest(&digest).accept([MediaType::OCI_INDEX]).await?;
    println!("same     {}", by_tag.content == by_digest.content);

    // GetRepositoryProperties, GetTagProperties, GetManifestProperties
    let of_repository = repository.properties().await?;
    let (of_tag, of_manifest) =
        (repository.tag_properties(tag).await?, repository.manifest_properties(&digest).await?);
    println!("name     {} at {}", of_repository.name, of_repository.registry);
    println!("counts   {:?} {:?}", of_repository.manifest_count, of_repository.tag_count);
    println!("tag      {} {}", of_tag.name, of_tag.digest);
    println!("manifest {} {:?}", of_manifest.fully_qualified_reference(), of_manifest.size);

    // UpdateRepositoryProperties, UpdateTagProperties, UpdateManifestProperties, and back
    let locked = Permissions::new().write(false);
    repository.update_properties(locked).await?;
    repository.update_tag_properties(tag, locked).await?;
    let now = repository.update_manifest_properties(&digest, locked).await?;
    println!("write    {:?}", now.permissions.can_write());
    repository.update_manifest_properties(&digest, &of_manifest).await?;
    repository.update_tag_properties(tag, &of_tag).await?;
    repository.update_properties(&of_repository).await?;

    // NewListManifestsPager, NewListTagsPager
    let mut manifests = repository.list_manifests().order_by(Order::NEWEST_FIRST);
    while let Some(manifest) = manifests.try_next().await? {
        println!("manifest {}", manifest.digest);
    }
    let mut pages = repository.list_tags().page_size(1).into_pages();
    while let Some(page) = pages.try_next().await? {
        let names: Vec<_> = page.items.iter().map(|tag| tag.name.as_str()).collect();
        println!("tags     {names:?}");
    }
    // DeleteManifest
    println!("deletion: {}", repository.delete_manifest(&digest).await?);
    Ok(())
}
