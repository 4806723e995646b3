//! One session, and the body of a request that goes into it.

use std::{
    io,
    sync::{Arc, Mutex},
};

use acr_core::{http::Body, value::DigesterState};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use serde::{Deserialize, Serialize};
use tokio::sync::OwnedMutexGuard;

use super::{
    refusal::{size_invalid, unknown},
    state::UploadState,
};
use crate::{
    answer::Failure,
    clock::Stamp,
    content::{Spool, Store},
    form::encode,
    ledger::{Change, Ledger, Table},
    seal::Key,
    sync::lock,
};

/// One session; locked for as long as a request works on it.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) told: Arc<Told>,
    /// Whether it can be found by its address, and so is recorded.
    is_open: bool,
    /// How much of it is on disk, where that matters.
    recorded: Option<u64>,
    /// `None` once the session is over.
    spool: Option<Spool>,
}

/// A session that a request works on.
pub(crate) type Guard = OwnedMutexGuard<Session>;

/// What is known of a session without its lock.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) id: String,
    repository: String,
    started: Stamp,
    ledger: Option<Arc<Ledger>>,
    progress: Mutex<Progress>,
}

#[derive(Debug, Default)]
struct Progress {
    /// How many bytes survive whatever happens to the request under way.
    confirmed: u64,
    /// Given up while a request worked on it.
    is_over: bool,
}

/// A session on disk; the name of its file is its id.
#[derive(Serialize, Deserialize)]
pub(super) struct Record {
    repository: String,
    pub(super) started: Stamp,
    pub(super) digester: DigesterState,
}

impl Session {
    /// A session that has no address yet: dropped, it leaves nothing.
    pub(crate) fn new(repository: &str, id: String, started: Stamp, store: &Arc<Store>) -> Self {
        let spool = Spool::new(Arc::clone(store), id.clone());
        let told = Told::new(repository.to_owned(), id, started, &spool);
        Self { told, is_open: false, recorded: None, spool: Some(spool) }
    }

    /// The same, to be found by its address.
    pub(super) fn opened(mut self) -> Self {
        self.is_open = true;
        self
    }

    /// What an earlier process left.
    #[cfg(feature = "persist")]
    pub(super) fn restored(id: &str, record: Record, spool: Spool) -> Self {
        let Record { repository, started, .. } = record;
        let told = Told::new(repository, id.to_owned(), started, &spool);
        Self { told, is_open: true, recorded: Some(spool.len()), spool: Some(spool) }
    }

    pub(super) fn is_open(&self) -> bool {
        self.is_open
    }

    /// Ends it: what arrived.
    pub(super) fn take(&mut self) -> Option<Spool> {
        self.spool.take()
    }

    /// How many bytes arrived.
    pub(crate) fn len(&self) -> u64 {
        self.spool.as_ref().map_or(0, Spool::len)
    }

    /// Makes what arrived durable, blocking.
    fn sync(&mut self) -> io::Result<()> {
        let Some(spool) = &mut self.spool else { return Ok(()) };
        let digester = spool.sync()?;
        if let (true, Some(ledger)) = (self.is_open, &self.told.ledger) {
            let progress = lock(&self.told.progress);
            // A record that came after its removal would bring the session back.
            if !progress.is_over {
                let (repository, started) = (self.told.repository.clone(), self.told.started);
                let record = Record { repository, started, digester };
                spool.record();
                ledger.stage([Change::put(Table::Uploads, &self.told.id, "", &record)]);
            }
        }
        self.recorded = Some(spool.len());
        Ok(())
    }

    fn is_settled(&self) -> bool {
        let Some(spool) = &self.spool else { return true };
        self.recorded == Some(spool.len()) || self.told.ledger.is_none()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if lock(&self.told.progress).is_over {
            self.spool.take().into_iter().for_each(discard);
        }
    }
}

impl Told {
    fn new(repository: String, id: String, started: Stamp, spool: &Spool) -> Arc<Self> {
        let progress = Progress { confirmed: spool.len(), is_over: false };
        let (ledger, progress) = (spool.ledger(), Mutex::new(progress));
        Arc::new(Self { id, repository, started, ledger, progress })
    }

    /// How many bytes survive whatever happens to the request under way.
    pub(super) fn confirmed(&self) -> u64 {
        lock(&self.progress).confirmed
    }

    /// Notes that it was given up, on disk too.
    pub(super) fn end(&self) {
        let mut progress = lock(&self.progress);
        progress.is_over = true;
        if let Some(ledger) = &self.ledger {
            ledger.stage([Change::remove(Table::Uploads, &self.id, "")]);
        }
    }

    /// Notes how many bytes are there to stay, unless it was given up meanwhile.
    fn confirm(&self, len: u64) -> Result<(), Failure> {
        let mut progress = lock(&self.progress);
        if progress.is_over {
            return Err(unknown().into());
        }
        progress.confirmed = len;
        Ok(())
    }

    /// The relative address of the next step, with so many bytes there.
    pub(crate) fn location(&self, key: &Key, len: u64) -> String {
        let (name, id) = (&self.repository, &self.id);
        let state = UploadState::new(name, id, len, self.started);
        let state = encode(&state.seal(key));
        format!("/v2/{name}/blobs/uploads/{id}?_nouploadcache=false&_state={state}")
    }
}

/// Reads a body into a session. With a declared length, a longer or shorter body is refused
/// and leaves nothing behind; a body that breaks leaves what arrived, as the range then tells.
pub(crate) async fn receive(
    mut session: Guard,
    body: &mut Body,
    declared: Option<u64>,
) -> Result<Guard, Failure> {
    let start = session.len();
    let checkpoint = session.spool.as_ref().map(Spool::checkpoint);
    let mut fits = true;
    while let Some(frame) = body.frame().await {
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => {
                settle(session).await?;
                return Err(Failure::Broken(io::Error::other(error)));
            }
        };
        let Ok(piece) = frame.into_data() else {
            continue;
        };
        let end = (session.len() - start).saturating_add(piece.len() as u64);
        if declared.is_some_and(|declared| end > declared) {
            fits = false;
            break;
        }
        session = append(session, piece).await?;
    }
    if fits && declared.is_none_or(|declared| session.len() - start == declared) {
        return settle(session).await;
    }
    if let (Some(spool), Some(checkpoint)) = (&mut session.spool, checkpoint) {
        spool.roll_back(checkpoint);
    }
    Err(size_invalid().into())
}

/// Adds a piece. What goes to disk does so on a blocking thread that owns the lock, so that a
/// request given up half-way leaves a whole piece or none.
async fn append(mut session: Guard, piece: Bytes) -> io::Result<Guard> {
    let Some(spool) = &mut session.spool else {
        return Ok(session);
    };
    if !spool.needs_disk(&piece) {
        spool.append(&piece)?;
        return Ok(session);
    }
    let written = tokio::task::spawn_blocking(move || {
        if let Some(spool) = &mut session.spool {
            spool.append(&piece)?;
        }
        Ok(session)
    });
    written.await.map_err(io::Error::other)?
}

/// Makes what arrived durable before anybody is told of it. A session that is over is unknown.
pub(super) async fn settle(mut session: Guard) -> Result<Guard, Failure> {
    if !session.is_settled() {
        let settled = tokio::task::spawn_blocking(move || session.sync().map(|()| session));
        session = settled.await.map_err(io::Error::other)??;
    }
    let Some(spool) = &mut session.spool else { return Err(unknown().into()) };
    spool.rest();
    let len = spool.len();
    session.told.confirm(len)?;
    Ok(session)
}

/// Gives up what arrived, on disk too.
pub(crate) fn discard(spool: Spool) {
    let ledger = spool.ledger();
    let change = Change::remove(Table::Uploads, spool.name(), "");
    let file = spool.discard();
    if let Some(ledger) = ledger {
        ledger.stage_and_retire([change], file);
    }
}
