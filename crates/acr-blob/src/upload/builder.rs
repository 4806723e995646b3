//! Uploads of whole contents: what the caller wants, and how to start.

use std::{future::IntoFuture, pin::Pin};

use acr_core::{Digest, Digester, Operation, RepositoryName, Result};

use crate::{
    client::BlobClient,
    content::Content,
    info::BlobInfo,
    progress::{Observer, Phase, Progress},
    upload::{
        checkpoint::{Saver, UploadCheckpoint},
        drive::Transfer,
        feed::{Feed, index},
        machine::{Machine, Plan},
        wire::Wire,
    },
};

/// Uploads content when awaited, and gives its digest and size.
///
/// Bytes and files are sent as one body: `POST`, then `PUT` with everything if the digest
/// is known or the content is at most one chunk, else one `PATCH` and a `PUT` without a
/// body. Other content goes in chunks with `PATCH`, the last one with the `PUT`. What the
/// registry refuses (413, `OCI-Chunk-Min-Length`, a body on the `PUT`) changes the plan
/// of this upload and of later ones of the same client.
///
/// After a failure whose outcome is unknown it asks the registry how far it got and sends
/// what is missing, in chunks, which get smaller while nothing arrives. If the session is lost, content that can be read again
/// (bytes, files, and anything of which only the first chunk was read) is sent again from
/// its first byte, at most twice. Every byte is hashed once.
///
/// Memory in use: about 1.5 MiB for bytes and files sent as one body; else two chunks, one
/// being sent and one being read, three after a failure.
///
/// # Errors
///
/// [`acr_core::ErrorKind::Source`] when the content cannot be read or changes;
/// [`acr_core::ErrorKind::Integrity`] when it does not have the digest expected, or the
/// registry stored something else; [`acr_core::ErrorKind::Session`] when the registry
/// lost the upload. After an error the session on the registry is cancelled, best effort.
///
/// # Cancellation
///
/// A dropped upload stores nothing, unless it was closing; its session expires on the
/// registry.
#[derive(Debug)]
#[must_use = "nothing is sent until it is awaited"]
pub struct UploadBlob<'a> {
    client: &'a BlobClient,
    content: Content,
    expected: Option<Digest>,
    chunk_size: Option<usize>,
    skip_existing: bool,
    mount_from: Option<RepositoryName>,
    checkpoint: Option<UploadCheckpoint>,
    saver: Saver,
    observer: Observer,
}

impl<'a> UploadBlob<'a> {
    pub(crate) fn new(client: &'a BlobClient, content: Content) -> Self {
        Self {
            client,
            content,
            expected: None,
            chunk_size: None,
            skip_existing: false,
            mount_from: None,
            checkpoint: None,
            saver: Saver::default(),
            observer: Observer::default(),
        }
    }

    /// Stores the content only if it has this digest, and under this digest's algorithm.
    pub fn digest(mut self, expected: Digest) -> Self {
        self.expected = Some(expected);
        self
    }

    /// Sends chunks of this many bytes (default 8 MiB, at least 16 bytes; registries
    /// refuse chunks from about 20 MiB on), also where one body would do.
    pub fn chunk_size(mut self, bytes: usize) -> Self {
        self.chunk_size = Some(bytes.max(MIN_CHUNK_SIZE));
        self
    }

    /// Asks first (`HEAD`) whether the repository has the blob, and sends nothing then.
    /// Needs the digest: without [`UploadBlob::digest`] it has no effect.
    pub fn skip_existing(mut self) -> Self {
        self.skip_existing = true;
        self
    }

    /// Asks the registry to take the blob over from another of its repositories, in the
    /// same request that starts the upload. Needs the digest: without
    /// [`UploadBlob::digest`] it has no effect.
    pub fn mount_from(mut self, repository: RepositoryName) -> Self {
        self.mount_from = Some(repository);
        self
    }

    /// Calls a function with a checkpoint when the session is open and after every
    /// confirmed chunk. The content then goes in chunks. The function must not block for
    /// long; write the checkpoint down and replace the older one.
    pub fn on_checkpoint(
        mut self,
        function: impl Fn(&UploadCheckpoint) + Send + Sync + 'static,
    ) -> Self {
        self.saver = Saver::new(function);
        self
    }

    /// Goes on with an upload of the same content, given from its first byte. What the
    /// registry has is not sent again; a file is not even read again, except what was
    /// sent after the checkpoint. If the session is gone, the upload starts anew.
    pub fn resume(mut self, checkpoint: UploadCheckpoint) -> Self {
        self.checkpoint = Some(checkpoint);
        self
    }

    /// Calls a function whenever the upload got further.
    pub fn on_progress(mut self, function: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        self.observer = Observer::new(function);
        self
    }

    async fn send(self) -> Result<BlobInfo> {
        let operation = Operation::new("upload_blob").on(&self.client.repository);
        self.run().await.map_err(|error| error.with_operation(Some(&operation)))
    }

    async fn run(self) -> Result<BlobInfo> {
        let Self { client, expected, observer, .. } = &self;
        if let (true, Some(digest)) = (self.skip_existing, expected)
            && let Some(info) = client.stat(digest).await?
        {
            observer.tell(Phase::Done, info.size, Some(info.size), 0);
            return Ok(info);
        }
        let (expected, observer) = (expected.clone(), observer.clone());
        let client = (*client).clone();
        let mut transfer = self.plan(client.clone())?;
        let total = transfer.feed.replayable_len();
        transfer.feed.ledger().observe(observer.clone(), total);
        (transfer.observer, transfer.expected) = (observer.clone(), expected);
        transfer.run(false).await?;
        let mut info = transfer.info();
        if transfer.is_mounted
            && let Some(mounted) = client.stat(&info.digest).await?
        {
            info = mounted;
        }
        observer.tell(Phase::Done, info.size, Some(info.size), transfer.machine.retries());
        Ok(info)
    }

    fn plan(self, client: BlobClient) -> Result<Transfer> {
        let plan = client.learned.apply(Plan {
            chunk: self.chunk_size.unwrap_or(CHUNK_SIZE) as u64,
            one_body: self.chunk_size.is_none()
                && !self.saver.is_some()
                && self.content.is_replayable(),
            digest_known: self.expected.is_some(),
            rides: true,
            eager: false,
        });
        let mut digester: Digester =
            self.expected.as_ref().map(Digest::digester).unwrap_or_default();
        let mut machine = Machine::new(plan);
        let mut wire = None;
        if let Some(checkpoint) = &self.checkpoint {
            let (location, saved) = checkpoint.open(&client.repository)?;
            wire = Some(Wire::resume(&client, location)?);
            if self.content.is_replayable() {
                digester = saved;
            }
            let offered = self.content.len().unwrap_or(u64::MAX);
            machine = Machine::resumed(plan, checkpoint.confirmed(), offered);
        }
        let feed = Feed::new(self.content.0, index(plan.chunk), digester);
        let mut transfer = Transfer::new(client, machine, feed);
        transfer.wire = wire;
        transfer.mount = self.mount_from;
        transfer.saver = self.saver;
        Ok(transfer)
    }
}

impl<'a> IntoFuture for UploadBlob<'a> {
    type Output = Result<BlobInfo>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

/// Large enough to make requests rare, small enough for every front end.
const CHUNK_SIZE: usize = 8 * 1024 * 1024;

/// Smaller ones are all overhead.
const MIN_CHUNK_SIZE: usize = 16;
