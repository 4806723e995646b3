//! Downloads: verified while they are read.

use std::{future::IntoFuture, pin::Pin};

use acr_core::{Digest, Error, Result, http::Body, value::Given};

use crate::{
    download::{
        checkpoint::DownloadCheckpoint,
        machine::Machine,
        reader::BlobReader,
        request::{ask, named, operation},
    },
    progress::{Observer, Progress},
    repository::Repository,
};

/// Downloads a blob when awaited.
///
/// # Errors
///
/// [`acr_core::ErrorKind::NotFound`]; [`acr_core::ErrorKind::Policy`] when the registry redirects to a
/// place that is refused.
///
/// # Cancellation
///
/// Dropping the future sends nothing more.
#[derive(Clone, Debug)]
#[must_use = "nothing is sent until it is awaited"]
pub struct Download {
    repository: Repository,
    digest: Given<Digest>,
    size: Option<u64>,
    max_size: Option<u64>,
    checkpoint: Option<DownloadCheckpoint>,
    observer: Observer,
}

impl Download {
    pub(crate) fn new(repository: Repository, digest: Given<Digest>) -> Self {
        Self {
            repository,
            digest,
            size: None,
            max_size: None,
            checkpoint: None,
            observer: Observer::default(),
        }
    }

    /// Expects exactly this many bytes, as a manifest's descriptor says. Another length
    /// is an [`acr_core::ErrorKind::Integrity`] error, before the content where the server
    /// announces it, and at the first byte too many where not.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |blobs, digest| {
    /// use acr_core::ErrorKind;
    ///
    /// // As the descriptor in the manifest says.
    /// let reader = blobs.download(&digest).size(12).await?;
    /// assert_eq!(reader.bytes(12).await?, &b"sample layer"[..]);
    /// let error = blobs.download(&digest).size(13).await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Integrity);
    /// # Ok(()) });
    /// ```
    pub fn size(mut self, bytes: u64) -> Self {
        self.size = Some(bytes);
        self
    }

    /// Refuses more than this many bytes with [`acr_core::ErrorKind::TooLarge`]. Without either
    /// bound a hostile server decides how much is read before the digest tells.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |blobs, digest| {
    /// use acr_core::ErrorKind;
    ///
    /// let error = blobs.download(&digest).max_size(5).await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::TooLarge);
    /// # Ok(()) });
    /// ```
    pub fn max_size(mut self, bytes: u64) -> Self {
        self.max_size = Some(bytes);
        self
    }

    /// Goes on after the bytes that were read before a checkpoint; the reader gives only
    /// what comes after them, and verifies the whole: also that what was read before was
    /// the blob's. The checkpoint may be of another repository or registry, of a mirror say. A length
    /// that is not that of the checkpoint is an [`acr_core::ErrorKind::Integrity`] error.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |blobs, digest| {
    /// let mut reader = blobs.download(&digest).await?;
    /// let first = reader.chunk().await?.expect("some content");
    /// let saved = reader.checkpoint();
    /// // In another process, which has what was read:
    /// let rest = blobs.download(&digest).resume(saved).await?.bytes(1 << 20).await?;
    /// assert_eq!([first, rest].concat(), b"sample layer");
    /// # Ok(()) });
    /// ```
    pub fn resume(mut self, checkpoint: DownloadCheckpoint) -> Self {
        self.checkpoint = Some(checkpoint);
        self
    }

    /// Calls a function whenever a piece has been delivered.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |blobs, digest| {
    /// let download = blobs.download(&digest);
    /// let reader = download.on_progress(|now| println!("{} of {:?}", now.transferred, now.total)).await?;
    /// assert_eq!(reader.bytes(1 << 20).await?.len(), 12);
    /// # Ok(()) });
    /// ```
    pub fn on_progress(mut self, function: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        self.observer = Observer::new(function);
        self
    }

    /// Downloads into a file, which appears only when its content is verified.
    ///
    /// The content goes to a temporary file (mode 0600) in the same directory, is
    /// synced to disk and then moved into place, over an older file if there is one.
    /// Gives the size in bytes.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |blobs, digest| {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("layer.tar");
    /// assert_eq!(blobs.download(&digest).to_file(&path).await?, 12);
    /// assert_eq!(std::fs::read(&path)?, b"sample layer");
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// Those of the download, and [`acr_core::ErrorKind::Source`] when the file cannot be
    /// written. In every case nothing is left behind. [`acr_core::ErrorKind::InvalidInput`] with
    /// a checkpoint: what was read before it is not here.
    ///
    /// # Cancellation
    ///
    /// Dropping the future removes the temporary file.
    #[cfg(feature = "fs")]
    pub async fn to_file(self, path: impl AsRef<std::path::Path> + Send) -> Result<u64> {
        self.refuse_checkpoint()?;
        // Boxed, so that the futures of callers stay small.
        let reader = Box::pin(self.send()).await?;
        Box::pin(crate::file::store(reader, path.as_ref())).await
    }

    /// Downloads into a file as [`Download::to_file`] does, and keeps what came when it ends early,
    /// for whatever reason: the same call for the same path goes on there, in another process too.
    ///
    /// Until the file is complete and verified, its content is in `NAME.acr-partial` beside it (mode
    /// 0600) and how far it got in `NAME.acr-checkpoint`, which is written every 4 MiB. What is kept is
    /// read and compared before anything is asked for. Where it is of another blob, or damaged, the
    /// download begins anew, as soon as the registry gives the content. At the end both are gone.
    /// Delete them to give up. The folder must be on a file system whose locks hold.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |blobs, digest| {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("layer.tar");
    /// // As often as it takes, in this process or the next one.
    /// while let Err(error) = blobs.download(&digest).to_file_resumable(&path).await {
    ///     if !error.is_transient() {
    ///         return Err(error.into());
    ///     }
    /// }
    /// assert_eq!(std::fs::read(&path)?, b"sample layer");
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`Download::to_file`]. [`acr_core::ErrorKind::Source`] too while another download,
    /// of whatever process, writes for the same path, when the files were removed or replaced
    /// meanwhile, and when what stands at the name of the partial file is not this user's alone.
    ///
    /// After any error what came stays, but where all of it was there and was another content
    /// ([`acr_core::ErrorKind::Integrity`]): then it can never become the blob, and is removed.
    ///
    /// # Cancellation
    ///
    /// After a drop the next call goes on, also while what was kept is being compared.
    #[cfg(feature = "fs")]
    pub async fn to_file_resumable(self, path: impl AsRef<std::path::Path> + Send) -> Result<u64> {
        // Boxed, so that the futures of callers stay small.
        Box::pin(self.keep(path.as_ref())).await
    }

    #[cfg(feature = "fs")]
    async fn keep(self, path: &std::path::Path) -> Result<u64> {
        use crate::download::{keeping, kept::Kept};

        self.refuse_checkpoint()?;
        let digest = named(&self.repository, self.digest.clone())?;
        let operation = operation(&self.repository, &digest);
        let described = |error: Error| error.with_operation(Some(&operation));
        let kept = Box::pin(Kept::open(path)).await.map_err(described)?;
        let (kept, saved) = Box::pin(kept.saved(&digest)).await.map_err(described)?;
        let (checkpoint, why) = match saved {
            Ok(checkpoint) => (Some(checkpoint), None),
            Err(why) => (None, Some(why)),
        };
        let reader = match Box::pin(Self { checkpoint, ..self }.send()).await {
            Ok(reader) => reader,
            Err(error) => return Err(Box::pin(keeping::left(error, kept)).await),
        };
        let kept = match why {
            None => kept,
            Some(why) => Box::pin(kept.begin_anew(why)).await.map_err(described)?,
        };
        Box::pin(keeping::store(reader, kept, path)).await
    }

    #[cfg(feature = "fs")]
    fn refuse_checkpoint(&self) -> Result<()> {
        if self.checkpoint.is_none() {
            return Ok(());
        }
        let text = "a file is written from the first byte: leave `resume` out and use \
            `to_file_resumable`, or read on into the file that `DownloadCheckpoint::reopen` gives";
        let error = Error::new(acr_core::ErrorKind::InvalidInput, text);
        let digest = named(&self.repository, self.digest.clone())?;
        Err(error.with_operation(Some(&operation(&self.repository, &digest))))
    }

    async fn send(self) -> Result<BlobReader> {
        let Self { repository, digest, size, max_size, checkpoint, observer } = self;
        let digest = named(&repository, digest)?;
        let described = |error: Error| error.with_operation(Some(&operation(&repository, &digest)));
        let (digester, len) = match checkpoint {
            Some(checkpoint) => {
                let digester = checkpoint.open(&digest).map_err(described)?;
                check_len(size, &checkpoint).map_err(described)?;
                (digester, size.or(checkpoint.len()))
            }
            None => (digest.digester(), size),
        };
        let machine = Machine::new(digest.clone(), digester).bounds(len, max_size);
        let mut machine = machine.map_err(described)?;
        let body = match ask(&repository, &digest, machine.ask()).await? {
            Some((answer, body)) => {
                machine.answered(answer).map_err(described)?;
                body
            }
            None => Body::empty().into_data_stream(),
        };
        Ok(BlobReader::new(repository, digest, machine, body, observer))
    }
}

/// Bytes that are enough for a wrong size would pass for all of them.
fn check_len(size: Option<u64>, checkpoint: &DownloadCheckpoint) -> Result<()> {
    match (size, checkpoint.len()) {
        (Some(size), Some(len)) if size != len => {
            let digest = checkpoint.digest();
            let text = format!(
                "`{digest}` should have {size} bytes, the server had {len} before the checkpoint"
            );
            Err(Error::new(acr_core::ErrorKind::Integrity, text))
        }
        _ => Ok(()),
    }
}

impl IntoFuture for Download {
    type Output = Result<BlobReader>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}
