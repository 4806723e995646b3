//! Does what the machine says and tells it the outcome.

mod begin;
mod look;
mod send;

use std::{sync::atomic::AtomicBool, time::Duration};

use acr_core::{Digest, Digester, Error, ErrorKind, RepositoryName, Result, http::Operation};
use bytes::Bytes;
use tracing::warn;

use crate::{
    info::BlobInfo,
    pace::PAUSE,
    progress::{Observer, Phase},
    repository::Repository,
    stamp::Stamp,
    upload::{
        checkpoint::{Saver, UploadCheckpoint},
        feed::Feed,
        machine::Machine,
        outcome::{Action, Cause, Event, Failure},
        wire::{self, Refusal, Wire},
    },
};

/// An upload under way.
pub(crate) struct Transfer {
    pub(crate) repository: Repository,
    pub(crate) machine: Machine,
    pub(crate) wire: Option<Wire>,
    /// Sessions that were given up and may be open still: for `cancel` alone.
    pub(crate) left: Vec<Wire>,
    pub(crate) feed: Feed,
    pub(crate) expected: Option<Digest>,
    pub(crate) mount: Option<RepositoryName>,
    pub(crate) observer: Observer,
    pub(crate) saver: Saver,
    /// What another process hashed, and of what file.
    pub(crate) saved: Option<(Digester, Option<Stamp>)>,
    /// Somebody has a checkpoint, and so can go on later.
    pub(crate) is_noted: AtomicBool,
    /// What the registry says it has, where nothing was sent.
    mounted: Option<BlobInfo>,
    /// What the commit named.
    digest: Option<Digest>,
    /// How long the slowest commit was waited for, and whether it ended with a time-out.
    waited: (Duration, bool),
    /// The last failure, for the end.
    error: Option<Error>,
    is_over: bool,
}

/// How far [`Transfer::run`] goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// The blob is stored, or the caller has to give more content.
    Starved,
    /// The same, but a session that is lost is not begun anew.
    Looked,
}

impl Transfer {
    pub(crate) fn new(repository: Repository, machine: Machine, feed: Feed) -> Self {
        Self {
            repository,
            machine,
            wire: None,
            left: Vec::new(),
            feed,
            expected: None,
            mount: None,
            observer: Observer::default(),
            saver: Saver::default(),
            saved: None,
            is_noted: AtomicBool::new(false),
            mounted: None,
            digest: None,
            waited: (Duration::ZERO, false),
            error: None,
            is_over: false,
        }
    }

    /// Goes on until the blob is stored or the caller has to give content.
    pub(crate) async fn run(&mut self, until: Until) -> Result<()> {
        if self.is_over {
            return Err(wire::lost(self.error.take()));
        }
        self.machine.interrupted();
        loop {
            let action = self.machine.next();
            let is_question = until == Until::Looked && matches!(action, Action::Ask { .. });
            let outcome = match action {
                Action::Read if self.feed.is_given() => return Ok(()),
                Action::Finish => {
                    self.repository.learned.note(&self.machine);
                    return Ok(());
                }
                Action::Abandon if until == Until::Looked => Err(wire::lost(self.error.take())),
                action => self.perform(action).await,
            };
            match outcome {
                // Nothing was learned and nothing changed. The machine is not told, as if nobody
                // had waited for the answer: it asks before it sends.
                Ok(Event::Failed(Failure::Refused)) if is_question => {
                    return Err(self.error.take().unwrap_or_else(|| wire::lost(None)));
                }
                Ok(event) => {
                    let before = self.machine.confirmed();
                    self.machine.on(event);
                    self.confirmed(event, before);
                    let is_mute = matches!(
                        event,
                        Event::Failed(Failure::NoStatus | Failure::Refused) | Event::Status(None)
                    );
                    if is_mute && self.machine.is_settled() {
                        match (until, self.error.take()) {
                            (Until::Looked, Some(error)) => return Err(error),
                            _ => continue,
                        }
                    }
                }
                Err(error) => {
                    self.is_over = true;
                    match error.kind() {
                        ErrorKind::Connect => {}
                        ErrorKind::Session => self.wire = None,
                        kind if *self.is_noted.get_mut() && may_pass(kind) => {}
                        _ => self.abandon().await,
                    }
                    return Err(error);
                }
            }
        }
    }

    async fn perform(&mut self, action: Action) -> Result<Event> {
        match action {
            Action::Read => self.read().await,
            Action::Start => self.start().await,
            Action::Prove { from } => self.prove(from).await,
            Action::Append { from, to, .. } => self.append(from, to).await,
            Action::Commit { from, is_first } => self.commit(from, is_first).await,
            Action::Ask { recovery, .. } => self.ask(recovery).await,
            Action::Verify(doubt) => self.verify(doubt).await,
            Action::Abandon => {
                self.tell(Phase::Recovering);
                self.abandon().await;
                let digester = self.expected.as_ref().map(Digest::digester);
                self.feed.begin_anew(digester.unwrap_or_default());
                Ok(Event::Abandoned)
            }
            Action::Finish => Ok(Event::Present),
            Action::Fail(cause) => Err(self.failure(cause)),
        }
    }

    /// Tells and saves what a chunk brought, once the machine has believed it.
    fn confirmed(&self, event: Event, before: u64) {
        let is_believed = self.machine.confirmed() > before;
        if matches!(event, Event::Accepted(_)) && is_believed {
            self.save();
            self.tell(Phase::Transferring);
        }
    }

    /// The outcome of a finished upload.
    pub(crate) fn info(&self) -> BlobInfo {
        if let Some(info) = &self.mounted {
            return info.clone();
        }
        let digest = self.digest.clone();
        let digest = digest.unwrap_or_else(|| self.feed.digest());
        BlobInfo { digest, size: self.machine.available() }
    }

    /// Cancels the session, if there is one, best effort.
    pub(crate) async fn abandon(&mut self) {
        // First, so that a drop from here on leaves it to `cancel`.
        let Some(wire) = self.wire.take() else { return };
        self.left.push(wire);
        if let Some(wire) = self.left.last()
            && wire.abandon().await
        {
            self.left.pop();
        }
    }

    async fn read(&mut self) -> Result<Event> {
        let floor = self.feed.forget(self.machine.confirmed());
        self.machine.forget(floor);
        let (to, ended) = self.feed.read(self.machine.missing()).await?;
        Ok(Event::Available { to, ended })
    }

    async fn prove(&mut self, from: u64) -> Result<Event> {
        let Some((saved, was)) = &self.saved else {
            return Ok(Event::Disproven);
        };
        let proven = self.feed.prove((saved, was.as_ref()), from).await?;
        let floor = self.feed.forget(from);
        self.machine.forget(floor);
        self.tell(Phase::Recovering);
        Ok(proven.map_or(Event::Disproven, |(to, ended)| Event::Proven { to, ended }))
    }

    async fn ask(&mut self, recovery: u32) -> Result<Event> {
        if let Some(error) = &self.error {
            // A longer pause with each time, unless the registry named one.
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
            Ok(received) => {
                if received.is_none() {
                    self.error.get_or_insert_with(wire::no_status);
                }
                Ok(Event::Status(received))
            }
            // Lost for good: the registry says so. Otherwise what broke first says more.
            Err(Refusal { failure: failure @ (Failure::Lost | Failure::NoStatus), error }) => {
                self.error = Some(error);
                Ok(Event::Failed(failure))
            }
            Err(Refusal { error, .. }) => {
                self.error.get_or_insert(error);
                Ok(Event::Failed(Failure::Refused))
            }
        }
    }

    fn failure(&mut self, cause: Cause) -> Error {
        let error = self.error.take();
        match cause {
            Cause::Refused => error.unwrap_or_else(|| wire::lost(None)),
            Cause::Lost => wire::lost(error),
            Cause::Passed => error.unwrap_or_else(|| wire::lost(None)).with_hint(PASSED),
            Cause::Misreported { received, sent } => {
                let text = format!("the registry confirms {received} bytes where {sent} were sent");
                let operation = Operation::new("upload_chunk").on(&self.repository.name);
                Error::new(ErrorKind::Protocol, text).with_operation(Some(&operation))
            }
            Cause::Changed => {
                let text = "the content does not begin with what was sent before the upload was \
                            interrupted, and cannot be read again: upload it without the \
                            checkpoint, or, if only the rest was given, use `resume_vouched`";
                Error::new(ErrorKind::Source, text)
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
        let total = self.feed.len();
        self.observer.tell(phase, self.machine.confirmed(), total, self.machine.retries());
    }

    fn save(&self) {
        if let (Some(wire), true) = (&self.wire, self.saver.is_some()) {
            // An answer that came before the body was read: nothing to go on from.
            if let Some(checkpoint) = self.checkpoint(wire) {
                self.saver.save(&checkpoint);
            }
        }
    }

    pub(crate) fn checkpoint(&self, wire: &Wire) -> Option<UploadCheckpoint> {
        let digester = self.feed.ledger().digester();
        let (repository, confirmed) = (self.repository.name.clone(), self.machine.confirmed());
        let source = self.feed.stamp().cloned();
        (confirmed <= digester.len()).then(|| {
            UploadCheckpoint::new(repository, wire.location(), confirmed, &digester, source)
        })
    }

    /// Takes a piece from the caller; what it takes to hash it. All else is done at once, so
    /// that a caller who is dropped has given it whole.
    pub(crate) async fn give(&mut self, piece: Bytes, ended: bool) -> Result<()> {
        let (to, waiting) = match self.feed.give(piece) {
            Ok(given) => given,
            Err(error) => {
                self.is_over = true;
                self.abandon().await;
                return Err(error);
            }
        };
        self.machine.extend(to, ended);
        let ledger = self.feed.ledger().clone();
        ledger.settle(waiting).await;
        Ok(())
    }
}

const PASSED: &str = "the content passed once and is not here any more: upload it again from its \
    start, give it as a file or as bytes, or send it in chunks (`chunk_size`)";

/// Whether the same upload may well go on another time.
const fn may_pass(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Credential
            | ErrorKind::Unauthenticated
            | ErrorKind::Forbidden
            | ErrorKind::Throttled
            | ErrorKind::Server
            | ErrorKind::Timeout
            | ErrorKind::Transport
    )
}
