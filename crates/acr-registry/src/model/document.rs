//! Typed views of manifests, beside their exact bytes, and builders of new ones.
//!
//! A view is lenient: what a foreign document leaves out or spells otherwise is
//! `None` and named by `missing`, and fields without a name here are kept. The bytes
//! of a view are its own: only [`Manifest::content`](super::Manifest) has a
//! foreign document's digest.

use std::collections::BTreeMap;

use acr_core::{Error, ErrorKind, Result};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Descriptor, MediaType, Platform, UnknownFields, null_is_empty};

/// An image manifest, or an artifact in the form of one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ImageManifest {
    /// 2 in every manifest of today.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_version: Option<u64>,
    /// The document's own media type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// What kind of artifact it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The config.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<Descriptor>,
    /// The layers, the lowest first.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub layers: Vec<Descriptor>,
    /// The manifest this one refers to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// The annotations, in the order of their keys.
    #[serde(
        default,
        deserialize_with = "super::descriptor::null_is_no_annotation",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub annotations: BTreeMap<String, String>,
    /// Fields that this version has no name for.
    #[serde(flatten)]
    pub unknown: UnknownFields,
}

/// An index of manifests, one for each platform.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ImageIndex {
    /// 2 in every index of today.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_version: Option<u64>,
    /// The document's own media type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// What kind of artifact it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The manifests.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub manifests: Vec<Descriptor>,
    /// The manifest this one refers to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// The annotations, in the order of their keys.
    #[serde(
        default,
        deserialize_with = "super::descriptor::null_is_no_annotation",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub annotations: BTreeMap<String, String>,
    /// Fields that this version has no name for.
    #[serde(flatten)]
    pub unknown: UnknownFields,
}

/// An artifact manifest: OCI's and ORAS' form, both withdrawn, both still stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ArtifactManifest {
    /// The document's own media type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// What kind of artifact it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The content.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub blobs: Vec<Descriptor>,
    /// The manifest this one refers to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// The annotations, in the order of their keys.
    #[serde(
        default,
        deserialize_with = "super::descriptor::null_is_no_annotation",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub annotations: BTreeMap<String, String>,
    /// Fields that this version has no name for.
    #[serde(flatten)]
    pub unknown: UnknownFields,
}

macro_rules! common {
    ($name:ident) => {
        impl $name {
            /// Names the manifest this one refers to.
            #[must_use]
            pub fn subject(mut self, subject: Descriptor) -> Self {
                self.subject = Some(subject);
                self
            }

            /// Says what kind of artifact it is.
            #[must_use]
            pub fn artifact_type(mut self, artifact_type: impl Into<String>) -> Self {
                self.artifact_type = Some(artifact_type.into());
                self
            }

            /// Adds an annotation.
            #[must_use]
            pub fn annotation(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
                self.annotations.insert(key.into(), value.into());
                self
            }

            /// The bytes to put: compact, and the same for the same value every time.
            ///
            /// # Errors
            ///
            /// None that is known; [`ErrorKind::InvalidInput`] if it cannot be written.
            pub fn to_json(&self) -> Result<Bytes> {
                write(self)
            }
        }
    };
}

common!(ImageManifest);
common!(ImageIndex);
common!(ArtifactManifest);

impl ImageManifest {
    /// An OCI image manifest with this config.
    pub fn new(config: Descriptor) -> Self {
        Self {
            schema_version: Some(2),
            media_type: Some(MediaType::OCI_MANIFEST),
            config: Some(config),
            ..Self::default()
        }
    }

    /// An artifact in the form of an image manifest, as OCI 1.1 has it: its config is the
    /// empty document `{}`, which must be uploaded like any blob.
    pub fn artifact(artifact_type: impl Into<String>) -> Self {
        Self::new(Descriptor::of(MediaType::OCI_EMPTY, b"{}")).artifact_type(artifact_type)
    }

    /// Adds a layer on top.
    #[must_use]
    pub fn layer(mut self, layer: Descriptor) -> Self {
        self.layers.push(layer);
        self
    }

    /// What a valid manifest has and this one lacks, as paths: `layers.0.size`.
    pub fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        if self.schema_version.is_none() {
            missing.push("schemaVersion".to_owned());
        }
        match &self.config {
            None => missing.push("config".to_owned()),
            Some(config) => config.add_missing("config", &mut missing),
        }
        add_missing("layers", &self.layers, &mut missing);
        missing
    }
}

impl ImageIndex {
    /// An OCI index without manifests.
    pub fn new() -> Self {
        Self { schema_version: Some(2), media_type: Some(MediaType::OCI_INDEX), ..Self::default() }
    }

    /// Adds a manifest.
    #[must_use]
    pub fn manifest(mut self, manifest: Descriptor) -> Self {
        self.manifests.push(manifest);
        self
    }

    /// The first manifest that runs on a platform. Attestations and other entries
    /// without a platform of their own are never chosen.
    pub fn select(&self, platform: &Platform) -> Option<&Descriptor> {
        let fits = |entry: &&Descriptor| {
            entry.platform.as_ref().is_some_and(|offered| offered.runs_on(platform))
        };
        self.manifests.iter().find(fits)
    }

    /// What a valid index has and this one lacks, as paths: `manifests.0.size`.
    pub fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        if self.schema_version.is_none() {
            missing.push("schemaVersion".to_owned());
        }
        add_missing("manifests", &self.manifests, &mut missing);
        missing
    }
}

impl ArtifactManifest {
    /// An OCI artifact manifest. For new artifacts prefer [`ImageManifest::artifact`].
    pub fn new(artifact_type: impl Into<String>) -> Self {
        Self {
            media_type: Some(MediaType::OCI_ARTIFACT),
            artifact_type: Some(artifact_type.into()),
            ..Self::default()
        }
    }

    /// Adds content.
    #[must_use]
    pub fn blob(mut self, blob: Descriptor) -> Self {
        self.blobs.push(blob);
        self
    }

    /// What a valid artifact has and this one lacks, as paths: `blobs.0.size`.
    pub fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        if self.artifact_type.is_none() {
            missing.push("artifactType".to_owned());
        }
        add_missing("blobs", &self.blobs, &mut missing);
        missing
    }
}

fn add_missing(list: &str, descriptors: &[Descriptor], missing: &mut Vec<String>) {
    for (index, descriptor) in descriptors.iter().enumerate() {
        descriptor.add_missing(&format!("{list}.{index}"), missing);
    }
}

fn write(document: &impl Serialize) -> Result<Bytes> {
    serde_json::to_vec(document).map(Bytes::from).map_err(|error| {
        Error::new(ErrorKind::InvalidInput, "the manifest cannot be written").with_source(error)
    })
}
