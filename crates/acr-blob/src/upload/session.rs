//! An upload step by step, for those who have the content piece by piece.

use std::sync::atomic::Ordering;

use acr_core::{Digest, Digester, ErrorKind, RepositoryName, Result, http::Operation};
use bytes::Bytes;

use crate::{
    info::BlobInfo,
    repository::Repository,
    upload::{
        checkpoint::UploadCheckpoint,
        drive::{Transfer, Until},
        feed::Feed,
        machine::Machine,
        plan::{Closing, Plan, Sending},
        wire::Wire,
    },
};

/// An upload in progress, to which its owner writes piece by piece.
///
/// [`complete`](Self::complete) and [`cancel`](Self::cancel) consume it: a finished upload
/// cannot be written to. Every byte is hashed once, whatever is sent again. Dropped without
/// either, the session expires on the registry.
///
/// ```no_run
/// # async fn run(blobs: acr_blob::BlobClient) -> acr_core::Result<()> {
/// let mut session = blobs.start_upload().await?;
/// session.write("hello ").await?;
/// let blob = session.complete("world", None).await?;
/// # let _ = blob; Ok(()) }
/// ```
#[must_use = "an upload that is not completed stores nothing"]
pub struct UploadSession {
    transfer: Box<Transfer>,
}

/// What became of a request to mount a blob from another repository.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |blobs, digest| {
/// use acr_blob::Mount;
///
/// let mount = blobs.mount(&digest, &"library/base".parse()?).await?;
/// assert!(matches!(mount, Mount::Mounted));
/// # Ok(()) });
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Mount {
    /// The repository has the blob now.
    Mounted,
    /// It has not; the registry opened an upload instead.
    NotMounted(UploadSession),
}

impl UploadSession {
    pub(crate) async fn start(repository: &Repository) -> Result<Self> {
        let mut session = Self::fresh(repository, Digester::default());
        session.transfer.open().await?;
        Ok(session)
    }

    pub(crate) async fn mount(
        repository: &Repository,
        digest: &Digest,
        from: &RepositoryName,
    ) -> Result<Mount> {
        let mut session = Self::fresh(repository, digest.digester());
        session.transfer.expected = Some(digest.clone());
        session.transfer.mount = Some(from.clone());
        if session.transfer.open().await? {
            session.transfer.expected = None;
            Ok(Mount::NotMounted(session))
        } else {
            Ok(Mount::Mounted)
        }
    }

    pub(crate) async fn resume(repository: &Repository, saved: &UploadCheckpoint) -> Result<Self> {
        let (location, digester) = saved.open(&repository.name)?;
        let wire = Wire::resume(repository, location)?;
        // What was not hashed cannot be gone on with: the content is not here.
        let start = digester.len();
        let (plan, limit) = repository.learned.apply(PLAN, None);
        let machine = Machine::resumed(plan, limit, start, start);
        let mut session = Self::new(repository, machine, start, digester);
        session.transfer.wire = Some(wire);
        *session.transfer.is_noted.get_mut() = true;
        session.transfer.machine.forget(start);
        session.transfer.machine.extend(start, false);
        session.advance(Until::Looked).await?;
        Ok(session)
    }

    fn fresh(repository: &Repository, digester: Digester) -> Self {
        let (plan, limit) = repository.learned.apply(PLAN, None);
        Self::new(repository, Machine::new(plan, limit), 0, digester)
    }

    fn new(repository: &Repository, machine: Machine, start: u64, digester: Digester) -> Self {
        let feed = Feed::given(start, digester);
        Self { transfer: Box::new(Transfer::new(repository.clone(), machine, feed)) }
    }

    /// Appends bytes: `PATCH {location}`. After a doubtful outcome it asks the registry how
    /// far it got and sends what is missing. If the registry lost the session and had confirmed
    /// nothing, another one is opened. Bytes that are fewer than the registry's
    /// `OCI-Chunk-Min-Length` are kept until there are more, or until the upload is completed.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |blobs, digest| {
    /// let mut session = blobs.start_upload().await?;
    /// for line in ["sample ", "layer"] {
    ///     session.write(line).await?;
    /// }
    /// assert_eq!(session.complete("", None).await?.digest, digest);
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// [`acr_core::ErrorKind::Session`] when the registry lost the upload. After any error the upload
    /// is over; its session is cancelled, best effort. But if a [checkpoint](Self::checkpoint) was
    /// taken, or it was gone on with from one, it is left to be resumed where trouble may pass:
    /// sign-in, rights, throttling, a 5xx, time-outs and broken connections.
    ///
    /// # Cancellation
    ///
    /// Safe: the bytes are taken over when the future is polled for the first time, and what
    /// the registry misses of them is sent by the next call. Do not pass them again.
    pub async fn write(&mut self, bytes: impl Into<Bytes> + Send) -> Result<()> {
        let bytes = bytes.into();
        let confirmed = self.transfer.machine.confirmed();
        let floor = self.transfer.feed.forget(confirmed);
        self.transfer.machine.forget(floor);
        self.transfer.give(bytes, false).await?;
        self.advance(Until::Starved).await
    }

    /// Bytes that the registry has confirmed.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |blobs, digest| {
    /// let mut session = blobs.start_upload().await?;
    /// session.write("sample ").await?;
    /// assert_eq!(session.offset(), 7);
    /// # Ok(()) });
    /// ```
    pub fn offset(&self) -> u64 {
        self.transfer.machine.confirmed()
    }

    /// Asks the registry how many bytes it has: `GET {location}`.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |blobs, digest| {
    /// let mut session = blobs.start_upload().await?;
    /// session.write("sample ").await?;
    /// assert_eq!(session.status().await?, 7);
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// [`acr_core::ErrorKind::Session`] when the registry lost the upload, or has not what it
    /// confirmed. A question that gets no answer leaves the session as it was, whatever the error:
    /// ask again, or write on. Some registries cannot be asked at all (400, 405, 501, or a success
    /// that says nothing, [`acr_core::ErrorKind::Protocol`]): with them an upload whose last bytes
    /// may or may not have arrived is lost.
    ///
    /// # Cancellation
    ///
    /// Safe: call again.
    pub async fn status(&mut self) -> Result<u64> {
        self.transfer.machine.ask_now();
        self.advance(Until::Looked).await?;
        Ok(self.offset())
    }

    /// What another process needs to go on with [`BlobClient::resume_upload`](crate::BlobClient::resume_upload); `None` once
    /// the session is lost. It counts all that was written: while some of it was not sent (a
    /// `write` that was dropped, or fewer bytes than `OCI-Chunk-Min-Length`), only
    /// [`Upload::resume`](crate::Upload::resume) can go on, which has the content.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |blobs, digest| {
    /// let mut session = blobs.start_upload().await?;
    /// session.write("sample ").await?;
    /// let saved = session.checkpoint().expect("a session that is open");
    /// assert_eq!(saved.confirmed(), 7);
    /// # Ok(()) });
    /// ```
    pub fn checkpoint(&self) -> Option<UploadCheckpoint> {
        let checkpoint =
            self.transfer.wire.as_ref().and_then(|wire| self.transfer.checkpoint(wire));
        self.transfer.is_noted.fetch_or(checkpoint.is_some(), Ordering::Relaxed);
        checkpoint
    }

    /// Ends the upload with its last bytes, possibly none: `PUT {location}&digest=`. With
    /// `expected`, content of another digest is not stored.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |blobs, digest| {
    /// use acr_core::ErrorKind;
    ///
    /// let session = blobs.start_upload().await?;
    /// let error = session.complete("something else", Some(&digest)).await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Integrity);
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// [`acr_core::ErrorKind::Integrity`] when the content has another digest, or the registry stored
    /// something else; those of [`UploadSession::write`].
    ///
    /// # Cancellation
    ///
    /// After a drop the blob may or may not be stored; its digest tells.
    pub async fn complete(
        mut self,
        last: impl Into<Bytes> + Send,
        expected: Option<&Digest>,
    ) -> Result<BlobInfo> {
        let last = last.into();
        self.transfer.expected = expected.cloned();
        self.transfer.give(last, true).await?;
        self.advance(Until::Starved).await?;
        Ok(self.transfer.info())
    }

    /// Ends the upload without storing anything: `DELETE {location}`. Needs the right to
    /// delete. Sends nothing where a write that failed has ended the session already, and one `DELETE`
    /// more for each session before it that a write lost and could not end.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |blobs, digest| {
    /// let mut session = blobs.start_upload().await?;
    /// session.write("not wanted after all").await?;
    /// session.cancel().await?;
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// [`acr_core::ErrorKind::Forbidden`] without that right: the session then expires by itself.
    ///
    /// # Cancellation
    ///
    /// After a drop the session may or may not be open still.
    pub async fn cancel(self) -> Result<()> {
        let mut result = Ok(());
        for wire in &self.transfer.left {
            match wire.cancel().await {
                // It has expired.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                ended => result = result.and(ended),
            }
        }
        match &self.transfer.wire {
            Some(wire) => result.and(wire.cancel().await),
            None => result,
        }
    }

    async fn advance(&mut self, until: Until) -> Result<()> {
        let operation = Operation::new("upload_blob").on(&self.transfer.repository.name);
        let end = Box::pin(self.transfer.run(until)).await;
        end.map_err(|error| error.with_operation(Some(&operation)))
    }
}

impl std::fmt::Debug for UploadSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let repository = &self.transfer.repository.name;
        f.debug_struct("UploadSession")
            .field("repository", repository)
            .field("offset", &self.offset())
            .finish_non_exhaustive()
    }
}

/// What the caller gives is one body; it is cut only if it is refused.
const PLAN: Plan = Plan { chunk: u64::MAX, sending: Sending::Given, closing: Closing::Anything };
