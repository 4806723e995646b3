//! What a manifest of somebody else says about one of its parts.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use super::{
    MediaType, Platform,
    parts::{FromParts, Notes, Parts, below},
    place::DESCRIPTOR,
};
use crate::{
    Digest, Error, ErrorKind, Result, UnknownFields, http::redact::printable,
    value::ParseDigestError,
};

/// A part of a manifest as it was found: a config, a layer, a manifest of an index.
///
/// Read leniently, where [`Descriptor`](super::Descriptor) is strict: `digest` is the text as it stands, and a value of another shape is
/// named by [`DescriptorView::odd`] and kept among `unknown`, or, within a list or a map, left
/// out. Nothing is ever fetched from `urls`.
///
/// ```
/// use acr_core::oci::DescriptorView;
///
/// let part: DescriptorView = serde_json::from_str(r#"{"digest":"sha256:ab","size":"many"}"#)?;
/// assert_eq!(part.size, None);
/// assert_eq!(part.odd(), ["size"]);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct DescriptorView {
    /// The media type of the part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// Its digest as the document has it; [`DescriptorView::digest`] checks it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Its size in bytes as declared: registries accept wrong ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Where else it is said to be; data, never followed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// The annotations, in the order of their keys.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// The part itself in Base64, where it is small.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// What kind of artifact it is, in an index.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// What it runs on, in an index.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Parts that this version has no name for.
    #[serde(flatten)]
    pub unknown: UnknownFields,
    #[serde(skip)]
    pub(super) notes: Notes,
}

impl DescriptorView {
    /// The digest.
    ///
    /// ```
    /// use acr_core::{ErrorKind, oci::DescriptorView};
    ///
    /// assert_eq!(DescriptorView::default().digest().unwrap_err().kind(), ErrorKind::Protocol);
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Protocol`] when the document has none, or a malformed one.
    pub fn digest(&self) -> Result<Digest> {
        let text = self.digest.as_deref().unwrap_or_default();
        text.parse().map_err(|error: ParseDigestError| {
            let text = match &self.digest {
                Some(text) => format!("a descriptor's digest `{}` is none", printable(text)),
                None => "a descriptor without a digest".to_owned(),
            };
            Error::new(ErrorKind::Protocol, text).with_source(error)
        })
    }

    /// What has another shape than it should have, as paths: `platform.os.version`.
    ///
    /// ```
    /// use acr_core::oci::DescriptorView;
    ///
    /// let part: DescriptorView = serde_json::from_str(r#"{"annotations":{"key":null}}"#)?;
    /// assert_eq!(part.odd(), ["annotations.key"]);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    pub fn odd(&self) -> Vec<String> {
        let mut odd = Vec::new();
        self.add_odd("", &mut odd);
        odd
    }

    pub(super) fn add_odd(&self, path: &str, odd: &mut Vec<String>) {
        self.notes.add_odd(path, odd);
        if let Some(platform) = &self.platform {
            platform.notes.add_odd(&below(path, "platform"), odd);
        }
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

impl FromParts for DescriptorView {
    fn from_parts(mut parts: Parts) -> Self {
        let descriptor = Self {
            media_type: parts.take("mediaType"),
            digest: parts.take("digest"),
            size: parts.take("size"),
            urls: parts.texts("urls"),
            annotations: parts.annotations(),
            data: parts.take("data"),
            artifact_type: parts.take("artifactType"),
            platform: parts.object("platform"),
            ..Self::default()
        };
        let (unknown, notes) = parts.finish();
        Self { unknown, notes, ..descriptor }
    }
}

impl<'de> Deserialize<'de> for DescriptorView {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Parts::deserialize(deserializer, &DESCRIPTOR).map(Self::from_parts)
    }
}
