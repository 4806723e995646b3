//! A file or folder as an OCI artifact: an empty config and one layer per file.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use acr_blob::BlobInfo;
use acr_core::{Digest, http::BoxError};
use acr_registry::{Descriptor, ImageManifest, Manifest, MediaType};
use bytes::Bytes;
use walkdir::WalkDir;

/// The files of an artifact, in the order of their titles.
#[derive(Debug)]
pub(crate) struct Artifact {
    files: Vec<SourceFile>,
}

#[derive(Debug)]
pub(crate) struct SourceFile {
    pub(crate) path: PathBuf,
    /// The path below the folder that was given.
    pub(crate) title: String,
    pub(crate) size: u64,
}

/// A layer as a manifest names it.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) title: String,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

/// The config of an artifact that has none.
pub(crate) const EMPTY_CONFIG: &str = "{}";

impl Artifact {
    pub(crate) fn find(source: &Path) -> Result<Self, BoxError> {
        let below = if source.is_dir() { source } else { source.parent().unwrap_or(source) };
        let mut files = Vec::new();
        for entry in WalkDir::new(source).sort_by_file_name() {
            // Its error names the path. Links are followed only if the source itself is one.
            let entry = entry?;
            let metadata = entry.metadata()?;
            if !metadata.is_file() {
                // Folders are walked; pipes, sockets and links have no content of their own.
                continue;
            }
            let path = entry.into_path();
            let title = path.strip_prefix(below).unwrap_or(&path).to_string_lossy().into_owned();
            files.push(SourceFile { path, title, size: metadata.len() });
        }
        if files.is_empty() {
            return Err(format!("`{}` has no files", source.display()).into());
        }
        Ok(Self { files })
    }

    pub(crate) fn files(&self) -> &[SourceFile] {
        &self.files
    }

    pub(crate) fn total(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }
}

pub(crate) fn manifest(
    config: &BlobInfo,
    layers: &[(String, BlobInfo)],
) -> Result<Bytes, BoxError> {
    let config = Descriptor::new(MediaType::OCI_EMPTY, &config.digest, config.size);
    let manifest = ImageManifest::new(config).artifact_type("application/vnd.acr-rust.tour");
    let manifest = layers.iter().fold(manifest, |manifest, (title, blob)| {
        let layer = Descriptor::new("application/octet-stream", &blob.digest, blob.size);
        manifest.layer(layer.annotation(TITLE, title))
    });
    Ok(manifest.to_json()?)
}

pub(crate) fn layers(manifest: &Manifest) -> Result<Vec<Layer>, BoxError> {
    let image: ImageManifest = manifest.json()?;
    let layers = image.layers.iter().map(|layer| {
        let mut layer = layer.strict()?;
        let title = layer.annotations.remove(TITLE).unwrap_or_default();
        Ok(Layer { title, digest: layer.digest, size: layer.size })
    });
    layers.collect()
}

/// Every blob a manifest names, once.
pub(crate) fn blobs(manifest: &Manifest) -> Result<BTreeSet<Digest>, BoxError> {
    let image: ImageManifest = manifest.json()?;
    image.layers.iter().chain(&image.config).map(|part| Ok(part.digest()?)).collect()
}

const TITLE: &str = "org.opencontainers.image.title";
