//! The content of a manifest.

use bytes::Bytes;
use http::{header, response::Parts};
use serde::de::{DeserializeOwned, IgnoredAny};

use super::{
    ArtifactManifest, Descriptor, ImageIndex, ImageManifest, MediaType,
    proof::Hashed,
    shape::{Kind, fitting_media_type, kind, own_media_type, refuse_ambiguity},
    trouble,
};
use crate::{
    Digest, Error, ErrorKind, Result,
    http::{redact::printable, response},
};

/// A manifest: its exact bytes, verified against its digest.
///
/// ```
/// use acr_core::{Digest, oci::Manifest};
///
/// let manifest = Manifest::new(r#"{"schemaVersion":2,"manifests":[]}"#);
/// assert_eq!(manifest.digest, Digest::sha256(&manifest.content));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Manifest {
    /// The digest, computed from the bytes: of a signed schema 1 image, from the part of
    /// them that is signed.
    pub digest: Digest,
    /// The media type the registry keeps it under.
    pub media_type: MediaType,
    /// The bytes as the registry gave them. Serialising the document again would change its
    /// digest.
    pub content: Bytes,
}

/// A typed view of a manifest.
///
/// ```
/// use acr_core::oci::{Document, Manifest};
///
/// match Manifest::new(r#"{"schemaVersion":2,"manifests":[]}"#).document()? {
///     Document::Image(image) => println!("{} layers", image.layers.len()),
///     Document::Index(index) => println!("{} manifests", index.manifests.len()),
///     Document::Artifact(artifact) => println!("{} blobs", artifact.blobs.len()),
///     other => println!("{other:?}"),
/// }
/// # Ok::<(), acr_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Document {
    /// An image, or an artifact in the form of one.
    Image(Box<ImageManifest>),
    /// An index.
    Index(Box<ImageIndex>),
    /// An artifact in one of the withdrawn forms.
    Artifact(Box<ArtifactManifest>),
}

impl Manifest {
    /// A manifest of these bytes, under the media type that they name themselves, or that
    /// their fields call for.
    ///
    /// ```
    /// use acr_core::oci::{Manifest, MediaType};
    ///
    /// let manifest = Manifest::new(r#"{"schemaVersion":2,"manifests":[]}"#);
    /// assert_eq!(manifest.media_type, MediaType::OCI_INDEX);
    /// ```
    pub fn new(content: impl Into<Bytes>) -> Self {
        let content = content.into();
        let digest = Hashed::of(&content).digest();
        Self { digest, media_type: fitting_media_type(&content), content }
    }

    /// The same under another media type.
    ///
    /// ```
    /// use acr_core::oci::{Manifest, MediaType};
    ///
    /// let index = Manifest::new(r#"{"schemaVersion":2,"manifests":[]}"#);
    /// let listed = index.clone().kept_as(MediaType::DOCKER_LIST);
    /// assert_eq!(listed.digest, index.digest);
    /// ```
    #[must_use]
    pub fn kept_as(self, media_type: MediaType) -> Self {
        Self { media_type, ..self }
    }

    /// The manifest that a registry answered with: of the digest that was asked for, and of
    /// the one that the registry names, each by its own algorithm. Of a signed schema 1 image
    /// the digest covers what is signed.
    ///
    /// ```
    /// use acr_core::{ErrorKind, oci::Manifest};
    ///
    /// let (head, _) = http::Response::builder()
    ///     .header("docker-content-digest", format!("sha256:{}", "0".repeat(64)))
    ///     .body(())?
    ///     .into_parts();
    /// let error = Manifest::from_answer(None, &head, "{}".into()).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Integrity);
    /// # Ok::<(), http::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Integrity`] when a digest is not the content's; [`ErrorKind::Protocol`]
    /// when the registry names one of an algorithm that is not known, or an encoding.
    pub fn from_answer(asked: Option<&Digest>, head: &Parts, content: Bytes) -> Result<Self> {
        response::check_encoding(head)?;
        let digest = Hashed::of(&content).verified(asked, head)?;
        let media_type = response::header_text(&head.headers, &header::CONTENT_TYPE)
            .map(|text| text.split(';').next().unwrap_or_default().trim())
            .filter(|text| !text.is_empty())
            .map_or_else(|| fitting_media_type(&content), MediaType::from);
        Ok(Self { digest, media_type, content })
    }

    /// Whether it has this digest. Registries that know nothing of signatures hash a signed
    /// document whole.
    ///
    /// ```
    /// use acr_core::{Digest, oci::Manifest};
    ///
    /// let manifest = Manifest::new("{}");
    /// assert!(manifest.has(&Digest::sha256(b"{}")) && !manifest.has(&Digest::sha256(b"[]")));
    /// ```
    pub fn has(&self, digest: &Digest) -> bool {
        Hashed::of(&self.content).has(digest)
    }

    /// The digest that a registry names in an answer about this manifest, if it names one.
    ///
    /// ```
    /// use acr_core::oci::Manifest;
    ///
    /// let (head, _) = http::Response::new(()).into_parts();
    /// assert_eq!(Manifest::new("{}").named_by(&head)?, None);
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Integrity`] when it is not the content's; [`ErrorKind::Protocol`] when its
    /// algorithm is not known.
    pub fn named_by(&self, head: &Parts) -> Result<Option<Digest>> {
        Hashed::of(&self.content).named(head)
    }

    /// Refuses a document that readers may read differently: with names that come twice or
    /// are taken for others, of several kinds, or whose media type, `mediaType` and fields do
    /// not name the same kind. What is no JSON object at all is nobody's manifest and passes.
    ///
    /// ```
    /// use acr_core::{ErrorKind, oci::Manifest};
    ///
    /// let doubled = Manifest::new(r#"{"schemaVersion":2,"manifests":[],"Manifests":[]}"#);
    /// assert!(doubled.refuse_ambiguity(ErrorKind::Protocol).is_err());
    /// ```
    ///
    /// # Errors
    ///
    /// Of the kind that whoever made the document calls for.
    pub fn refuse_ambiguity(&self, kind: ErrorKind) -> Result<()> {
        refuse_ambiguity(&self.content, &self.media_type, kind)
    }

    /// What another manifest says of this one: of a subject, or of an entry of an index.
    ///
    /// ```
    /// use acr_core::oci::{ImageManifest, Manifest};
    ///
    /// let image = Manifest::new(r#"{"schemaVersion":2,"manifests":[]}"#);
    /// let signature = ImageManifest::artifact("application/vnd.example.signature")
    ///     .subject(image.descriptor());
    /// assert_eq!(signature.subject.expect("one").digest()?, image.digest);
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    pub fn descriptor(&self) -> Descriptor {
        let size = u64::try_from(self.content.len()).unwrap_or(u64::MAX);
        Descriptor::new(self.media_type.clone(), &self.digest, size)
    }

    /// Reads the document as `T`.
    ///
    /// ```
    /// use acr_core::oci::Manifest;
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Versioned {
    ///     #[serde(rename = "schemaVersion")]
    ///     version: u32,
    /// }
    /// assert_eq!(Manifest::new(r#"{"schemaVersion":2}"#).json::<Versioned>()?.version, 2);
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Protocol`] when the document has another shape, or is no JSON: the
    /// message says where, and names a byte order mark or a comment.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.content).map_err(|error| {
            let why = trouble::describe(&self.content, &error);
            let text = format!("the manifest `{}` {why}", self.digest);
            Error::new(ErrorKind::Protocol, text).with_source(error)
        })
    }

    /// The typed view of what the document says it is; of what its fields say if it says
    /// nothing; of what the registry says if they do not tell either.
    ///
    /// ```
    /// use acr_core::oci::{Document, Manifest};
    ///
    /// let manifest = Manifest::new(r#"{"schemaVersion":2,"manifests":[]}"#);
    /// assert!(matches!(manifest.document()?, Document::Index(_)));
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Protocol`] for a document without a typed view, which is named, for
    /// another shape, or for a document that can be read in two ways.
    pub fn document(&self) -> Result<Document> {
        refuse_ambiguity(&self.content, &self.media_type, ErrorKind::Protocol)?;
        match kind(&self.content, &self.media_type) {
            Some(Kind::Image) => self.json().map(Box::new).map(Document::Image),
            Some(Kind::Index) => self.json().map(Box::new).map(Document::Index),
            Some(Kind::Artifact) => self.json().map(Box::new).map(Document::Artifact),
            Some(Kind::Schema1) | None => {
                // What is no JSON at all is said first.
                self.json::<IgnoredAny>()?;
                Err(self.without_view())
            }
        }
    }

    /// Whether it is an index, by the same rules as [`Manifest::document`].
    ///
    /// ```
    /// use acr_core::oci::Manifest;
    ///
    /// assert!(Manifest::new(r#"{"schemaVersion":2,"manifests":[]}"#).is_index());
    /// ```
    pub fn is_index(&self) -> bool {
        kind(&self.content, &self.media_type) == Some(Kind::Index)
    }

    fn without_view(&self) -> Error {
        let said = own_media_type(&self.content).unwrap_or_else(|| self.media_type.clone());
        let (digest, said) = (&self.digest, printable(said.as_str()));
        let text = match kind(&self.content, &self.media_type) {
            Some(Kind::Schema1) => {
                format!("no typed view of a schema 1 image: the manifest `{digest}`, a `{said}`")
            }
            _ => format!("no typed view of the manifest `{digest}`, a `{said}`"),
        };
        Error::new(ErrorKind::Protocol, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(headers: &[(&'static str, &str)]) -> Parts {
        let mut response = http::Response::new(());
        for (name, value) in headers {
            response.headers_mut().insert(*name, value.parse().unwrap());
        }
        response.into_parts().0
    }

    #[test]
    fn the_digest_asked_for_is_the_only_authority() {
        let content = Bytes::from_static(b"{}");
        let right = Digest::sha256(&content);
        let wrong = Digest::sha256(b"other");
        for (asked, header, accepted) in [
            (Some(&right), None, true),
            (Some(&right), Some(&right), true),
            (Some(&right), Some(&wrong), false),
            (Some(&wrong), None, false),
            (Some(&wrong), Some(&wrong), false),
            (None, None, true),
            (None, Some(&right), true),
            (None, Some(&wrong), false),
        ] {
            let header: Vec<_> =
                header.map(|d| ("docker-content-digest", d.as_str())).into_iter().collect();
            let got = Manifest::from_answer(asked, &head(&header), content.clone());
            match got {
                Ok(manifest) => assert!(accepted && manifest.digest == right),
                Err(error) => assert!(!accepted && error.kind() == ErrorKind::Integrity),
            }
        }
    }

    #[test]
    fn media_type_comes_from_the_header_then_the_document() {
        let document = Bytes::from_static(br#"{"mediaType":"application/x"}"#);
        for (header, expected) in
            [(Some("application/y; charset=utf-8"), "application/y"), (None, "application/x")]
        {
            let header: Vec<_> = header.map(|text| ("content-type", text)).into_iter().collect();
            let manifest = Manifest::from_answer(None, &head(&header), document.clone()).unwrap();
            assert_eq!(manifest.media_type.as_str(), expected);
        }
        assert_eq!(Manifest::new("not json").media_type, MediaType::OCI_MANIFEST);
    }
}
