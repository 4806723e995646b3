//! What kind of document a manifest is, and whether that is beyond doubt.
//!
//! A document that one tool reads as an index and another as an image means two
//! things under one digest (CVE-2021-41190). Such a document is refused.

use acr_core::{Error, ErrorKind, Result};
use serde::{Deserialize, de::IgnoredAny};

use crate::model::MediaType;

/// The fields that tell the kinds apart. A field that occurs twice is an error of serde.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    #[serde(default)]
    media_type: Option<String>,
    #[serde(default)]
    manifests: Option<IgnoredAny>,
    #[serde(default)]
    config: Option<IgnoredAny>,
    #[serde(default)]
    layers: Option<IgnoredAny>,
    #[serde(default)]
    blobs: Option<IgnoredAny>,
    #[serde(default)]
    fs_layers: Option<IgnoredAny>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Image,
    Index,
    Artifact,
    Schema1,
}

/// Refuses a document whose media type, `mediaType` and fields do not name the same kind.
/// What is no JSON object at all is nobody's manifest and passes.
pub(crate) fn refuse_ambiguity(content: &[u8], kept_as: &MediaType) -> Result<()> {
    let shape: Shape = match serde_json::from_slice(content) {
        Ok(shape) => shape,
        Err(error) if error.is_data() && content.trim_ascii_start().starts_with(b"{") => {
            return Err(refuse("a field of the manifest occurs twice or has another shape"));
        }
        Err(_) => return Ok(()),
    };
    let own = shape.media_type.as_deref();
    if own.is_some_and(|own| own != kept_as.as_str() && kind_of(kept_as.as_str()).is_some()) {
        return Err(refuse("the manifest names another media type than the registry"));
    }
    let shown = [
        (shape.manifests.is_some(), Kind::Index),
        (shape.config.is_some() || shape.layers.is_some(), Kind::Image),
        (shape.blobs.is_some(), Kind::Artifact),
        (shape.fs_layers.is_some(), Kind::Schema1),
    ];
    let mut kinds = shown.into_iter().filter_map(|(is_shown, kind)| is_shown.then_some(kind));
    let (first, second) = (kinds.next(), kinds.next());
    if second.is_some() {
        return Err(refuse("the manifest is of two kinds at once"));
    }
    match (first, kind_of(kept_as.as_str())) {
        (Some(shown), Some(said)) if shown != said => {
            Err(refuse("the manifest has not the fields of its media type"))
        }
        _ => Ok(()),
    }
}

/// The `mediaType` a document names itself, else that of an OCI image manifest.
pub(crate) fn own_media_type(content: &[u8]) -> MediaType {
    #[derive(Deserialize)]
    struct Document {
        #[serde(rename = "mediaType")]
        media_type: Option<MediaType>,
    }
    serde_json::from_slice::<Document>(content)
        .ok()
        .and_then(|document| document.media_type)
        .unwrap_or(MediaType::OCI_MANIFEST)
}

fn kind_of(media_type: &str) -> Option<Kind> {
    let is = |known: MediaType| known.as_str() == media_type;
    if is(MediaType::OCI_MANIFEST) || is(MediaType::DOCKER_MANIFEST) {
        Some(Kind::Image)
    } else if is(MediaType::OCI_INDEX) || is(MediaType::DOCKER_LIST) {
        Some(Kind::Index)
    } else if is(MediaType::OCI_ARTIFACT) || is(MediaType::ORAS_ARTIFACT) {
        Some(Kind::Artifact)
    } else if is(MediaType::DOCKER_SCHEMA1) || is(MediaType::DOCKER_SCHEMA1_SIGNED) {
        Some(Kind::Schema1)
    } else {
        None
    }
}

fn refuse(why: &'static str) -> Error {
    Error::new(ErrorKind::Protocol, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_documents_of_one_kind_pass() {
        let (image, index) = (MediaType::OCI_MANIFEST, MediaType::OCI_INDEX);
        for (document, kept_as, passes) in [
            (r#"{"config":{},"layers":[]}"#, &image, true),
            (r#"{"manifests":[]}"#, &index, true),
            (r#"{"manifests":[],"layers":[]}"#, &index, false),
            (r#"{"manifests":[],"config":{}}"#, &image, false),
            (r#"{"manifests":[]}"#, &image, false),
            (r#"{"config":{}}"#, &index, false),
            (r#"{"manifests":[],"manifests":[]}"#, &index, false),
            (r#"{"mediaType":"application/vnd.oci.image.index.v1+json"}"#, &image, false),
            (r#"{"mediaType":7}"#, &image, false),
            (r#"{"blobs":[]}"#, &MediaType::ORAS_ARTIFACT, true),
            (r#"{"fsLayers":[],"layers":[]}"#, &MediaType::DOCKER_SCHEMA1, false),
            (r#"{"manifests":[]}"#, &MediaType::from("application/x"), true),
            ("not json", &image, true),
            ("[]", &image, true),
        ] {
            assert_eq!(
                refuse_ambiguity(document.as_bytes(), kept_as).is_ok(),
                passes,
                "{document}"
            );
        }
    }
}
