//! Deletes the old images of repositories, and keeps the newest, as Go's `Example_deleteImages`
//! and Python's `sample_delete_images`.
//!
//! ```text
//! cargo run --example prune_images -- [--keep N] [--delete] [--unlock] [REPOSITORY…]
//! ```
//!
//! Without `--delete` it only says what it would do. It keeps what is locked (unless
//! `--unlock` is given), what a kept manifest names (an index its images, a signature its
//! subject), and what refers to a kept manifest. Without a repository it takes all.
//!
//! Talks to the emulator, or to the registry named by `CONTAINERREGISTRY_ENDPOINT`
//! (see `src/registry.rs`).

#![allow(clippy::print_stdout, reason = "a program that talks to a person")]

use std::collections::BTreeSet;

use acr_core::{Digest, ErrorKind, RepositoryName, Result, http::BoxError};
use acr_examples::{Registry, Wire, connect, push_parent, push_samples};
use acr_registry::{
    Document, ManifestProperties, MediaType, Order, Permissions, RegistryClient, RepositoryClient,
};
use clap::Parser;

#[derive(Parser)]
#[command(about = "Deletes old images; without --delete it only says which")]
struct Arguments {
    /// How many of the newest images of each repository to keep
    #[arg(long, default_value_t = 3)]
    keep: usize,
    /// Deletes instead of only saying what would go
    #[arg(long)]
    delete: bool,
    /// Unlocks and deletes what is locked too
    #[arg(long)]
    unlock: bool,
    repositories: Vec<String>,
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let arguments = Arguments::parse();
    let registry = Registry::from_env().await?;
    let client = RegistryClient::new(connect(&registry, &Wire::default())?);
    if registry.is_emulator() {
        fill(&client).await?;
    }
    let result = prune_all(&client, &arguments).await;
    registry.shutdown().await;
    Ok(result?)
}

/// Five images, the oldest of which is locked, and two that only the newest index names.
async fn fill(client: &RegistryClient) -> Result<()> {
    let repository = client.repository("library/app")?;
    let children = push_samples(&repository, &["amd64", "arm64"]).await?;
    let images = push_samples(&repository, &["v1", "v2", "v3", "v4"]).await?;
    push_parent(&repository, &children, "v5").await?;
    if let Some(oldest) = images.first() {
        repository.update_manifest_properties(oldest, Permissions::new().delete(false)).await?;
    }
    Ok(())
}

async fn prune_all(client: &RegistryClient, arguments: &Arguments) -> Result<()> {
    let mut names = Vec::new();
    for name in &arguments.repositories {
        names.push(name.parse::<RepositoryName>()?);
    }
    if names.is_empty() {
        let mut all = client.list_repositories();
        while let Some(name) = all.try_next().await? {
            names.push(name);
        }
    }
    for name in names {
        prune(&client.repository(name)?, arguments).await?;
    }
    Ok(())
}

async fn prune(repository: &RepositoryClient, arguments: &Arguments) -> Result<()> {
    let mut newest_first = repository.list_manifests().order_by(Order::NEWEST_FIRST);
    let mut manifests = Vec::new();
    while let Some(manifest) = newest_first.try_next().await? {
        manifests.push(manifest);
    }
    let kept = kept(repository, &manifests, arguments).await?;
    for manifest in manifests.iter().filter(|manifest| !kept.contains(&manifest.digest)) {
        let what = format!("{}@{} {:?}", repository.repository(), manifest.digest, manifest.tags);
        if !arguments.delete {
            println!("would delete {what}");
            continue;
        }
        if arguments.unlock {
            unlock(repository, manifest).await?;
        }
        match repository.delete_manifest(&manifest.digest).await {
            Ok(_) => println!("deleted {what}"),
            // Locked meanwhile, or one of its tags is.
            Err(error) if error.kind() == ErrorKind::Disallowed => println!("kept {what}: {error}"),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What can name other manifests. If one of these cannot be read, nothing is deleted.
const NAMES_OTHERS: [MediaType; 6] = [
    MediaType::OCI_INDEX,
    MediaType::DOCKER_LIST,
    MediaType::OCI_MANIFEST,
    MediaType::DOCKER_MANIFEST,
    MediaType::OCI_ARTIFACT,
    MediaType::ORAS_ARTIFACT,
];

/// The newest, the locked, and all that these refer to or that refers to them.
async fn kept(
    repository: &RepositoryClient,
    manifests: &[ManifestProperties],
    arguments: &Arguments,
) -> Result<BTreeSet<Digest>> {
    let is_locked = |manifest: &ManifestProperties| {
        let permissions = manifest.permissions;
        permissions.can_delete() == Some(false) || permissions.can_write() == Some(false)
    };
    let mut open: Vec<Digest> = manifests
        .iter()
        .enumerate()
        .filter(|(at, manifest)| *at < arguments.keep || (is_locked(manifest) && !arguments.unlock))
        .map(|(_, manifest)| manifest.digest.clone())
        .collect();
    let mut kept = BTreeSet::new();
    while let Some(digest) = open.pop() {
        if !kept.insert(digest.clone()) {
            continue;
        }
        match repository.get_manifest(&digest).await {
            Ok(manifest) if NAMES_OTHERS.contains(&manifest.media_type) => {
                open.extend(named(&manifest.document()?));
            }
            Ok(_) => {}
            Err(error) if error.is_not_found() => continue,
            Err(error) => return Err(error),
        }
        let mut referrers = repository.list_referrers(&digest);
        while let Some(referrer) = referrers.try_next().await? {
            open.push(referrer.digest()?);
        }
    }
    Ok(kept)
}

/// The manifests that a manifest names.
fn named(document: &Document) -> Vec<Digest> {
    let (children, subject) = match document {
        Document::Image(image) => (&[][..], &image.subject),
        Document::Index(index) => (index.manifests.as_slice(), &index.subject),
        Document::Artifact(artifact) => (&[][..], &artifact.subject),
        _ => (&[][..], &None),
    };
    children.iter().chain(subject).filter_map(|part| part.digest().ok()).collect()
}

async fn unlock(repository: &RepositoryClient, manifest: &ManifestProperties) -> Result<()> {
    let open = Permissions::new().delete(true).write(true);
    repository.update_manifest_properties(&manifest.digest, open).await?;
    for tag in &manifest.tags {
        repository.update_tag_properties(tag, open).await?;
    }
    Ok(())
}
