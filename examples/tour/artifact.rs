//! A file or folder as an OCI artifact: an empty config and one layer per file.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use acr_blob::BlobInfo;
use acr_core::{BoxError, Digest};
use acr_registry::{Manifest, MediaType};
use serde::Deserialize;
use serde_json::{Value, json};
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
) -> Result<Vec<u8>, BoxError> {
    let layers: Vec<Value> = layers
        .iter()
        .map(|(title, blob)| {
            json!({
                "mediaType": "application/octet-stream",
                "digest": blob.digest,
                "size": blob.size,
                "annotations": { "org.opencontainers.image.title": title },
            })
        })
        .collect();
    let document = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST,
        "artifactType": "application/vnd.acr-rust.tour",
        "config": { "mediaType": MediaType::OCI_EMPTY, "digest": config.digest, "size": config.size },
        "layers": layers,
    });
    Ok(serde_json::to_vec(&document)?)
}

pub(crate) fn layers(manifest: &Manifest) -> Result<Vec<Layer>, BoxError> {
    let document: Document = manifest.json()?;
    let layers = document.layers.into_iter().map(|mut layer| {
        let title = layer.annotations.remove("org.opencontainers.image.title");
        Layer { title: title.unwrap_or_default(), digest: layer.digest, size: layer.size }
    });
    Ok(layers.collect())
}

/// Every blob a manifest names, once.
pub(crate) fn blobs(manifest: &Manifest) -> Result<BTreeSet<Digest>, BoxError> {
    let document: Document = manifest.json()?;
    let parts = document.layers.into_iter().chain([document.config]);
    Ok(parts.map(|part| part.digest).collect())
}

/// The parts of a manifest that the tour reads.
#[derive(Deserialize)]
struct Document {
    config: Descriptor,
    layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: Digest,
    size: u64,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}
