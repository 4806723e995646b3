//! What kind of document a manifest is, and whether that is beyond doubt.
//!
//! A document that one tool reads as an index and another as an image means two
//! things under one digest (CVE-2021-41190). Such a document is refused.

use std::fmt;

use serde::{Deserialize, de::IgnoredAny};

use super::{
    MediaType, lenient_json, place,
    strict_json::{self, NotRead},
};
use crate::{Error, ErrorKind, Result, http::redact::printable};

/// The fields that tell the kinds apart.
#[derive(Default, Deserialize)]
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
    #[serde(default)]
    signatures: Option<IgnoredAny>,
}

/// What a document is for those who read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Image,
    Index,
    Artifact,
    Schema1,
}

/// Refuses a document that readers may read differently: with names that come twice or
/// are taken for others, of several kinds, or whose media type, `mediaType` and fields do
/// not name the same kind. What is no JSON object at all is nobody's manifest and passes.
/// The error has the kind that the one who made the document calls for.
pub(crate) fn refuse_ambiguity(
    content: &[u8],
    kept_as: &MediaType,
    error_kind: ErrorKind,
) -> Result<()> {
    find_ambiguity(content, kept_as).map_err(|why| {
        Error::new(error_kind, format!("the manifest is ambiguous: {why} (see `allow_ambiguous`)"))
    })
}

fn find_ambiguity(content: &[u8], kept_as: &MediaType) -> Result<(), String> {
    let as_others_read;
    let content = match strict_json::check(content, &place::MANIFEST) {
        Ok(()) => content,
        Err(NotRead::Ambiguous(why)) => return Err(why),
        // Not for us, and perhaps for those who will run it.
        Err(NotRead::NotJson) => {
            as_others_read = lenient_json::as_others_read(content);
            if let Err(NotRead::Ambiguous(why)) =
                strict_json::check(&as_others_read, &place::MANIFEST)
            {
                return Err(why);
            }
            &as_others_read
        }
    };
    let shape: Shape = match serde_json::from_slice(content) {
        Ok(shape) => shape,
        Err(error) if error.is_data() && content.trim_ascii_start().starts_with(b"{") => {
            return Err("its `mediaType` is no text".to_owned());
        }
        Err(_) => return Ok(()),
    };
    let kept_kind = kind_of(kept_as.as_str());
    let own = shape.own_media_type();
    let other = own.filter(|own| !own.eq_ignore_ascii_case(kept_as.as_str()));
    if let Some(own) = other.filter(|_| kept_kind.is_some()) {
        let (own, kept_as) = (printable(own), printable(kept_as.as_str()));
        return Err(format!("it says it is `{own}` and is kept as `{kept_as}`"));
    }
    let shown = shape.kinds();
    let (first, second) = (shown.first(), shown.get(1));
    if let (Some(first), Some(second)) = (first, second) {
        return Err(format!("it has the fields of {first} and of {second}"));
    }
    let said = own.and_then(kind_of).or(kept_kind);
    match (first, said) {
        (Some(shown), Some(said)) if *shown != said => {
            Err(format!("it is said to be {said} and has the fields of {shown}"))
        }
        _ => Ok(()),
    }
}

/// What a document is: as it says itself, else as its fields say, else as it is kept.
pub(crate) fn kind(content: &[u8], kept_as: &MediaType) -> Option<Kind> {
    let shape = Shape::read(content);
    let own = shape.own_media_type().and_then(kind_of);
    own.or_else(|| shape.kinds().first().copied()).or_else(|| kind_of(kept_as.as_str()))
}

/// The `mediaType` a document names itself.
pub(crate) fn own_media_type(content: &[u8]) -> Option<MediaType> {
    Shape::read(content).own_media_type().map(MediaType::from)
}

/// The media type to put a document under: its own `mediaType`, else that of its fields,
/// else that of an OCI image manifest.
pub(crate) fn fitting_media_type(content: &[u8]) -> MediaType {
    let shape = Shape::read(content);
    if let Some(own) = shape.own_media_type() {
        return MediaType::from(own);
    }
    match shape.kinds().first() {
        Some(Kind::Index) => MediaType::OCI_INDEX,
        Some(Kind::Artifact) => MediaType::OCI_ARTIFACT,
        Some(Kind::Schema1) if shape.signatures.is_some() => MediaType::DOCKER_SCHEMA1_SIGNED,
        Some(Kind::Schema1) => MediaType::DOCKER_SCHEMA1,
        Some(Kind::Image) | None => MediaType::OCI_MANIFEST,
    }
}

/// The kind that a media type stands for.
pub(crate) fn kind_of(media_type: &str) -> Option<Kind> {
    let is = |known: MediaType| known.as_str().eq_ignore_ascii_case(media_type);
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

impl Shape {
    /// Of what cannot be read, nothing.
    fn read(content: &[u8]) -> Self {
        serde_json::from_slice(content).unwrap_or_else(|_| Self::default())
    }

    /// An empty text names nothing.
    fn own_media_type(&self) -> Option<&str> {
        self.media_type.as_deref().filter(|text| !text.is_empty())
    }

    fn kinds(&self) -> Vec<Kind> {
        let shown = [
            (self.manifests.is_some(), Kind::Index),
            (self.config.is_some() || self.layers.is_some(), Kind::Image),
            (self.blobs.is_some(), Kind::Artifact),
            (self.fs_layers.is_some(), Kind::Schema1),
        ];
        shown.into_iter().filter_map(|(is_shown, kind)| is_shown.then_some(kind)).collect()
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Image => "an image",
            Self::Index => "an index",
            Self::Artifact => "an artifact",
            Self::Schema1 => "a schema 1 image",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_documents_of_one_kind_pass() {
        let (image, index) = (MediaType::OCI_MANIFEST, MediaType::OCI_INDEX);
        let deep = "[".repeat(500) + &"]".repeat(500);
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
            (r#"{"mediaType":"","config":{}}"#, &image, true),
            (r#"{"layers":[],"Layers":[]}"#, &image, false),
            (r#"{"config":{"digest":"a","Digest":"b"}}"#, &image, false),
            (r#"{"annotations":{"a":"1","A":"2"}}"#, &image, true),
            (
                r#"{"mediaType":"application/vnd.oci.image.index.v1+json","layers":[]}"#,
                &MediaType::from("application/json"),
                false,
            ),
            (
                r#"{"config":{}}"#,
                &MediaType::from("Application/vnd.oci.image.Manifest.v1+json"),
                true,
            ),
            (r#"{"blobs":[]}"#, &MediaType::ORAS_ARTIFACT, true),
            (r#"{"fsLayers":[],"layers":[]}"#, &MediaType::DOCKER_SCHEMA1, false),
            (r#"{"manifests":[]}"#, &MediaType::from("application/x"), true),
            // What others take for JSON, and we do not.
            (r#"{"x":"\ud800","layers":[]}"#, &image, true),
            (r#"{"x":"\ud800","layers":[],"Layers":[]}"#, &image, false),
            (r#"{"x":"\udfff","layers":[],"layers":[]}"#, &image, false),
            (r#"{"\udfff":1,"manifests":[],"layers":[]}"#, &image, false),
            (r#"{"x":1e999,"layers":[{"digest":"a","Digest":"b"}]}"#, &image, false),
            (&format!(r#"{{"x":{},"layers":[],"Layers":[]}}"#, deep), &image, false),
            (&format!(r#"{{"x":{}}}"#, deep), &image, true),
            ("not json", &image, true),
            ("[]", &image, true),
        ] {
            let outcome = refuse_ambiguity(document.as_bytes(), kept_as, ErrorKind::Protocol);
            assert_eq!(outcome.is_ok(), passes, "{document}: {outcome:?}");
        }
    }
}
