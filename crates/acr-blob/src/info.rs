//! What is known about a blob.

use acr_core::{
    Digest,
    oci::{Descriptor, MediaType},
};

/// A blob that the registry has.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BlobInfo {
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}

impl BlobInfo {
    /// What a manifest says of this blob: a layer, a config.
    ///
    /// ```no_run
    /// # async fn run(blobs: acr_blob::BlobClient) -> acr_core::Result<()> {
    /// use acr_core::oci::{ImageManifest, MediaType};
    ///
    /// let config = blobs.upload("{}").await?.descriptor(MediaType::OCI_EMPTY);
    /// let layer = blobs.upload("content").await?.descriptor("text/plain");
    /// let manifest = ImageManifest::new(config).layer(layer).artifact_type("text/plain");
    /// # let _ = manifest; Ok(()) }
    /// ```
    pub fn descriptor(&self, media_type: impl Into<MediaType>) -> Descriptor {
        Descriptor::new(media_type, &self.digest, self.size)
    }
}
