//! What another process needs to go on with an upload.

use std::{fmt, sync::Arc};

use acr_core::{Digester, Error, ErrorKind, RepositoryName, Result, value::DigesterState};
use serde::{Deserialize, Serialize};

use crate::stamp::Stamp;

/// How far an upload got: write it down, and another process goes on from there with
/// [`crate::Upload::resume`].
///
/// Holds the address of the session, which lets whoever may push to the repository go on
/// with this upload, the inner state of the hash, and of a file its place on the disk, its
/// length and its times; no token and no content. Made for the same version of this library;
/// another one refuses it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadCheckpoint {
    version: u32,
    repository: RepositoryName,
    location: String,
    confirmed: u64,
    digester: DigesterState,
    source: Option<Stamp>,
}

/// Calls the caller's function with each checkpoint, if there is one.
#[derive(Clone, Default)]
pub(crate) struct Saver(Option<Arc<Save>>);

type Save = dyn Fn(&UploadCheckpoint) + Send + Sync;

impl UploadCheckpoint {
    pub(crate) fn new(
        repository: RepositoryName,
        location: String,
        confirmed: u64,
        digester: &Digester,
        source: Option<Stamp>,
    ) -> Self {
        let digester = digester.save();
        Self { version: VERSION, repository, location, confirmed, digester, source }
    }

    /// How many bytes the registry has confirmed.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |blobs, digest| {
    /// let mut session = blobs.start_upload().await?;
    /// session.write("sample ").await?;
    /// let saved = session.checkpoint().expect("a session that is open");
    /// assert_eq!(saved.confirmed(), 7);
    /// # Ok(()) });
    /// ```
    pub fn confirmed(&self) -> u64 {
        self.confirmed
    }

    /// The repository it belongs to.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |blobs, digest| {
    /// let session = blobs.start_upload().await?;
    /// let saved = session.checkpoint().expect("a session that is open");
    /// assert_eq!(saved.repository(), blobs.repository());
    /// # Ok(()) });
    /// ```
    pub fn repository(&self) -> &RepositoryName {
        &self.repository
    }

    pub(crate) fn open(&self, repository: &RepositoryName) -> Result<(&str, Digester)> {
        let refuse = |why: &str| {
            let text = format!("the upload cannot be resumed: {why}; upload without it");
            Err(Error::new(ErrorKind::InvalidInput, text))
        };
        if self.version != VERSION {
            return refuse("its checkpoint is of another version");
        }
        if self.repository != *repository {
            return refuse("its checkpoint is of another repository");
        }
        let digester = Digester::restore(&self.digester)?;
        // What was confirmed was sent, and what was sent was hashed.
        if self.confirmed > digester.len() {
            return refuse("its checkpoint is damaged");
        }
        Ok((&self.location, digester))
    }

    /// What the file was when the upload began, if it was one.
    pub(crate) fn source(&self) -> Option<&Stamp> {
        self.source.as_ref()
    }
}

impl Saver {
    pub(crate) fn new(function: impl Fn(&UploadCheckpoint) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(function)))
    }

    pub(crate) fn is_some(&self) -> bool {
        self.0.is_some()
    }

    pub(crate) fn save(&self, checkpoint: &UploadCheckpoint) {
        if let Some(function) = &self.0 {
            function(checkpoint);
        }
    }
}

impl fmt::Debug for UploadCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the address: its query lets others go on with the upload.
        f.debug_struct("UploadCheckpoint")
            .field("repository", &self.repository)
            .field("confirmed", &self.confirmed)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Saver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_some() { "Saver" } else { "None" })
    }
}

/// Moves when a field changes its meaning.
const VERSION: u32 = 2;
