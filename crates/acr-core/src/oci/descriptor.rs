//! A part of a manifest, whole.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use super::{DescriptorView, MediaType, Platform, parts::Notes};
use crate::{Digest, Error, ErrorKind, Result, UnknownFields, http::redact::printable};

/// A part of a manifest: a config, a layer, a manifest of an index; what a manifest is written
/// of.
///
/// Strict: it has a media type, a digest and a size, and JSON in which one of them is missing
/// or anything has another shape is an error. What documents of others say, whatever it is, is a
/// [`DescriptorView`]; [`DescriptorView::strict`] leads here. What would not be read again, an empty
/// media type or a size beyond 63 bits, is not written either: serialization fails, as does `to_json`
/// of a manifest with such a part.
///
/// ```
/// use acr_core::oci::{Descriptor, ImageManifest, MediaType};
///
/// let config = Descriptor::of(MediaType::OCI_CONFIG, b"{}");
/// let layer = Descriptor::of("application/vnd.oci.image.layer.v1.tar", b"content");
/// let image = ImageManifest::new(config).layer(layer.clone());
/// assert_eq!(image.layers[0].strict()?, layer);
///
/// let text = r#"{"mediaType":"text/plain","digest":"sha256:ab","size":1}"#;
/// assert!(serde_json::from_str::<Descriptor>(text).is_err());
/// # Ok::<(), acr_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Descriptor {
    /// The media type of the part.
    #[serde(serialize_with = "write_media_type")]
    pub media_type: MediaType,
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    #[serde(serialize_with = "write_size")]
    pub size: u64,
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
}

impl Descriptor {
    /// Of content whose digest and size in bytes are known, as an upload tells them.
    ///
    /// ```
    /// use acr_core::{Digest, oci::{Descriptor, MediaType}};
    ///
    /// let config = Descriptor::new(MediaType::OCI_CONFIG, &Digest::sha256(b"{}"), 2);
    /// assert_eq!(config, Descriptor::of(MediaType::OCI_CONFIG, b"{}"));
    /// ```
    pub fn new(media_type: impl Into<MediaType>, digest: &Digest, size: u64) -> Self {
        Self {
            media_type: media_type.into(),
            digest: digest.clone(),
            size,
            urls: Vec::new(),
            annotations: BTreeMap::new(),
            data: None,
            artifact_type: None,
            platform: None,
            unknown: UnknownFields::default(),
        }
    }

    /// Of this content.
    ///
    /// ```
    /// use acr_core::oci::Descriptor;
    ///
    /// let layer = Descriptor::of("application/vnd.oci.image.layer.v1.tar", b"content");
    /// assert_eq!(layer.size, 7);
    /// ```
    pub fn of(media_type: impl Into<MediaType>, content: &[u8]) -> Self {
        let size = u64::try_from(content.len()).unwrap_or(u64::MAX);
        Self::new(media_type, &Digest::sha256(content), size)
    }

    /// Says what it runs on.
    ///
    /// ```
    /// use acr_core::oci::{Descriptor, ImageIndex, MediaType, Platform};
    ///
    /// # let image = b"{}";
    /// let entry = Descriptor::of(MediaType::OCI_MANIFEST, image).platform(Platform::new("linux", "arm64"));
    /// let index = ImageIndex::new().manifest(entry);
    /// assert!(index.select(&Platform::new("linux", "arm64")).is_some());
    /// ```
    #[must_use]
    pub fn platform(mut self, platform: Platform) -> Self {
        self.platform = Some(platform);
        self
    }

    /// Says what kind of artifact it is.
    ///
    /// ```
    /// use acr_core::oci::{Descriptor, MediaType};
    ///
    /// let entry = Descriptor::of(MediaType::OCI_MANIFEST, b"{}").artifact_type("application/spdx+json");
    /// assert_eq!(entry.artifact_type.as_deref(), Some("application/spdx+json"));
    /// ```
    #[must_use]
    pub fn artifact_type(mut self, artifact_type: impl Into<String>) -> Self {
        self.artifact_type = Some(artifact_type.into());
        self
    }

    /// Adds an annotation.
    ///
    /// ```
    /// use acr_core::oci::Descriptor;
    ///
    /// let file = Descriptor::of("text/plain", b"hello").annotation("org.opencontainers.image.title", "a.txt");
    /// assert_eq!(file.annotations.len(), 1);
    /// ```
    #[must_use]
    pub fn annotation(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.annotations.insert(key.into(), value.into());
        self
    }
}

/// From what was found to what is whole.
impl DescriptorView {
    /// What it says, if it is whole and nothing in it is odd.
    ///
    /// ```
    /// use acr_core::oci::{Descriptor, DescriptorView, MediaType};
    ///
    /// let config = Descriptor::of(MediaType::OCI_CONFIG, b"{}");
    /// assert_eq!(DescriptorView::from(config.clone()).strict()?, config);
    /// assert!(DescriptorView::default().strict().is_err());
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Protocol`] that names what is missing or odd.
    pub fn strict(&self) -> Result<Descriptor> {
        let odd = self.odd();
        let wrong = |text: String| Error::new(ErrorKind::Protocol, text);
        if !odd.is_empty() {
            return Err(wrong(format!("odd in a descriptor: `{}`", printable(&odd.join("`, `")))));
        }
        let digest = self.digest()?;
        let missing = |field: &str| wrong(format!("the descriptor of `{digest}` has no `{field}`"));
        let media_type = self.media_type.clone().ok_or_else(|| missing("mediaType"))?;
        let size = self.size.ok_or_else(|| missing("size"))?;
        let refuse = |why: &str| wrong(format!("the descriptor of `{digest}` has {why}"));
        if let Some(why) = unfit_media_type(&media_type).or_else(|| unfit_size(size)) {
            return Err(refuse(why));
        }
        Ok(Descriptor {
            media_type,
            size,
            digest,
            urls: self.urls.clone(),
            annotations: self.annotations.clone(),
            data: self.data.clone(),
            artifact_type: self.artifact_type.clone(),
            platform: self.platform.clone(),
            unknown: self.unknown.clone(),
        })
    }
}

impl DescriptorView {
    /// Refuses what a manifest of ours is not to have, whatever others wrote.
    pub(super) fn refuse_to_write(&self, path: &str) -> Result<()> {
        let media_type = self.media_type.as_ref().and_then(unfit_media_type);
        match media_type.or_else(|| self.size.and_then(unfit_size)) {
            Some(why) => Err(Error::new(ErrorKind::InvalidInput, format!("`{path}` has {why}"))),
            None => Ok(()),
        }
    }
}

fn unfit_media_type(media_type: &MediaType) -> Option<&'static str> {
    media_type.as_str().is_empty().then_some("an empty `mediaType`")
}

fn unfit_size(size: u64) -> Option<&'static str> {
    let is_too_large = i64::try_from(size).is_err();
    is_too_large.then_some("a `size` beyond 63 bits, which other readers cannot hold")
}

fn write_media_type<S: Serializer>(media_type: &MediaType, to: S) -> Result<S::Ok, S::Error> {
    match unfit_media_type(media_type) {
        Some(why) => Err(ser::Error::custom(format_args!("the descriptor has {why}"))),
        None => media_type.serialize(to),
    }
}

fn write_size<S: Serializer>(size: &u64, to: S) -> Result<S::Ok, S::Error> {
    match unfit_size(*size) {
        Some(why) => Err(ser::Error::custom(format_args!("the descriptor has {why}"))),
        None => size.serialize(to),
    }
}

impl From<Descriptor> for DescriptorView {
    fn from(part: Descriptor) -> Self {
        Self {
            media_type: Some(part.media_type),
            digest: Some(part.digest.to_string()),
            size: Some(part.size),
            urls: part.urls,
            annotations: part.annotations,
            data: part.data,
            artifact_type: part.artifact_type,
            platform: part.platform,
            unknown: part.unknown,
            notes: Notes::default(),
        }
    }
}

impl TryFrom<DescriptorView> for Descriptor {
    type Error = Error;

    fn try_from(view: DescriptorView) -> Result<Self> {
        view.strict()
    }
}

impl<'de> Deserialize<'de> for Descriptor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        DescriptorView::deserialize(deserializer)?.strict().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::{ArtifactManifest, ImageIndex, ImageManifest};

    const DIGEST: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

    #[test]
    fn what_is_strict_is_written_and_read_as_it_is() {
        let text = format!(
            r#"{{"mediaType":"text/plain","digest":"{DIGEST}","size":2,"urls":["https://x.test"],"annotations":{{"k":"v"}},"data":"e30=","artifactType":"a/b","platform":{{"architecture":"arm64","os":"linux","later":1}},"later":[1]}}"#
        );
        let read: Descriptor = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
        assert_eq!((read.size, read.digest.as_str()), (2, DIGEST));
        let view: DescriptorView = read.clone().into();
        assert_eq!(serde_json::to_string(&view).unwrap(), text);
        assert_eq!(Descriptor::try_from(view).unwrap(), read);
    }

    #[test]
    fn what_is_missing_or_odd_is_named_and_the_view_keeps_it() {
        let whole = [
            ("mediaType", r#""text/plain""#.to_owned()),
            ("digest", format!("\"{DIGEST}\"")),
            ("size", "2".to_owned()),
            ("platform", r#"{"os":"linux"}"#.to_owned()),
        ];
        let without = |name: &str, instead: Option<&str>| {
            let kept = whole.iter().filter_map(|(field, value)| match instead {
                _ if *field != name => Some(format!("\"{field}\":{value}")),
                Some(odd) => Some(format!("\"{field}\":{odd}")),
                None => None,
            });
            format!("{{{}}}", kept.collect::<Vec<_>>().join(","))
        };
        assert!(serde_json::from_str::<Descriptor>(&without("", None)).is_ok());
        for (name, instead, said) in [
            ("mediaType", None, "mediaType"),
            ("mediaType", Some("7"), "mediaType"),
            ("digest", None, "without a digest"),
            ("digest", Some("null"), "without a digest"),
            ("digest", Some(r#""sha256:ab""#), "sha256:ab"),
            ("size", None, "size"),
            ("size", Some("-1"), "size"),
            ("size", Some(r#""2""#), "size"),
            ("size", Some("9223372036854775808"), "beyond 63 bits"),
            ("mediaType", Some(r#""""#), "an empty `mediaType`"),
            ("platform", Some(r#"{"os":1}"#), "platform.os"),
            ("platform", Some("[]"), "platform"),
        ] {
            let text = without(name, instead);
            let error = serde_json::from_str::<Descriptor>(&text).unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
            let view: DescriptorView = serde_json::from_str(&text).unwrap();
            assert!(view.strict().is_err());
            if instead.is_some_and(|odd| odd != "null") {
                let kept: serde_json::Value = serde_json::to_value(&view).unwrap();
                let given: serde_json::Value = serde_json::from_str(&text).unwrap();
                assert_eq!(kept, given, "{text}");
            }
        }
    }

    #[test]
    fn what_would_not_be_read_again_is_not_written() {
        let text =
            |part: &Descriptor| serde_json::to_string(part).map_err(|error| error.to_string());
        let fit = Descriptor::of("text/plain", b"x");
        let mut largest = fit.clone();
        largest.size = i64::MAX.unsigned_abs();
        for part in [&fit, &largest] {
            assert_eq!(serde_json::from_str::<Descriptor>(&text(part).unwrap()).unwrap(), *part);
        }
        let config = || Descriptor::of("text/plain", b"{}");
        let mut larger = largest;
        larger.size += 1;
        for (part, said) in [(Descriptor::of("", b"x"), "empty `mediaType`"), (larger, "63 bits")] {
            assert!(text(&part).unwrap_err().contains(said));
            let image = ImageManifest::new(config()).layer(config()).layer(part.clone());
            let index = ImageIndex::new().manifest(part.clone());
            let artifact = ArtifactManifest::new("a/b").blob(part.clone());
            for (written, path) in [
                (image.to_json(), "`layers.1` has"),
                (ImageManifest::new(part).to_json(), "`config` has"),
                (index.to_json(), "`manifests.0` has"),
                (artifact.to_json(), "`blobs.0` has"),
            ] {
                let error = written.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidInput);
                let text = error.to_string();
                assert!(text.contains(path) && text.contains(said), "{text}");
            }
        }
        // A name that the document has already.
        let mut twice = ImageManifest::new(config());
        twice.unknown = serde_json::from_str(r#"{"layers":[]}"#).unwrap();
        assert_eq!(twice.to_json().unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}
