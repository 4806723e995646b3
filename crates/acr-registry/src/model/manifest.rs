//! The content of a manifest.

use acr_core::{Digest, Error, ErrorKind, Result};
use bytes::Bytes;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::{ArtifactManifest, Descriptor, ImageIndex, ImageManifest, MediaType, Shown, trouble};
use crate::shape::{Kind, kind, own_media_type, refuse_ambiguity};

/// A manifest: its exact bytes, verified against its digest.
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
    /// What another manifest says of this one: of a subject, or of an entry of an index.
    pub fn descriptor(&self) -> Descriptor {
        let size = u64::try_from(self.content.len()).unwrap_or(u64::MAX);
        Descriptor::new(self.media_type.clone(), &self.digest, size)
    }

    /// Reads the document as `T`.
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
    pub(crate) fn is_index(&self) -> bool {
        kind(&self.content, &self.media_type) == Some(Kind::Index)
    }

    fn without_view(&self) -> Error {
        let said = own_media_type(&self.content).unwrap_or_else(|| self.media_type.clone());
        let (digest, said) = (&self.digest, Shown(said.as_str()));
        let text = match kind(&self.content, &self.media_type) {
            Some(Kind::Schema1) => {
                format!("no typed view of a schema 1 image: the manifest `{digest}`, a `{said}`")
            }
            _ => format!("no typed view of the manifest `{digest}`, a `{said}`"),
        };
        Error::new(ErrorKind::Protocol, text)
    }
}
