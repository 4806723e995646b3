//! Typed views of manifests, beside their exact bytes, and builders of new ones.
//!
//! A view is lenient: what a foreign document leaves out or spells otherwise is
//! `None` and named by `missing`, what has another shape is named by `odd`, and fields
//! without a name here are kept. The bytes of a view are its own: only
//! [`Manifest::content`](super::Manifest) has a foreign document's digest.
//!
//! It is not lenient with what readers would read differently: a view of an ambiguous
//! document does not exist.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize};

use super::{
    Descriptor, DescriptorView, MediaType, Platform,
    parts::{FromParts, Notes, Parts, below},
    place::MANIFEST,
    selection,
};
use crate::{Error, ErrorKind, Result, UnknownFields};

/// An image manifest, or an artifact in the form of one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ImageManifest {
    /// 2 in every manifest of today.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema_version: Option<u64>,
    /// The document's own media type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// What kind of artifact it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The config.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<DescriptorView>,
    /// The layers, the lowest first.
    pub layers: Vec<DescriptorView>,
    /// The manifest this one refers to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<DescriptorView>,
    /// The annotations, in the order of their keys.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Parts that this version has no name for.
    #[serde(flatten)]
    pub unknown: UnknownFields,
    #[serde(skip)]
    notes: Notes,
}

/// An index of manifests, one for each platform.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ImageIndex {
    /// 2 in every index of today.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema_version: Option<u64>,
    /// The document's own media type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// What kind of artifact it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The manifests.
    pub manifests: Vec<DescriptorView>,
    /// The manifest this one refers to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<DescriptorView>,
    /// The annotations, in the order of their keys.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Parts that this version has no name for.
    #[serde(flatten)]
    pub unknown: UnknownFields,
    #[serde(skip)]
    notes: Notes,
}

/// An artifact manifest: OCI's and ORAS' form, both withdrawn, both still stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ArtifactManifest {
    /// The document's own media type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// What kind of artifact it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The content.
    pub blobs: Vec<DescriptorView>,
    /// The manifest this one refers to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<DescriptorView>,
    /// The annotations, in the order of their keys.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Parts that this version has no name for.
    #[serde(flatten)]
    pub unknown: UnknownFields,
    #[serde(skip)]
    notes: Notes,
}

macro_rules! common {
    ($name:ident) => {
        impl $name {
            /// Names the manifest this one refers to.
            #[must_use]
            pub fn subject(mut self, subject: Descriptor) -> Self {
                self.subject = Some(subject.into());
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

            /// What has another shape than it should have, as paths: `annotations.key`. Such
            /// a value is kept among `unknown`, or, within a list or a map, left out; an item
            /// of a list of descriptors keeps its place.
            pub fn odd(&self) -> Vec<String> {
                let mut odd = Vec::new();
                self.notes.add_odd("", &mut odd);
                self.add_odd(&mut odd);
                odd
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

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Parts::deserialize(deserializer, &MANIFEST).map(Self::from_parts)
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
            config: Some(config.into()),
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
        self.layers.push(layer.into());
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
        missing.extend(self.notes.absent());
        add_missing("layers", &self.layers, &mut missing);
        missing
    }

    fn add_odd(&self, odd: &mut Vec<String>) {
        add_odd("config", &self.config, odd);
        add_all_odd("layers", &self.layers, odd);
        add_odd("subject", &self.subject, odd);
    }
}

impl FromParts for ImageManifest {
    fn from_parts(mut parts: Parts) -> Self {
        let view = Self {
            schema_version: parts.take("schemaVersion"),
            media_type: parts.take("mediaType"),
            artifact_type: parts.take("artifactType"),
            config: parts.object("config"),
            layers: parts.required_objects("layers"),
            subject: parts.object("subject"),
            annotations: parts.annotations(),
            ..Self::default()
        };
        let (unknown, notes) = parts.finish();
        Self { unknown, notes, ..view }
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
        self.manifests.push(manifest.into());
        self
    }

    /// The manifest that suits a platform best, in containerd's order: the variant that was
    /// asked for, the highest one below it, what the processor runs besides; of equals the
    /// first. Where no entry that names a platform runs, the first that names none.
    ///
    /// An entry without a platform may be an index of its own;
    /// `GetManifest::platform` of acr-registry follows it.
    pub fn select(&self, platform: &Platform) -> Option<&DescriptorView> {
        self.candidates(platform).into_iter().next()
    }

    /// All manifests that may run on a platform, the best first.
    pub fn candidates(&self, wanted: &Platform) -> Vec<&DescriptorView> {
        let ranked = self.manifests.iter().filter_map(|entry| match &entry.platform {
            // `None` is less than all ranks, and shall come last.
            None => Some((true, None, entry)),
            Some(offered) => {
                selection::rank(offered, wanted).map(|rank| (false, Some(rank), entry))
            }
        });
        let mut ranked: Vec<_> = ranked.collect();
        ranked.sort_by_key(|(is_unnamed, rank, _)| (*is_unnamed, *rank));
        ranked.into_iter().map(|(_, _, entry)| entry).collect()
    }

    /// What a valid index has and this one lacks, as paths: `manifests.0.size`.
    pub fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        if self.schema_version.is_none() {
            missing.push("schemaVersion".to_owned());
        }
        missing.extend(self.notes.absent());
        add_missing("manifests", &self.manifests, &mut missing);
        missing
    }

    fn add_odd(&self, odd: &mut Vec<String>) {
        add_all_odd("manifests", &self.manifests, odd);
        add_odd("subject", &self.subject, odd);
    }
}

impl FromParts for ImageIndex {
    fn from_parts(mut parts: Parts) -> Self {
        let view = Self {
            schema_version: parts.take("schemaVersion"),
            media_type: parts.take("mediaType"),
            artifact_type: parts.take("artifactType"),
            manifests: parts.required_objects("manifests"),
            subject: parts.object("subject"),
            annotations: parts.annotations(),
            ..Self::default()
        };
        let (unknown, notes) = parts.finish();
        Self { unknown, notes, ..view }
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
        self.blobs.push(blob.into());
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

    fn add_odd(&self, odd: &mut Vec<String>) {
        add_all_odd("blobs", &self.blobs, odd);
        add_odd("subject", &self.subject, odd);
    }
}

impl FromParts for ArtifactManifest {
    fn from_parts(mut parts: Parts) -> Self {
        let view = Self {
            media_type: parts.take("mediaType"),
            artifact_type: parts.take("artifactType"),
            blobs: parts.objects("blobs"),
            subject: parts.object("subject"),
            annotations: parts.annotations(),
            ..Self::default()
        };
        let (unknown, notes) = parts.finish();
        Self { unknown, notes, ..view }
    }
}

fn add_missing(list: &str, descriptors: &[DescriptorView], missing: &mut Vec<String>) {
    for (index, descriptor) in descriptors.iter().enumerate() {
        descriptor.add_missing(&format!("{list}.{index}"), missing);
    }
}

fn add_odd(field: &str, descriptor: &Option<DescriptorView>, odd: &mut Vec<String>) {
    if let Some(descriptor) = descriptor {
        descriptor.add_odd(field, odd);
    }
}

fn add_all_odd(list: &str, descriptors: &[DescriptorView], odd: &mut Vec<String>) {
    for (index, descriptor) in descriptors.iter().enumerate() {
        descriptor.add_odd(&below(list, &index.to_string()), odd);
    }
}

fn write(document: &impl Serialize) -> Result<Bytes> {
    serde_json::to_vec(document).map(Bytes::from).map_err(|error| {
        Error::new(ErrorKind::InvalidInput, "the manifest cannot be written").with_source(error)
    })
}
