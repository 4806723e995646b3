//! A file or folder as an OCI artifact: an empty config and one layer per file.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use acr_blob::BlobInfo;
use acr_core::{BoxError, Digest};
use acr_registry::{Manifest, MediaType};
use serde::Deserialize;
use serde_json::{Value, json};

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
}

/// The config of an artifact that has none.
pub(crate) const EMPTY_CONFIG: &str = "{}";

impl Artifact {
    pub(crate) fn find(source: &Path) -> io::Result<Self> {
        let mut files = Vec::new();
        let below = if source.is_dir() {
            source
        } else {
            source.parent().unwrap_or(source)
        };
        collect(source, below, &mut files)?;
        files.sort_by(|a, b| a.title.cmp(&b.title));
        if files.is_empty() {
            let text = format!("`{}` has no files", source.display());
            return Err(io::Error::new(io::ErrorKind::NotFound, text));
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

fn collect(path: &Path, below: &Path, files: &mut Vec<SourceFile>) -> io::Result<()> {
    if !path.is_dir() {
        let title = path
            .strip_prefix(below)
            .unwrap_or(path)
            .to_string_lossy()
            .into_owned();
        let size = fs::metadata(path)?.len();
        files.push(SourceFile {
            path: path.to_owned(),
            title,
            size,
        });
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        collect(&entry?.path(), below, files)?;
    }
    Ok(())
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
        Layer {
            title: title.unwrap_or_default(),
            digest: layer.digest,
        }
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
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}
