//! The content of a manifest.

use acr_core::{Digest, Error, ErrorKind, Result};
use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::{ArtifactManifest, ImageIndex, ImageManifest, MediaType};
use crate::shape::refuse_ambiguity;

/// A manifest: its exact bytes, verified against its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Manifest {
    /// The digest, computed from the bytes.
    pub digest: Digest,
    /// The media type the registry keeps it under.
    pub media_type: MediaType,
    /// The bytes as they were pushed. Serialising the document again would change its digest.
    pub content: Bytes,
}

/// A typed view of a manifest, by its media type.
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
    /// Reads the document as `T`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Protocol`] when the document has another shape.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.content).map_err(|error| {
            let text = format!("the manifest `{}` has another shape than asked for", self.digest);
            Error::new(ErrorKind::Protocol, text).with_source(error)
        })
    }

    /// The typed view that the media type calls for.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Protocol`] for another media type, another shape, or a document that
    /// can be read as two kinds.
    pub fn document(&self) -> Result<Document> {
        refuse_ambiguity(&self.content, &self.media_type)?;
        let is = |known: MediaType| self.media_type == known;
        if is(MediaType::OCI_MANIFEST) || is(MediaType::DOCKER_MANIFEST) {
            self.json().map(Box::new).map(Document::Image)
        } else if is(MediaType::OCI_INDEX) || is(MediaType::DOCKER_LIST) {
            self.json().map(Box::new).map(Document::Index)
        } else if is(MediaType::OCI_ARTIFACT) || is(MediaType::ORAS_ARTIFACT) {
            self.json().map(Box::new).map(Document::Artifact)
        } else {
            let text = format!("no typed view of the manifest `{}`", self.digest);
            Err(Error::new(ErrorKind::Protocol, text))
        }
    }
}
