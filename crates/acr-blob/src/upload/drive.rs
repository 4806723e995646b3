//! Does what the machine says and tells it the outcome.

use std::{
    future::{Future as _, poll_fn},
    pin::pin,
    time::Duration,
};

use acr_core::{Digest, Error, ErrorKind, Operation, RepositoryName, Result};
use bytes::Bytes;
use tracing::warn;

use crate::{
    client::BlobClient,
    info::BlobInfo,
    progress::{Observer, Phase},
    upload::{
        body,
        checkpoint::{Saver, UploadCheckpoint},
        feed::Feed,
        machine::{Action, Cause, Event, Failure, Machine, Plan},
        wire::{self, Refusal, Started, Wire},
    },
};

/// An upload under way.
pub(crate) struct Transfer {
    pub(crate) client: BlobClient,
    pub(crate) machine: Machine,
    pub(crate) wire: Option<Wire>,
    pub(crate) feed: Feed,
    pub(crate) expected: Option<Digest>,
    pub(crate) mount: Option<RepositoryName>,
    pub(crate) observer: Observer,
    pub(crate) saver: Saver,
    /// The registry had it in another repository, and nothing was sent.
    pub(crate) is_mounted: bool,
    /// What the commit named.
    digest: Option<Digest>,
    /// The last failure, for the end.
    error: Option<Error>,
    first_plan: Plan,
}

/// Where [`Transfer::run`] stopped.
pub(crate) enum Stop {
    /// The blob is stored.
    Finished,
    /// More content is needed, and the caller has it.
    Starved,
}

impl Transfer {
    pub(crate) fn new(client: BlobClient, machine: Machine, feed: Feed) -> Self {
        let first_plan = machine.plan();
        Self {
            client,
            machine,
            wire: None,
            feed,
            expected: None,
            mount: None,
            observer: Observer::default(),
            saver: Saver::default(),
            is_mounted: false,
            digest: None,
            error: None,
            first_plan,
        }
    }

    /// Goes on until the end, or until the caller has to give content.
    pub(crate) async fn run(&mut self, is_given: bool) -> Result<Stop> {
        self.machine.interrupted();
        loop {
            let event = match self.machine.next() {
                Action::Read if is_given => return Ok(Stop::Starved),
                Action::Read => self.read().await,
                Action::Start => self.start().await,
                Action::Append { from, to } => self.append(from, to).await,
                Action::Commit { from } => self.commit(from).await,
                Action::Ask { recovery } => self.ask(recovery).await,
                Action::Verify => self.verify().await,
                Action::Abandon => {
                    self.tell(Phase::Recovering);
                    self.abandon().await;
                    Ok(Event::Abandoned)
                }
                Action::Finish => {
                    self.learn();
                    return Ok(Stop::Finished);
                }
                Action::Fail(cause) => Err(self.failure(cause)),
            };
            match event {
                Ok(event) => self.machine.on(event),
                Err(error) => {
                    match error.kind() {
                        ErrorKind::Connect => {}
                        ErrorKind::Session => self.wire = None,
                        _ => self.abandon().await,
                    }
                    return Err(error);
                }
            }
        }
    }

    /// Opens the session now, for a caller who wants to hold one.
    pub(crate) async fn open(&mut self) -> Result<bool> {
        let event = self.start().await?;
        self.machine.on(event);
        Ok(matches!(event, Event::Opened { .. }))
    }

    /// The outcome of a finished upload.
    pub(crate) fn info(&self) -> BlobInfo {
        let digest = self.digest.clone().unwrap_or_else(|| self.feed.digest());
        BlobInfo { digest, size: self.machine.available() }
    }

    /// Cancels the session, if there is one, best effort.
    pub(crate) async fn abandon(&mut self) {
        if let Some(wire) = self.wire.take() {
            wire.abandon().await;
        }
    }

    async fn read(&mut self) -> Result<Event> {
        let floor = self.feed.forget(self.machine.confirmed());
        self.machine.forget(floor);
        let (to, ended) = self.feed.read(self.machine.missing()).await?;
        Ok(Event::Available { to, ended })
    }

    async fn start(&mut self) -> Result<Event> {
        let mount = self.expected.as_ref().zip(self.mount.as_ref());
        match Wire::start(&self.client, mount).await? {
            Started::Mounted => {
                self.digest = self.expected.clone();
                self.is_mounted = true;
                Ok(Event::Present)
            }
            Started::Opened(wire, min_chunk) => {
                self.wire = Some(*wire);
                // Asked once; another session is not going to be mounted either.
                self.mount = None;
                self.save();
                Ok(Event::Opened { min_chunk })
            }
        }
    }

    async fn append(&mut self, from: u64, to: u64) -> Result<Event> {
        self.feed.hash_up_to(from).await?;
        let body = self.feed.body(from, to, self.machine.plan().chunk).await?;
        let Some(wire) = &mut self.wire else {
            return Err(wire::lost(self.error.take()));
        };
        let sent = {
            // The next chunk is read while this one is sent.
            let mut send = pin!(wire.append(from, to, body));
            let mut prefetch = pin!(self.feed.prefetch());
            let mut is_ahead = false;
            poll_fn(|cx| {
                is_ahead = is_ahead || prefetch.as_mut().poll(cx).is_ready();
                send.as_mut().poll(cx)
            })
            .await
        };
        match sent {
            Ok(received) => {
                self.error = None;
                let event = Event::Accepted(received);
                // Told and saved by what the machine makes of it.
                self.machine.on(event);
                if self.machine.confirmed() == to {
                    self.save();
                    self.tell(Phase::Transferring);
                }
                Ok(Event::Noted)
            }
            Err(refusal) => self.refused(refusal),
        }
    }

    async fn commit(&mut self, from: u64) -> Result<Event> {
        let to = self.machine.available();
        let is_first = self.machine.is_untouched();
        let limit = self.machine.plan().chunk;
        let body = self.feed.body(from, to, limit).await?;
        let digest = match &self.expected {
            Some(expected) if to.saturating_sub(from) > limit => {
                self.feed.ledger().expect(expected.clone(), to);
                expected.clone()
            }
            _ => self.whole_digest(to).await?,
        };
        self.digest = Some(digest.clone());
        self.tell(Phase::Committing);
        let Some(wire) = &mut self.wire else {
            return Err(wire::lost(self.error.take()));
        };
        match wire.commit((from, to), is_first, body, &digest).await {
            Ok(named) => {
                self.wire = None;
                self.error = None;
                Ok(Event::Stored { named })
            }
            Err(refusal) => self.refused(refusal),
        }
    }

    async fn whole_digest(&mut self, to: u64) -> Result<Digest> {
        self.feed.hash_up_to(to).await?;
        self.feed.check_unchanged().await?;
        let computed = self.feed.digest();
        match &self.expected {
            Some(expected) if *expected != computed => Err(body::unexpected(expected, &computed)),
            _ => Ok(computed),
        }
    }

    async fn ask(&mut self, recovery: u32) -> Result<Event> {
        if let Some(error) = &self.error {
            let pause = error.retry_after().unwrap_or(PAUSE.saturating_mul(recovery));
            let pause = pause.min(wire::MAX_PAUSE);
            warn!(%error, recovery, pause_ms = pause.as_millis(), "asking the registry how far the upload got");
            self.tell(Phase::Recovering);
            tokio::time::sleep(pause).await;
        }
        let Some(wire) = &mut self.wire else {
            return Err(wire::lost(self.error.take()));
        };
        match wire.status().await {
            Ok(received) => Ok(Event::Status(received)),
            // Lost for good: the registry says so. Otherwise what broke first says more.
            Err(Refusal { failure: Failure::Lost, error }) => {
                self.error = Some(error);
                Ok(Event::Failed(Failure::Lost))
            }
            Err(Refusal { error, .. }) => {
                self.error.get_or_insert(error);
                Ok(Event::Failed(Failure::Refused))
            }
        }
    }

    async fn verify(&mut self) -> Result<Event> {
        let Some(digest) = self.digest.clone() else {
            return Ok(Event::Absent);
        };
        let size = self.machine.available();
        match self.client.stat(&digest).await {
            Ok(Some(info)) if info.size == size => Ok(Event::Present),
            // A commit that failed for another reason: that one is told.
            Err(error) if self.error.is_none() => Err(error),
            _ => Ok(Event::Absent),
        }
    }

    fn refused(&mut self, refusal: Refusal) -> Result<Event> {
        if let Some(error) = self.feed.ledger().take_broken() {
            return Err(error);
        }
        let Refusal { failure, error } = refusal;
        self.error = Some(error);
        Ok(Event::Failed(failure))
    }

    fn failure(&mut self, cause: Cause) -> Error {
        let error = self.error.take();
        match cause {
            Cause::Refused => error.unwrap_or_else(|| wire::lost(None)),
            Cause::Lost => wire::lost(error),
            Cause::Misreported(received) => {
                let sent = self.machine.sent();
                let text = format!("the registry confirms {received} bytes where {sent} were sent");
                let operation = Operation::new("upload_chunk").on(&self.client.repository);
                Error::new(ErrorKind::Protocol, text).with_operation(Some(&operation))
            }
            Cause::Unstored => {
                let digest = self.info().digest;
                let text =
                    format!("the registry took the content and has no blob `{digest}` of its size");
                Error::new(ErrorKind::Integrity, text)
            }
        }
    }

    fn tell(&self, phase: Phase) {
        let total = self.feed.replayable_len();
        self.observer.tell(phase, self.machine.confirmed(), total, self.machine.retries());
    }

    fn save(&self) {
        if let (Some(wire), true) = (&self.wire, self.saver.is_some()) {
            self.saver.save(&self.checkpoint(wire));
        }
    }

    pub(crate) fn checkpoint(&self, wire: &Wire) -> UploadCheckpoint {
        let digester = self.feed.ledger().digester();
        let repository = self.client.repository.clone();
        UploadCheckpoint::new(repository, wire.location(), self.machine.confirmed(), &digester)
    }

    /// Takes a piece from the caller.
    pub(crate) async fn give(&mut self, piece: Bytes, ended: bool) {
        let to = self.feed.give(piece).await;
        self.machine.extend(to, ended);
    }

    fn learn(&self) {
        let (first, now) = (self.first_plan, self.machine.plan());
        if let Some(limit) = self.machine.limit() {
            self.client.learned.note_limit(limit);
        }
        if first.rides && !now.rides {
            self.client.learned.note_empty_commit();
        }
    }
}

/// Waited before asking, times the number of the recovery, unless the registry named a time.
const PAUSE: Duration = Duration::from_millis(500);
