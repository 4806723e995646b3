//! Reads manifests: their kind, what they refer to, and what the registry tells about them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a manifest is, by its media type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Image,
    Index,
    Artifact,
}

/// The parts of a manifest that matter to the registry.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Parsed {
    schema_version: Option<u64>,
    pub(crate) media_type: Option<String>,
    pub(crate) artifact_type: Option<String>,
    pub(crate) config: Option<Descriptor>,
    pub(crate) layers: Option<Vec<Descriptor>>,
    pub(crate) manifests: Option<Vec<Descriptor>>,
    pub(crate) blobs: Option<Vec<Descriptor>>,
    pub(crate) subject: Option<Descriptor>,
    pub(crate) annotations: Option<BTreeMap<String, String>>,
}

/// A reference to content.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    #[serde(default)]
    pub(crate) media_type: String,
    pub(crate) digest: String,
    #[serde(default)]
    pub(crate) size: u64,
    #[serde(default)]
    urls: Vec<String>,
    #[serde(default)]
    pub(crate) platform: Platform,
    pub(crate) annotations: Option<BTreeMap<String, String>>,
}

/// What an image runs on; also the head of an image's config.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Platform {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) architecture: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) os: Option<String>,
}

/// The kind of a media type; `None` for types the registry does not take.
pub(crate) fn form(media_type: &str) -> Option<Form> {
    match media_type {
        OCI_MANIFEST | DOCKER_MANIFEST => Some(Form::Image),
        OCI_INDEX | DOCKER_LIST => Some(Form::Index),
        OCI_ARTIFACT | ORAS_ARTIFACT => Some(Form::Artifact),
        _ => None,
    }
}

/// Reads a manifest sent as `media_type`; `None` unless the two fit. A lenient reader takes a
/// list that is not there for an empty one.
pub(crate) fn parse(media_type: &str, bytes: &[u8], is_lenient: bool) -> Option<(Form, Parsed)> {
    let form = form(media_type)?;
    let parsed: Parsed = serde_json::from_slice(bytes).ok()?;
    // Docker's types must say what they are; OCI's may leave it out.
    let named = match &parsed.media_type {
        Some(own) => own == media_type,
        None => matches!(media_type, OCI_MANIFEST | OCI_INDEX),
    };
    let shaped = match form {
        Form::Image => {
            parsed.schema_version == Some(2)
                && parsed.config.is_some()
                && (parsed.layers.is_some() || is_lenient)
                && parsed.manifests.is_none()
        }
        Form::Index => {
            parsed.schema_version == Some(2)
                && (parsed.manifests.is_some() || is_lenient)
                && parsed.config.is_none()
                && parsed.layers.is_none()
        }
        Form::Artifact => parsed.config.is_none() && parsed.manifests.is_none(),
    };
    (named && shaped).then_some((form, parsed))
}

impl Parsed {
    /// The blobs that must be there: foreign layers live elsewhere.
    pub(crate) fn required_blobs(&self) -> impl Iterator<Item = &Descriptor> {
        let layers = self.layers.iter().chain(&self.blobs).flatten();
        self.config.iter().chain(layers.filter(|layer| layer.urls.is_empty()))
    }

    /// Config and layers together, as declared.
    pub(crate) fn image_size(&self) -> u64 {
        let parts = self.config.iter().chain(self.layers.iter().flatten());
        parts.fold(0, |sum: u64, part| sum.saturating_add(part.size))
    }

    /// The artifact type of a referrer: its own, or that of its config.
    pub(crate) fn effective_artifact_type(&self) -> Option<&str> {
        let config = || self.config.as_ref().map(|config| config.media_type.as_str());
        self.artifact_type.as_deref().filter(|text| !text.is_empty()).or_else(config)
    }
}

/// Whether a config of this type tells architecture and operating system.
pub(crate) fn is_image_config(media_type: &str) -> bool {
    matches!(media_type, OCI_CONFIG | DOCKER_CONFIG)
}

pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const OCI_ARTIFACT: &str = "application/vnd.oci.artifact.manifest.v1+json";
pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub(crate) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const ORAS_ARTIFACT: &str = "application/vnd.cncf.oras.artifact.manifest.v1+json";
const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";

/// What the registry takes.
pub(crate) const MAX_MANIFEST: usize = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGE: &str = r#"{"schemaVersion":2,"config":{"mediaType":"c","digest":"sha256:a","size":2},"layers":[{"mediaType":"l","digest":"sha256:b","size":11},{"mediaType":"f","digest":"sha256:f","size":5,"urls":["https://x"]}]}"#;

    #[test]
    fn the_type_must_fit_the_body() {
        assert!(parse(OCI_MANIFEST, IMAGE.as_bytes(), false).is_some());
        assert!(
            parse(DOCKER_MANIFEST, IMAGE.as_bytes(), false).is_none(),
            "docker must name its type"
        );
        assert!(parse(OCI_INDEX, IMAGE.as_bytes(), false).is_none());
        let named = IMAGE.replacen('{', &format!("{{\"mediaType\":\"{DOCKER_MANIFEST}\","), 1);
        assert!(parse(DOCKER_MANIFEST, named.as_bytes(), false).is_some());
        assert!(parse(OCI_MANIFEST, named.as_bytes(), false).is_none());
        assert!(parse("application/json", IMAGE.as_bytes(), true).is_none());
        assert!(parse(OCI_MANIFEST, b"{", false).is_none());
        assert!(parse(OCI_INDEX, br#"{"schemaVersion":2,"manifests":[]}"#, false).is_some());
        let bare = br#"{"schemaVersion":2,"manifests":null}"#;
        assert!(parse(OCI_INDEX, bare, false).is_none());
        assert!(parse(OCI_INDEX, bare, true).is_some(), "null is no list to the strict only");
    }

    #[test]
    fn foreign_layers_are_not_required_but_counted() {
        let (_, parsed) = parse(OCI_MANIFEST, IMAGE.as_bytes(), false).unwrap();
        let required: Vec<_> = parsed.required_blobs().map(|d| d.digest.as_str()).collect();
        assert_eq!(required, ["sha256:a", "sha256:b"]);
        assert_eq!(parsed.image_size(), 18);
        assert_eq!(parsed.effective_artifact_type(), Some("c"));
    }
}
