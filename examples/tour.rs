//! The main job, end to end: push, inspect, lock, pull, delete.
//!
//! ```text
//! cargo run --example tour [-- FILE_OR_FOLDER]
//! ```
//!
//! Pushes a file or folder as an OCI artifact (one layer per file), lists what is
//! there, reads the properties, locks the tag, shows what deleting the locked tag
//! gives, unlocks it, pulls everything back, compares every byte, deletes, and
//! prints what went over the wire. Talks to the emulator, or to the registry named
//! by `CONTAINERREGISTRY_ENDPOINT` (see `src/registry.rs`). Exits with 1 when
//! anything differs or fails.

#![allow(clippy::print_stdout, reason = "a program that talks to a person")]

#[path = "tour/artifact.rs"]
mod artifact;
#[path = "tour/compare.rs"]
mod compare;
#[path = "tour/progress.rs"]
mod progress;
#[path = "tour/report.rs"]
mod report;

use std::{path::PathBuf, process::ExitCode};

use acr_blob::{BlobClient, Content};
use acr_core::{Digest, ErrorKind, Pipeline, RepositoryName, Tag, Was, http::BoxError};
use acr_examples::{Registry, Wire, connect};
use acr_registry::{MediaType, Permissions, RegistryClient, RepositoryClient};
use clap::Parser;

use self::{artifact::Artifact, progress::Bars};

/// Pushes, inspects, locks, pulls and deletes an artifact.
#[derive(Clone, Debug, Parser)]
pub struct Options {
    /// The file or folder to push [default: this program itself]
    path: Option<PathBuf>,
    /// Pull into this folder and keep it [default: a temporary folder]
    #[arg(long)]
    pull_into: Option<PathBuf>,
}

/// Runs the tour against the registry of the environment.
#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let wire = Wire::default();
    match Box::pin(start(Options::parse(), &wire)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::failure(error.as_ref());
            ExitCode::FAILURE
        }
    }
}

async fn start(options: Options, wire: &Wire) -> Result<(), BoxError> {
    let registry = Registry::from_env().await?;
    let place = if registry.is_emulator() { "emulator" } else { "registry" };
    println!("{place} at {}", registry.endpoint());
    let result = match connect(&registry, wire) {
        Ok(pipeline) => Box::pin(run(options, pipeline, wire)).await,
        Err(error) => Err(error.into()),
    };
    registry.shutdown().await;
    result?;
    report::table(wire);
    Ok(())
}

/// The tour itself. Whatever happens, what it pushed is deleted at the end.
///
/// # Errors
///
/// The first thing that fails or differs.
pub async fn run(options: Options, pipeline: Pipeline, wire: &Wire) -> Result<(), BoxError> {
    let source = match options.path {
        Some(path) => path,
        None => std::env::current_exe()?,
    };
    let artifact = Artifact::find(&source)?;
    let temporary = tempfile::tempdir()?;
    let folder = options.pull_into.unwrap_or_else(|| temporary.path().to_owned());
    tokio::fs::create_dir_all(&folder)
        .await
        .map_err(|error| format!("cannot pull into `{}`: {error}", folder.display()))?;
    let name: RepositoryName = "tour/artifact".parse()?;
    let tag: Tag = format!("run-{}", std::process::id()).parse()?;
    let registry = RegistryClient::new(pipeline.clone());
    let repo = registry.repository(&name)?;
    let blobs = BlobClient::new(pipeline, name);

    wire.step("push");
    let digest = push(&repo, &blobs, &artifact, &tag).await?;
    let tour = async {
        wire.step("list");
        list(&registry, &repo).await?;

        wire.step("properties");
        properties(&repo, &tag, &digest).await?;

        wire.step("lock");
        repo.update_tag_properties(&tag, &Permissions::new().delete(false).write(false)).await?;
        println!("locked {tag}");

        wire.step("delete locked");
        expect_locked(&repo, &tag).await?;

        wire.step("unlock");
        repo.update_tag_properties(&tag, &Permissions::new().delete(true).write(true)).await?;

        wire.step("pull");
        pull(&repo, &blobs, &artifact, &tag, &folder).await
    };
    if let Err(error) = tour.await {
        // Unlocking what is not locked does no harm; the first error is the one to tell.
        let _ =
            repo.update_tag_properties(&tag, &Permissions::new().delete(true).write(true)).await;
        let _ = delete(&registry, &repo, &blobs, &digest).await;
        return Err(error);
    }
    wire.step("delete");
    delete(&registry, &repo, &blobs, &digest).await
}

/// One blob per file, an empty config, and the manifest that names them.
async fn push(
    repo: &RepositoryClient,
    blobs: &BlobClient,
    artifact: &Artifact,
    tag: &Tag,
) -> Result<Digest, BoxError> {
    let bars = Bars::new("push", artifact.total());
    let config = blobs.upload(artifact::EMPTY_CONFIG).await?;
    let mut layers = Vec::new();
    for file in artifact.files() {
        let content = Content::file(&file.path).await?;
        let bar = bars.file(&file.title, file.size);
        let layer = blobs.upload(content).on_progress(move |p| bar.set(p.transferred)).await?;
        bars.done(file.size);
        layers.push((file.title.clone(), layer));
    }
    let manifest = artifact::manifest(&config, &layers)?;
    let digest = repo.put_manifest(manifest).tag(tag).media_type(MediaType::OCI_MANIFEST).await?;
    println!(
        "pushed {} files, {} bytes as {}:{tag} ({digest})",
        layers.len(),
        artifact.total(),
        repo.repository()
    );
    Ok(digest)
}

async fn list(registry: &RegistryClient, repo: &RepositoryClient) -> Result<(), BoxError> {
    let mut repositories = registry.list_repositories();
    while let Some(name) = repositories.try_next().await? {
        println!("repository {name}");
    }
    let mut tags = repo.list_tags();
    while let Some(tag) = tags.try_next().await? {
        println!("tag {} → {}", tag.name, tag.digest);
    }
    let mut manifests = repo.list_manifests();
    while let Some(manifest) = manifests.try_next().await? {
        let size = manifest.size.unwrap_or_default();
        let pushed = manifest.created_at.map(|time| time.to_string()).unwrap_or_default();
        println!("manifest {} of {size} bytes, pushed {pushed}", manifest.digest);
    }
    Ok(())
}

async fn properties(repo: &RepositoryClient, tag: &Tag, digest: &Digest) -> Result<(), BoxError> {
    let repository = repo.properties().await?;
    let of_tag = repo.tag_properties(tag).await?;
    let of_manifest = repo.manifest_properties(digest).await?;
    println!(
        "{}: manifests {}, tags {}; {tag} was last moved {}; the manifest has the tags {:?}",
        repository.name,
        repository.manifest_count.unwrap_or_default(),
        repository.tag_count.unwrap_or_default(),
        of_tag.updated_at.map(|time| time.to_string()).unwrap_or_default(),
        of_manifest.tags.iter().map(Tag::as_str).collect::<Vec<_>>(),
    );
    same("digest of the tag", &of_tag.digest, digest)
}

/// Deleting a locked tag must fail, and say why.
async fn expect_locked(repo: &RepositoryClient, tag: &Tag) -> Result<(), BoxError> {
    match repo.delete_tag(tag).await {
        Err(error) if error.kind() == ErrorKind::Disallowed => {
            println!("deleting it gives {:?}: {error}", error.kind());
            Ok(())
        }
        Err(error) => Err(error.into()),
        Ok(outcome) => Err(format!("the locked tag was deleted: {outcome:?}").into()),
    }
}

async fn pull(
    repo: &RepositoryClient,
    blobs: &BlobClient,
    artifact: &Artifact,
    tag: &Tag,
    folder: &std::path::Path,
) -> Result<(), BoxError> {
    let manifest = repo.get_manifest(tag).await?;
    let layers = artifact::layers(&manifest)?;
    same("number of layers", &layers.len(), &artifact.files().len())?;
    let bars = Bars::new("pull", artifact.total());
    for (index, (layer, file)) in layers.iter().zip(artifact.files()).enumerate() {
        same("title of a layer", &layer.title, &file.title)?;
        // Names out of a manifest are never used as paths.
        let target = folder.join(format!("layer-{index:05}"));
        let bar = bars.file(&file.title, file.size);
        let download = blobs.download(&layer.digest).size(layer.size);
        download.on_progress(move |p| bar.set(p.transferred)).to_file(&target).await?;
        compare::files(&file.path, &target).await?;
        bars.done(file.size);
    }
    println!("pulled {} files, every byte is equal", layers.len());
    Ok(())
}

/// Deletes the manifest, then the blobs it named, and looks whether it is gone.
async fn delete(
    registry: &RegistryClient,
    repo: &RepositoryClient,
    blobs: &BlobClient,
    digest: &Digest,
) -> Result<(), BoxError> {
    let manifest = repo.get_manifest(digest).await?;
    same("deletion of the manifest", &repo.delete_manifest(digest).await?.was, &Was::Existed)?;
    let named = artifact::blobs(&manifest)?;
    for blob in &named {
        blobs.delete_blob(blob).await?;
        if blobs.exists(blob).await? {
            return Err(format!("blob {blob} is still there").into());
        }
    }
    let mut repositories = registry.list_repositories();
    while let Some(name) = repositories.try_next().await? {
        println!("repository {name} remains");
    }
    println!("deleted the manifest and {} blobs", named.len());
    Ok(())
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, left: &T, right: &T) -> Result<(), BoxError> {
    if left == right {
        return Ok(());
    }
    Err(format!("{what} differs: {left:?} instead of {right:?}").into())
}
