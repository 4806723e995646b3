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
use serde::{Deserialize, Deserializer, Serialize, de};

use super::{
    Descriptor, DescriptorView, MediaType, Platform,
    parts::{FromParts, Notes, Parts, below},
    place::MANIFEST,
    selection,
};
use crate::{Error, ErrorKind, Result, UnknownFields};

/// An image manifest, or an artifact in the form of one.
///
/// ```
/// use acr_core::oci::{Descriptor, ImageManifest, MediaType};
///
/// let image = ImageManifest::new(Descriptor::of(MediaType::OCI_CONFIG, b"{}"))
///     .layer(Descriptor::of("application/vnd.oci.image.layer.v1.tar", b"content"))
///     .annotation("org.opencontainers.image.version", "1.0");
/// assert!(image.missing().is_empty());
/// assert_eq!(image.to_json()?, image.clone().to_json()?);
/// # Ok::<(), acr_core::Error>(())
/// ```
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
///
/// ```
/// use acr_core::oci::{Descriptor, ImageIndex, MediaType, Platform};
///
/// # let image = b"{}";
/// let entry = Descriptor::of(MediaType::OCI_MANIFEST, image).platform(Platform::new("linux", "amd64"));
/// let index = ImageIndex::new().manifest(entry).annotation("org.example.build", "4711");
/// assert_eq!(index.manifests.len(), 1);
/// ```
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
///
/// ```
/// use acr_core::oci::{ArtifactManifest, Descriptor};
///
/// let text = Descriptor::of("text/plain", b"hello");
/// let artifact = ArtifactManifest::new("application/vnd.example.note").blob(text);
/// assert!(artifact.missing().is_empty() && artifact.odd().is_empty());
/// ```
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
                self.parts().for_each(|(path, part)| part.add_odd(&path, &mut odd));
                odd
            }

            /// The bytes to put: compact, and the same for the same value every time.
            ///
            /// # Errors
            ///
            /// [`ErrorKind::InvalidInput`] for what would be read by nobody: a part with an empty
            /// media type or a size beyond 63 bits, and a field that comes twice, since it has a
            /// name here and is among `unknown` too.
            pub fn to_json(&self) -> Result<Bytes> {
                self.parts().try_for_each(|(path, part)| part.refuse_to_write(&path))?;
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
    ///
    /// ```
    /// use acr_core::oci::{Descriptor, ImageManifest, MediaType};
    ///
    /// let image = ImageManifest::new(Descriptor::of(MediaType::OCI_CONFIG, b"{}"));
    /// assert!(image.layers.is_empty());
    /// ```
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
    ///
    /// ```
    /// use acr_core::oci::{Descriptor, ImageManifest};
    ///
    /// let model = Descriptor::of("application/octet-stream", b"weights");
    /// let artifact = ImageManifest::artifact("application/vnd.example.model").layer(model);
    /// assert_eq!(artifact.artifact_type.as_deref(), Some("application/vnd.example.model"));
    /// ```
    pub fn artifact(artifact_type: impl Into<String>) -> Self {
        Self::new(Descriptor::of(MediaType::OCI_EMPTY, b"{}")).artifact_type(artifact_type)
    }

    /// Adds a layer on top.
    ///
    /// ```
    /// use acr_core::oci::{Descriptor, ImageManifest};
    ///
    /// let base = Descriptor::of("application/vnd.oci.image.layer.v1.tar", b"base");
    /// let image = ImageManifest::artifact("application/vnd.example.app").layer(base);
    /// assert_eq!(image.layers.len(), 1);
    /// ```
    #[must_use]
    pub fn layer(mut self, layer: Descriptor) -> Self {
        self.layers.push(layer.into());
        self
    }

    /// What a valid manifest has and this one lacks, as paths: `layers.0.size`.
    ///
    /// ```
    /// use acr_core::oci::ImageManifest;
    ///
    /// assert!(ImageManifest::default().missing().contains(&"config".to_owned()));
    /// ```
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

    fn parts(&self) -> impl Iterator<Item = (String, &DescriptorView)> {
        let above = one("config", &self.config).chain(all("layers", &self.layers));
        above.chain(one("subject", &self.subject))
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
    ///
    /// ```
    /// use acr_core::oci::ImageIndex;
    ///
    /// assert!(ImageIndex::new().manifests.is_empty());
    /// ```
    pub fn new() -> Self {
        Self { schema_version: Some(2), media_type: Some(MediaType::OCI_INDEX), ..Self::default() }
    }

    /// Adds a manifest.
    ///
    /// ```
    /// use acr_core::oci::{Descriptor, ImageIndex, MediaType};
    ///
    /// let index = ImageIndex::new().manifest(Descriptor::of(MediaType::OCI_MANIFEST, b"{}"));
    /// assert_eq!(index.manifests.len(), 1);
    /// ```
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
    ///
    /// ```
    /// use acr_core::oci::{Descriptor, ImageIndex, MediaType, Platform};
    ///
    /// let on = |arch| Descriptor::of(MediaType::OCI_MANIFEST, b"{}").platform(Platform::new("linux", arch));
    /// let index = ImageIndex::new().manifest(on("arm64")).manifest(on("amd64"));
    /// let image = index.select(&Platform::new("linux", "amd64").variant("v3")).expect("v1 runs on it");
    /// assert_eq!(image.platform.as_ref().map(ToString::to_string).as_deref(), Some("linux/amd64"));
    /// ```
    pub fn select(&self, platform: &Platform) -> Option<&DescriptorView> {
        self.candidates(platform).into_iter().next()
    }

    /// All manifests that may run on a platform, the best first.
    ///
    /// ```
    /// use acr_core::oci::{Descriptor, ImageIndex, MediaType, Platform};
    ///
    /// let on = |arch| Descriptor::of(MediaType::OCI_MANIFEST, b"{}").platform(Platform::new("linux", arch));
    /// let index = ImageIndex::new().manifest(on("386")).manifest(on("amd64"));
    /// assert_eq!(index.candidates(&Platform::new("linux", "amd64")).len(), 2);
    /// ```
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
    ///
    /// ```
    /// use acr_core::oci::ImageIndex;
    ///
    /// assert!(ImageIndex::new().missing().is_empty());
    /// assert!(!ImageIndex::default().missing().is_empty());
    /// ```
    pub fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        if self.schema_version.is_none() {
            missing.push("schemaVersion".to_owned());
        }
        missing.extend(self.notes.absent());
        add_missing("manifests", &self.manifests, &mut missing);
        missing
    }

    fn parts(&self) -> impl Iterator<Item = (String, &DescriptorView)> {
        all("manifests", &self.manifests).chain(one("subject", &self.subject))
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
    ///
    /// ```
    /// use acr_core::oci::{ArtifactManifest, MediaType};
    ///
    /// let artifact = ArtifactManifest::new("application/vnd.example.note");
    /// assert_eq!(artifact.media_type, Some(MediaType::OCI_ARTIFACT));
    /// ```
    pub fn new(artifact_type: impl Into<String>) -> Self {
        Self {
            media_type: Some(MediaType::OCI_ARTIFACT),
            artifact_type: Some(artifact_type.into()),
            ..Self::default()
        }
    }

    /// Adds content.
    ///
    /// ```
    /// use acr_core::oci::{ArtifactManifest, Descriptor};
    ///
    /// let note = Descriptor::of("text/plain", b"hello");
    /// assert_eq!(ArtifactManifest::new("application/vnd.example.note").blob(note).blobs.len(), 1);
    /// ```
    #[must_use]
    pub fn blob(mut self, blob: Descriptor) -> Self {
        self.blobs.push(blob.into());
        self
    }

    /// What a valid artifact has and this one lacks, as paths: `blobs.0.size`.
    ///
    /// ```
    /// use acr_core::oci::ArtifactManifest;
    ///
    /// assert_eq!(ArtifactManifest::default().missing(), ["artifactType"]);
    /// ```
    pub fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        if self.artifact_type.is_none() {
            missing.push("artifactType".to_owned());
        }
        add_missing("blobs", &self.blobs, &mut missing);
        missing
    }

    fn parts(&self) -> impl Iterator<Item = (String, &DescriptorView)> {
        all("blobs", &self.blobs).chain(one("subject", &self.subject))
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

/// A part and its path.
fn one<'a>(
    field: &'static str,
    part: &'a Option<DescriptorView>,
) -> impl Iterator<Item = (String, &'a DescriptorView)> {
    part.iter().map(move |part| (field.to_owned(), part))
}

fn all<'a>(
    list: &'static str,
    parts: &'a [DescriptorView],
) -> impl Iterator<Item = (String, &'a DescriptorView)> {
    parts.iter().enumerate().map(move |(index, part)| (below(list, &index.to_string()), part))
}

fn write<T: Serialize + de::DeserializeOwned>(document: &T) -> Result<Bytes> {
    let refused = |error: serde_json::Error| {
        Error::new(ErrorKind::InvalidInput, "the manifest cannot be written").with_source(error)
    };
    let bytes = serde_json::to_vec(document).map_err(refused)?;
    // A field may be there twice, and then no view of it exists.
    serde_json::from_slice::<T>(&bytes).map_err(refused)?;
    Ok(bytes.into())
}
