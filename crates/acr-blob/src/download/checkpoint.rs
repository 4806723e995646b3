//! What another process needs to go on with a download.

use std::fmt;

use acr_core::{Digest, Digester, Error, ErrorKind, RepositoryName, Result, value::DigesterState};
use serde::{Deserialize, Serialize};

/// How far a download got: write it down with the bytes that were read before it, and
/// another process goes on from there with [`crate::Download::resume`].
///
/// Holds the inner state of the hash; no token, no link and no content. Made for the same
/// version of this library; another one refuses it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DownloadCheckpoint {
    version: u32,
    repository: RepositoryName,
    digest: Digest,
    delivered: u64,
    /// As the server announced it.
    len: Option<u64>,
    digester: DigesterState,
}

impl DownloadCheckpoint {
    pub(crate) fn new(
        repository: RepositoryName,
        digest: Digest,
        digester: &Digester,
        len: Option<u64>,
    ) -> Self {
        let (delivered, digester) = (digester.len(), digester.save());
        Self { version: VERSION, repository, digest, delivered, len, digester }
    }

    /// How many bytes were read before it, by any of the reader's interfaces: what was
    /// written after them must be cut off, and who has fewer has lost some and must start
    /// anew. For a file, `reopen` (feature `fs`) does both.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |blobs, digest| {
    /// let reader = blobs.download(&digest).await?;
    /// assert_eq!(reader.checkpoint().delivered(), 0);
    /// # Ok(()) });
    /// ```
    pub fn delivered(&self) -> u64 {
        self.delivered
    }

    pub(crate) fn len(&self) -> Option<u64> {
        self.len
    }

    /// The blob it belongs to.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |blobs, digest| {
    /// let saved = blobs.download(&digest).await?.checkpoint();
    /// let rest = blobs.download(saved.digest()).resume(saved.clone()).await?;
    /// assert_eq!(rest.bytes(1 << 20).await?, &b"sample layer"[..]);
    /// # Ok(()) });
    /// ```
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The digester over what was read, if it was of this blob: of whatever repository, for its
    /// digest alone says what it is.
    pub(crate) fn open(&self, digest: &Digest) -> Result<Digester> {
        let refuse = |why: &str| {
            let text = format!("the download cannot be resumed: {why}; download without it");
            Err(Error::new(ErrorKind::InvalidInput, text))
        };
        if self.version != VERSION {
            return refuse("its checkpoint is of another version");
        }
        if self.digest != *digest {
            return refuse("its checkpoint is of another blob");
        }
        self.digester()
    }

    /// The digester over what was read.
    pub(crate) fn digester(&self) -> Result<Digester> {
        let digester = Digester::restore(&self.digester)?;
        if digester.len() != self.delivered || self.len.is_some_and(|len| len < self.delivered) {
            return Err(Error::new(ErrorKind::InvalidInput, "the checkpoint contradicts itself"));
        }
        Ok(digester)
    }
}

impl fmt::Debug for DownloadCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DownloadCheckpoint")
            .field("repository", &self.repository)
            .field("digest", &self.digest)
            .field("delivered", &self.delivered)
            .finish_non_exhaustive()
    }
}

/// Moves when a field changes its meaning.
const VERSION: u32 = 1;
