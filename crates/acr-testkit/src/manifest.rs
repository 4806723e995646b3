//! Reads manifests: their kind, what they refer to, and what the registry tells about them.

use std::{borrow::Cow, collections::BTreeMap};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, de::IgnoredAny};
use serde_json::Value;

use crate::reference::is_malformed;

/// What a manifest is, by its media type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Image,
    Index,
    Artifact,
    /// Docker's oldest, signed or not.
    Schema1,
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
    fs_layers: Option<IgnoredAny>,
    pub(crate) subject: Option<Descriptor>,
    #[serde(default, deserialize_with = "annotations")]
    pub(crate) annotations: Option<BTreeMap<String, String>>,
}

/// A reference to content. What is `null` is taken for absent, as registries written in Go do.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) media_type: String,
    pub(crate) digest: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) size: u64,
    #[serde(default, deserialize_with = "or_default")]
    urls: Vec<Option<String>>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) platform: Platform,
    #[serde(default, deserialize_with = "annotations")]
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
        SCHEMA1 | SCHEMA1_SIGNED => Some(Form::Schema1),
        _ => None,
    }
}

/// Reads a manifest sent as `media_type`, or tells why the two do not fit. A lenient reader takes
/// a list that is not there for an empty one.
pub(crate) fn parse(
    media_type: &str,
    bytes: &[u8],
    is_lenient: bool,
) -> Result<(Form, Parsed), String> {
    let form = form(media_type)
        .ok_or_else(|| format!("the content type `{media_type}` is of no manifest"))?;
    let parsed: Parsed = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    // Docker's types must say what they are; OCI's may leave it out, or empty.
    match parsed.media_type.as_deref().unwrap_or_default() {
        "" if matches!(media_type, OCI_MANIFEST | OCI_INDEX | SCHEMA1 | SCHEMA1_SIGNED) => {}
        "" => return Err(format!("`mediaType` is missing, which `{media_type}` needs")),
        own if own == media_type => {}
        own => return Err(format!("`mediaType` is `{own}`, the content type `{media_type}`")),
    }
    parsed.check_shape(form, is_lenient)?;
    if media_type == SCHEMA1_SIGNED && signed_part(bytes).is_none() {
        return Err("it has no signature that says what is signed".to_owned());
    }
    Ok((form, parsed))
}

/// The bytes that a manifest's digest is of: of a signed one, what is signed.
pub(crate) fn hashed(form: Form, bytes: &[u8]) -> Cow<'_, [u8]> {
    let signed = if form == Form::Schema1 { signed_part(bytes) } else { None };
    signed.map_or(Cow::Borrowed(bytes), Cow::Owned)
}

/// Each signature says in its protected header where the signed document breaks off for the
/// signatures, and how it ended before they were put in.
fn signed_part(bytes: &[u8]) -> Option<Vec<u8>> {
    let document: Value = serde_json::from_slice(bytes).ok()?;
    let protected = document.pointer("/signatures/0/protected")?.as_str()?;
    let protected: Value = serde_json::from_slice(&base64url(protected)?).ok()?;
    let length = usize::try_from(protected.get("formatLength")?.as_u64()?).ok()?;
    let tail = base64url(protected.get("formatTail")?.as_str()?)?;
    Some([bytes.get(..length)?, &tail].concat())
}

fn base64url(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

impl Parsed {
    fn check_shape(&self, form: Form, is_lenient: bool) -> Result<(), String> {
        let (config, layers) = (self.config.is_some(), self.layers.is_some());
        let manifests = self.manifests.is_some();
        let mut needed = Vec::new();
        let mut foreign = Vec::new();
        match form {
            Form::Image => {
                needed.extend([("config", config), ("layers", layers || is_lenient)]);
                foreign.push(("manifests", manifests));
            }
            Form::Index => {
                needed.push(("manifests", manifests || is_lenient));
                foreign.extend([("config", config), ("layers", layers)]);
            }
            Form::Artifact => foreign.extend([("config", config), ("manifests", manifests)]),
            Form::Schema1 if !is_lenient => return Err("schema 1 is not taken".to_owned()),
            Form::Schema1 => needed.push(("fsLayers", self.fs_layers.is_some())),
        }
        let version = if form == Form::Schema1 { 1 } else { 2 };
        if form != Form::Artifact && self.schema_version != Some(version) {
            return Err(format!("`schemaVersion` is not {version}"));
        }
        if let Some((key, _)) = needed.iter().find(|(_, is_there)| !is_there) {
            return Err(format!("`{key}` is missing"));
        }
        if let Some((key, _)) = foreign.iter().find(|(_, is_there)| *is_there) {
            return Err(format!("`{key}` does not belong here"));
        }
        // Elsewhere what is named must be there, so that its digest is right.
        let mut named = self.descriptors().filter(|_| is_lenient);
        match named.find(|descriptor| is_malformed(&descriptor.digest)) {
            Some(Descriptor { digest, .. }) => Err(format!("`{digest}` is no digest")),
            None => Ok(()),
        }
    }

    fn descriptors(&self) -> impl Iterator<Item = &Descriptor> {
        let lists = self.layers.iter().chain(&self.manifests).chain(&self.blobs);
        self.config.iter().chain(&self.subject).chain(lists.flatten())
    }

    /// What the registry still needs once it knows that all parts are there.
    pub(crate) fn kept(self) -> Self {
        Self { layers: None, blobs: None, ..self }
    }

    /// How many bytes it takes in memory, about.
    pub(crate) fn weight(&self) -> usize {
        let own = [&self.config, &self.subject].into_iter().flatten();
        let all = own.chain(self.manifests.iter().flatten());
        let descriptors = all.fold(0, |sum: usize, descriptor| sum + descriptor.weight());
        let kind = self.artifact_type.as_ref().map_or(0, String::len);
        descriptors + kind + of_annotations(self.annotations.as_ref())
    }

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

impl Descriptor {
    fn weight(&self) -> usize {
        let Platform { architecture, os } = &self.platform;
        let texts = [architecture, os].into_iter().chain(&self.urls).flatten();
        let texts = texts.fold(0, |sum: usize, text| sum + text.len() + size_of::<String>());
        let own = size_of::<Self>() + self.media_type.len() + self.digest.len();
        own + texts + of_annotations(self.annotations.as_ref())
    }
}

fn of_annotations(annotations: Option<&BTreeMap<String, String>>) -> usize {
    let pairs = annotations.into_iter().flatten();
    pairs.fold(0, |sum, (key, value)| sum + key.len() + value.len() + 3 * size_of::<String>())
}

/// The value, or the default in place of `null`.
fn or_default<'de, D: Deserializer<'de>, T>(deserializer: D) -> Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Annotations, with an empty text in place of `null`.
fn annotations<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<BTreeMap<String, String>>, D::Error> {
    let all = Option::<BTreeMap<String, Option<String>>>::deserialize(deserializer)?;
    let filled = |all: BTreeMap<_, Option<String>>| {
        all.into_iter().map(|(key, value)| (key, value.unwrap_or_default())).collect()
    };
    Ok(all.map(filled))
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
const SCHEMA1: &str = "application/vnd.docker.distribution.manifest.v1+json";
const SCHEMA1_SIGNED: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";
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
        assert!(parse(OCI_MANIFEST, IMAGE.as_bytes(), false).is_ok());
        assert!(
            parse(DOCKER_MANIFEST, IMAGE.as_bytes(), false).is_err(),
            "docker must name its type"
        );
        assert!(parse(OCI_INDEX, IMAGE.as_bytes(), false).is_err());
        let named = IMAGE.replacen('{', &format!("{{\"mediaType\":\"{DOCKER_MANIFEST}\","), 1);
        assert!(parse(DOCKER_MANIFEST, named.as_bytes(), false).is_ok());
        assert!(parse(OCI_MANIFEST, named.as_bytes(), false).is_err());
        assert!(parse("application/json", IMAGE.as_bytes(), true).is_err());
        assert!(parse(OCI_MANIFEST, b"{", false).is_err());
        assert!(parse(OCI_INDEX, br#"{"schemaVersion":2,"manifests":[]}"#, false).is_ok());
        let bare = br#"{"schemaVersion":2,"manifests":null}"#;
        assert!(parse(OCI_INDEX, bare, false).is_err());
        assert!(parse(OCI_INDEX, bare, true).is_ok(), "null is no list to the strict only");
    }

    #[test]
    fn e5_what_is_null_is_taken_for_absent_and_a_refusal_says_why() {
        let head = r#""schemaVersion":2,"mediaType":"","config":{"digest":"sha256:a","size":null,"platform":null}"#;
        let layer =
            r#"{"mediaType":null,"digest":"sha256:b","urls":null,"annotations":{"k":null}}"#;
        let image = format!("{{{head},\"layers\":[{layer}],\"annotations\":{{\"k\":null}}}}");
        let (_, parsed) = parse(OCI_MANIFEST, image.as_bytes(), false).unwrap();
        assert_eq!(parsed.required_blobs().count(), 2);
        assert_eq!(parsed.annotations.unwrap()["k"], "");
        for (media_type, body, why) in [
            (OCI_MANIFEST, "{", "line 1 column 1"),
            (OCI_MANIFEST, r#"{"schemaVersion":2}"#, "`config` is missing"),
            (OCI_MANIFEST, r#"{"schemaVersion":1}"#, "`schemaVersion` is not 2"),
            (OCI_INDEX, r#"{"schemaVersion":2,"manifests":[{}]}"#, "`digest`"),
            (OCI_INDEX, r#"{"schemaVersion":2,"manifests":[],"layers":[]}"#, "`layers` does not"),
            (DOCKER_MANIFEST, &image, "`mediaType` is missing"),
            (OCI_INDEX, r#"{"mediaType":"x"}"#, "`mediaType` is `x`"),
            ("text/plain", "{}", "`text/plain`"),
        ] {
            let error = parse(media_type, body.as_bytes(), false).unwrap_err();
            assert!(error.contains(why), "{body}: {error}");
        }
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
