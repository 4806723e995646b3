//! What a manifest says about one of its parts.

use std::collections::BTreeMap;

use acr_core::{Digest, Error, ErrorKind, Result};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::{Architecture, MediaType, OperatingSystem, UnknownFields, null_is_empty};

/// A part of a manifest: a config, a layer, a manifest of an index.
///
/// Read leniently: `digest` is the text as it stands, and a size that is no whole
/// number is none. Nothing is ever fetched from `urls`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Descriptor {
    /// The media type of the part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// Its digest as the document has it; [`Descriptor::digest`] checks it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Its size in bytes as declared: registries accept wrong ones.
    #[serde(default, deserialize_with = "whole_number", skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Where else it is said to be; data, never followed.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// The annotations, in the order of their keys.
    #[serde(
        default,
        deserialize_with = "null_is_no_annotation",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub annotations: BTreeMap<String, String>,
    /// The part itself in Base64, where it is small.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// What kind of artifact it is, in an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// What it runs on, in an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Fields that this version has no name for.
    #[serde(flatten)]
    pub unknown: UnknownFields,
}

/// What an image runs on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Platform {
    /// The architecture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<Architecture>,
    /// The operating system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os: Option<OperatingSystem>,
    /// The version of the operating system, of Windows above all.
    #[serde(rename = "os.version", default, skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// What the operating system must have.
    #[serde(
        rename = "os.features",
        default,
        deserialize_with = "null_is_empty",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub os_features: Vec<String>,
    /// The variant of the architecture, such as `v7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Fields that this version has no name for.
    #[serde(flatten)]
    pub unknown: UnknownFields,
}

impl Descriptor {
    /// Of content whose digest and size in bytes are known.
    pub fn new(media_type: impl Into<MediaType>, digest: &Digest, size: u64) -> Self {
        Self {
            media_type: Some(media_type.into()),
            digest: Some(digest.to_string()),
            size: Some(size),
            ..Self::default()
        }
    }

    /// Of this content.
    pub fn of(media_type: impl Into<MediaType>, content: &[u8]) -> Self {
        let size = u64::try_from(content.len()).unwrap_or(u64::MAX);
        Self::new(media_type, &Digest::sha256(content), size)
    }

    /// Says what it runs on.
    #[must_use]
    pub fn platform(mut self, platform: Platform) -> Self {
        self.platform = Some(platform);
        self
    }

    /// Adds an annotation.
    #[must_use]
    pub fn annotation(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.annotations.insert(key.into(), value.into());
        self
    }

    /// The digest.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Protocol`] when the document has none, or a malformed one.
    pub fn digest(&self) -> Result<Digest> {
        let text = self.digest.as_deref().unwrap_or_default();
        text.parse().map_err(|error| {
            Error::new(ErrorKind::Protocol, "a descriptor without a usable digest")
                .with_source(error)
        })
    }

    pub(super) fn add_missing(&self, path: &str, missing: &mut Vec<String>) {
        let fields = [
            ("mediaType", self.media_type.is_none()),
            ("digest", self.digest.is_none()),
            ("size", self.size.is_none()),
        ];
        let absent = fields.into_iter().filter(|(_, is_absent)| *is_absent);
        missing.extend(absent.map(|(field, _)| format!("{path}.{field}")));
    }
}

impl Platform {
    /// A platform in Go's words: `linux`, `arm64`.
    pub fn new(os: impl Into<OperatingSystem>, architecture: impl Into<Architecture>) -> Self {
        Self { os: Some(os.into()), architecture: Some(architecture.into()), ..Self::default() }
    }

    /// Asks for a variant of the architecture.
    #[must_use]
    pub fn variant(mut self, variant: impl Into<String>) -> Self {
        self.variant = Some(variant.into());
        self
    }

    /// Asks for a version of the operating system, or a part of one: `10.0.20348`.
    #[must_use]
    pub fn os_version(mut self, version: impl Into<String>) -> Self {
        self.os_version = Some(version.into());
        self
    }

    /// Whether an image of this platform is what was asked for.
    pub(super) fn runs_on(&self, wanted: &Self) -> bool {
        let is_named = self.os.is_some() && self.architecture.is_some();
        is_named
            && self.os == wanted.os
            && self.architecture == wanted.architecture
            && wanted.variant.as_ref().is_none_or(|_| self.full_variant() == wanted.full_variant())
            && wanted.os_version.as_ref().is_none_or(|version| self.has_version(version))
    }

    /// Version numbers part by part, so that `10.0.1` is no part of `10.0.17`.
    fn has_version(&self, wanted: &str) -> bool {
        let offered = self.os_version.as_deref().unwrap_or_default();
        offered.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }

    /// `arm64` is `v8` and `arm` is `v7` where nothing is said, as container tools take it.
    fn full_variant(&self) -> &str {
        match (self.variant.as_deref(), self.architecture.as_ref().map(Architecture::as_str)) {
            (Some(variant), _) => variant,
            (None, Some("arm64")) => "v8",
            (None, Some("arm")) => "v7",
            (None, _) => "",
        }
    }
}

pub(super) fn null_is_no_annotation<'de, D>(
    deserializer: D,
) -> Result<BTreeMap<String, String>, D::Error>
where
    D: Deserializer<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

fn whole_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    Ok(Value::deserialize(deserializer)?.as_u64())
}
