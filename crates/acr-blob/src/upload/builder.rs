//! Uploads of whole contents: what the caller wants, and how to start.

use std::{future::IntoFuture, pin::Pin, sync::Arc};

use acr_core::{Digest, Error, ErrorKind, RepositoryName, Result, http::Operation, value::Given};

use crate::{
    content::Content,
    info::BlobInfo,
    look,
    progress::{Observer, Phase, Progress},
    repository::Repository,
    source::Source,
    upload::{
        checkpoint::{Saver, UploadCheckpoint},
        drive::{Transfer, Until},
        feed::Feed,
        machine::Machine,
        plan::{CHUNK, Closing, Plan, Sending},
        replay::index,
        wire::Wire,
    },
};

/// Uploads content when awaited, and gives its digest and size.
///
/// Bytes and files are sent as one body: `POST`, then `PUT` with everything if the digest
/// is known or the content is at most one chunk, else one `PATCH` and a `PUT` without a
/// body; so is a [stream](Content::sized_stream) or [reader](Content::sized_reader) of a known
/// length. Other content goes in chunks with `PATCH`, the last one with the `PUT`. What the
/// registry refuses (413, a body on the `PUT`) changes the plan of this upload and of later
/// ones of the same client, until it is taken again: now and then it is tried. No chunk but
/// the last one is shorter than `OCI-Chunk-Min-Length`.
///
/// After a failure whose outcome is unknown it asks the registry how far it got and sends
/// what is missing, in chunks, which get smaller while nothing arrives. If the session is
/// lost, content that can be read again (bytes, files, and anything of which only the first
/// chunk was read) is sent again from its first byte, at most twice. Before that, if the closing
/// request of content longer than a chunk had no answer, the blob is looked for during five times
/// as long as that took, but a minute at least if it timed out and the content is longer than
/// 8 MiB, and a quarter of an hour at most.
///
/// Memory in use: about 1.5 MiB for bytes and files sent as one body, the last 8 MiB of a stream
/// or reader sent so; else two chunks, one being sent and one being read, three after a failure.
///
/// # Errors
///
/// [`acr_core::ErrorKind::Source`] when the content cannot be read or changes, a file by its
/// length or its times;
/// [`acr_core::ErrorKind::Integrity`] when it does not have the digest expected, or the
/// registry stored something else; [`acr_core::ErrorKind::Session`] when the registry
/// lost the upload. After an error the session on the registry is cancelled, best effort; but
/// an upload that has a checkpoint is left to be resumed where trouble may pass: sign-in, rights,
/// throttling, a 5xx, time-outs and broken connections.
///
/// # Cancellation
///
/// A dropped upload stores nothing, unless it was closing; its session expires on the
/// registry.
#[derive(Debug)]
#[must_use = "nothing is sent until it is awaited"]
pub struct Upload {
    repository: Repository,
    content: Content,
    expected: Option<Digest>,
    chunk_size: Option<usize>,
    skip_existing: bool,
    mount_from: Option<RepositoryName>,
    /// What is wrong with a name that was given, told when it is awaited.
    wrong: Option<Arc<Error>>,
    checkpoint: Option<(UploadCheckpoint, Rest)>,
    saver: Saver,
    observer: Observer,
}

/// What the content of a resumed upload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    /// All of it, from the first byte.
    Whole,
    /// What the registry had not confirmed, as the caller vouches.
    Vouched,
    /// The caller said both.
    Contradictory,
}

impl Upload {
    pub(crate) fn new(repository: Repository, content: Content) -> Self {
        Self {
            repository,
            content,
            expected: None,
            chunk_size: None,
            skip_existing: false,
            mount_from: None,
            wrong: None,
            checkpoint: None,
            saver: Saver::default(),
            observer: Observer::default(),
        }
    }

    /// Stores the content only if it has this digest, and under this digest's algorithm.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |blobs, digest| {
    /// use acr_core::{Digest, ErrorKind};
    ///
    /// assert_eq!(blobs.upload("sample layer").digest(digest.clone()).await?.digest, digest);
    /// let error = blobs.upload("something else").digest(digest).await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Integrity);
    /// # Ok(()) });
    /// ```
    pub fn digest(mut self, expected: impl TryInto<Digest, Error: Into<Error>>) -> Self {
        self.expected = self.given(expected);
        self
    }

    /// Sends chunks of this many bytes (default 8 MiB, at least 16 bytes; registries
    /// refuse chunks from about 20 MiB on), also where one body would do.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |blobs, digest| {
    /// // Behind a front end that takes a mebibyte at once.
    /// let blob = blobs.upload(vec![7; 3 << 20]).chunk_size(1 << 20).await?;
    /// assert_eq!(blob.size, 3 << 20);
    /// # Ok(()) });
    /// ```
    pub fn chunk_size(mut self, bytes: usize) -> Self {
        self.chunk_size = Some(bytes.max(MIN_CHUNK_SIZE));
        self
    }

    /// Asks first (`HEAD`) whether the repository has the blob, and sends nothing then. If that
    /// gets no answer of the registry's, a proxy's 404 for example, it is an error, and nothing is
    /// sent either. Needs [`Upload::digest`], and is [`acr_core::ErrorKind::InvalidInput`] without.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |blobs, digest| {
    /// let blob = blobs.upload("sample layer").digest(digest).skip_existing().await?;
    /// assert_eq!(blob.size, 12);
    /// # Ok(()) });
    /// ```
    pub fn skip_existing(mut self) -> Self {
        self.skip_existing = true;
        self
    }

    /// Asks the registry to take the blob over from another of its repositories, in the
    /// same request that starts the upload, and looks (`HEAD`) whether it did; if not, or if
    /// it refuses, the content is sent. Needs [`Upload::digest`], and is
    /// [`acr_core::ErrorKind::InvalidInput`] without, and with a checkpoint: that upload was
    /// started before.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |blobs, digest| {
    /// let upload = blobs.upload("sample layer").digest(digest.clone());
    /// let blob = upload.mount_from("library/base").await?;
    /// assert_eq!(blob.digest, digest);
    /// # Ok(()) });
    /// ```
    pub fn mount_from(
        mut self,
        repository: impl TryInto<RepositoryName, Error: Into<Error>>,
    ) -> Self {
        self.mount_from = self.given(repository);
        self
    }

    /// Calls a function with a checkpoint when the session is open and after every
    /// confirmed chunk. The content then goes in chunks. The function must not block for
    /// long; write the checkpoint down and replace the older one.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |blobs, digest| {
    /// use acr_blob::UploadCheckpoint;
    /// # let folder = tempfile::tempdir()?;
    /// # let note = folder.path().join("layer.upload");
    ///
    /// let save = move |checkpoint: &UploadCheckpoint| {
    ///     let json = serde_json::to_vec(checkpoint).expect("a checkpoint is JSON");
    ///     std::fs::write(&note, json).expect("the disk has room");
    /// };
    /// blobs.upload("sample layer").on_checkpoint(save).await?;
    /// # Ok(()) });
    /// ```
    pub fn on_checkpoint(
        mut self,
        function: impl Fn(&UploadCheckpoint) + Send + Sync + 'static,
    ) -> Self {
        self.saver = Saver::new(function);
        self
    }

    /// Goes on with an upload of the same content, given from its first byte. What the
    /// registry has is not sent again.
    ///
    /// That it is the same content is checked before anything is sent: what lies below the
    /// checkpoint is read again and must have the hash that was written down. This costs a
    /// read of so many bytes from the disk and a second of one processor for each gigabyte or
    /// two. It is left out for a file whose device, inode, length and times of modification
    /// and change are those that the checkpoint has, on Unix. Writing through a memory mapping
    /// may leave them as they are: if your file is written so, name its [`Upload::digest`].
    ///
    /// The checkpoint itself is believed: whoever may write the file that you keep it in can
    /// decide how the blob begins, unless its digest is named.
    ///
    /// If the session is gone or the content is another one, the session is cancelled and the
    /// upload starts anew. Streams and readers pass only once: if they turn out to be another
    /// content, it is [`acr_core::ErrorKind::Source`].
    ///
    /// ```no_run
    /// use acr_blob::{BlobClient, BlobInfo, Content, UploadCheckpoint};
    /// use acr_core::http::BoxError;
    ///
    /// /// Run it again after a crash: it goes on where it stood.
    /// async fn push(blobs: &BlobClient, path: &str) -> Result<BlobInfo, BoxError> {
    ///     let note = format!("{path}.upload");
    ///     let mut upload = blobs.upload(Content::file(path).await?);
    ///     // A note that cannot be read is as good as none.
    ///     if let Ok(json) = std::fs::read(&note)
    ///         && let Ok(saved) = serde_json::from_slice::<UploadCheckpoint>(&json)
    ///     {
    ///         upload = upload.resume(saved);
    ///     }
    ///     let to = note.clone();
    ///     let upload = upload.on_checkpoint(move |checkpoint| {
    ///         // Beside and then into its place, so that a crash leaves the older one.
    ///         let Ok(json) = serde_json::to_vec(checkpoint) else { return };
    ///         let new = format!("{to}.new");
    ///         let _ = std::fs::write(&new, json).and_then(|()| std::fs::rename(new, &to));
    ///     });
    ///     let blob = upload.await?;
    ///     let _ = std::fs::remove_file(&note);
    ///     Ok(blob)
    /// }
    /// ```
    pub fn resume(self, checkpoint: UploadCheckpoint) -> Self {
        self.go_on(checkpoint, Rest::Whole)
    }

    /// Goes on with an upload whose beginning cannot be read again: the content given starts
    /// at the byte [`UploadCheckpoint::confirmed`], and nobody can check that it is the rest
    /// of what was sent. You vouch for it; with another rest the blob is a mixture, unless
    /// [`Upload::digest`] tells what it must be.
    ///
    /// If the session is gone, it is [`acr_core::ErrorKind::Session`].
    ///
    /// ```no_run
    /// # async fn run(blobs: acr_blob::BlobClient, saved: acr_blob::UploadCheckpoint, socket: tokio::net::TcpStream) -> acr_core::Result<()> {
    /// // The other side was told to go on from `saved.confirmed()`.
    /// let rest = acr_blob::Content::reader(socket);
    /// let blob = blobs.upload(rest).resume_vouched(saved).await?;
    /// # let _ = blob; Ok(()) }
    /// ```
    pub fn resume_vouched(self, checkpoint: UploadCheckpoint) -> Self {
        self.go_on(checkpoint, Rest::Vouched)
    }

    fn go_on(mut self, checkpoint: UploadCheckpoint, rest: Rest) -> Self {
        let rest = match self.checkpoint {
            Some((_, before)) if before != rest => Rest::Contradictory,
            _ => rest,
        };
        self.checkpoint = Some((checkpoint, rest));
        self
    }

    /// Calls a function whenever the upload got further, where this future is polled. It holds up
    /// the upload while it runs. What two pieces of a body bring may be told at once.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |blobs, digest| {
    /// let upload = blobs.upload("sample layer");
    /// upload.on_progress(|now| println!("{:?}: {} bytes", now.phase, now.transferred)).await?;
    /// # Ok(()) });
    /// ```
    pub fn on_progress(mut self, function: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        self.observer = Observer::new(function);
        self
    }

    async fn send(self) -> Result<BlobInfo> {
        let operation = Operation::new("upload_blob").on(&self.repository.name);
        Box::pin(self.run()).await.map_err(|error| error.with_operation(Some(&operation)))
    }

    async fn run(mut self) -> Result<BlobInfo> {
        self.check()?;
        let Self { repository, expected, observer, .. } = &self;
        if let (true, Some(digest)) = (self.skip_existing, expected)
            && let Some(info) = look::find(repository, digest).await?
        {
            observer.tell(Phase::Done, info.size, Some(info.size), 0);
            return Ok(info);
        }
        let (expected, observer) = (expected.clone(), observer.clone());
        let content = std::mem::replace(&mut self.content, Content::from("")).open().await?;
        let mut transfer = self.plan(content)?;
        let total = transfer.feed.len();
        transfer.feed.ledger().observe(observer.clone(), total);
        (transfer.observer, transfer.expected) = (observer.clone(), expected);
        transfer.run(Until::Starved).await?;
        let info = transfer.info();
        observer.tell(Phase::Done, info.size, Some(info.size), transfer.machine.retries());
        Ok(info)
    }

    fn given<T>(&mut self, value: impl TryInto<T, Error: Into<Error>>) -> Option<T> {
        let given = Given::new(value).get();
        match given {
            Ok(value) => Some(value),
            Err(wrong) => {
                self.wrong.get_or_insert(Arc::new(wrong));
                None
            }
        }
    }

    /// Refuses names that are none, and what would do nothing.
    fn check(&self) -> Result<()> {
        if let Some(wrong) = &self.wrong {
            return Err(Error::shared(wrong));
        }
        let refuse = |text: &str| Err(Error::new(ErrorKind::InvalidInput, text));
        let needs_digest = |option: &str| {
            refuse(&format!("`{option}` needs to know which blob it is: say it with `digest`"))
        };
        match (&self.expected, &self.checkpoint) {
            (None, _) if self.skip_existing => needs_digest("skip_existing"),
            (None, _) if self.mount_from.is_some() => needs_digest("mount_from"),
            (_, Some((_, Rest::Contradictory))) => refuse(
                "`resume` takes the content from its first byte and `resume_vouched` the rest of \
                 it: leave one of them out",
            ),
            (_, Some(_)) if self.mount_from.is_some() => refuse(
                "`mount_from` starts an upload, and a checkpoint goes on with one: leave one of \
                 them out",
            ),
            _ => Ok(()),
        }
    }

    /// Whether the content may go as one body. What passes once does only where a chunk would
    /// not hold all of it, and nobody wants to go on later.
    fn may_be_whole(&self, content: &Source) -> bool {
        let passes = self.checkpoint.is_none() && content.len().is_some_and(|len| len > CHUNK);
        let is_free = self.chunk_size.is_none() && !self.saver.is_some();
        is_free && (content.is_replayable() || passes)
    }

    fn plan(self, mut content: Source) -> Result<Transfer> {
        let is_whole = self.may_be_whole(&content);
        let repository = self.repository;
        let is_vouched = matches!(self.checkpoint, Some((_, Rest::Vouched)));
        if is_vouched {
            if content.is_file() {
                let text = "a file is read from its first byte, and `resume_vouched` takes the rest \
                            only: use `resume`, or give the rest with `Content::reader`";
                return Err(Error::new(ErrorKind::InvalidInput, text));
            }
            content = content.passing();
        }
        let wanted = Plan {
            chunk: self.chunk_size.map_or(CHUNK, |bytes| bytes as u64),
            sending: if is_whole { Sending::Whole } else { Sending::Chunks },
            // One request may carry it all, if the digest is known before the content.
            closing: match &self.expected {
                Some(_) if is_whole => Closing::Anything,
                _ => Closing::LastChunk,
            },
        };
        let (plan, limit) = repository.learned.apply(wanted, content.len());
        let mut digester = self.expected.as_ref().map(Digest::digester).unwrap_or_default();
        let mut machine = Machine::new(plan, limit);
        let (mut wire, mut saved) = (None, None);
        if let Some((checkpoint, rest)) = &self.checkpoint {
            let (location, hashed) = checkpoint.open(&repository.name)?;
            wire = Some(Wire::resume(&repository, location)?);
            let confirmed = checkpoint.confirmed();
            if *rest == Rest::Vouched {
                machine = Machine::resumed(plan, limit, confirmed, u64::MAX);
                machine.forget(confirmed);
                machine.extend(confirmed, false);
                digester = hashed;
            } else {
                let offered = content.len().unwrap_or(u64::MAX);
                machine = Machine::unproven(plan, limit, confirmed, offered);
                saved = Some((hashed, checkpoint.source().cloned()));
            }
        }
        let chunk = index(machine.chunk());
        let mut feed = Feed::new(content, chunk, digester);
        if plan.sending != Sending::Whole {
            feed.take_back();
        }
        if is_vouched {
            feed.start_at(machine.confirmed());
        }
        let mut transfer = Transfer::new(repository, machine, feed);
        (transfer.wire, transfer.saved) = (wire, saved);
        *transfer.is_noted.get_mut() = self.checkpoint.is_some() || self.saver.is_some();
        (transfer.mount, transfer.saver) = (self.mount_from, self.saver);
        Ok(transfer)
    }
}

impl IntoFuture for Upload {
    type Output = Result<BlobInfo>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

/// Smaller ones are all overhead.
const MIN_CHUNK_SIZE: usize = 16;
