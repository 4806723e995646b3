//! The content of a manifest.

use acr_core::{Digest, Error, ErrorKind, Result};
use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::MediaType;

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
}
