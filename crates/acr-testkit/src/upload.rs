//! Upload sessions and the signed state that their addresses carry.

use std::{
    collections::{HashMap, VecDeque},
    io,
    sync::{Arc, Mutex},
};

use acr_core::{Body, Digester, DigesterState};
use base64::{Engine as _, engine::general_purpose::URL_SAFE};
use bytes::Bytes;
use http::StatusCode;
use http_body_util::BodyExt as _;
use serde::{Deserialize, Serialize};
use tokio::sync::OwnedMutexGuard;

use crate::{
    answer::{Failure, Refusal},
    clock::Stamp,
    content::{Spool, Store},
    form::encode,
    ledger::{Change, Ledger, Table},
    records,
    seal::{Key, STATE_MAC_LEN},
    sync::lock,
};

/// The sessions that are open.
#[derive(Debug, Default)]
pub(crate) struct Uploads(Mutex<Open>);

#[derive(Debug, Default)]
struct Open {
    sessions: HashMap<String, Arc<tokio::sync::Mutex<Session>>>,
    /// The ids in the order of their starts, those of sessions that are over included.
    order: VecDeque<(Stamp, String)>,
}

/// One session; locked for as long as a request works on it.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: String,
    repository: String,
    started: Stamp,
    /// Whether it can be found by its address, and so is recorded.
    is_open: bool,
    /// How much of it is on disk, where that matters.
    recorded: Option<u64>,
    /// `None` once the session is over.
    spool: Option<Spool>,
}

/// A session on disk; the name of its file is its id.
#[derive(Serialize, Deserialize)]
struct Record {
    repository: String,
    started: Stamp,
    digester: DigesterState,
}

/// A session that a request works on.
pub(crate) type Guard = OwnedMutexGuard<Session>;

/// The content of `_state`, in the order of the wire.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct UploadState {
    name: String,
    #[serde(rename = "UUID")]
    uuid: String,
    pub(crate) offset: u64,
    started_at: String,
}

impl Uploads {
    /// The sessions that an earlier process left.
    pub(crate) fn restore(store: &Arc<Store>, ledger: &Ledger) -> io::Result<Self> {
        let mut open = Open::default();
        for (id, _, record) in ledger.read::<Record>(Table::Uploads)? {
            let digester = Digester::restore(&record.digester).map_err(io::Error::other)?;
            let recorded = Some(digester.len());
            let spool = Spool::resume(store, &id, digester);
            let damaged = |error| records::damaged(&format!("the upload `{id}`: {error}"));
            let spool = Some(spool.map_err(damaged)?);
            let Record { repository, started, .. } = record;
            open.order.push_back((started, id.clone()));
            let session =
                Session { id: id.clone(), repository, started, is_open: true, recorded, spool };
            open.sessions.insert(id, Arc::new(tokio::sync::Mutex::new(session)));
        }
        open.order.make_contiguous().sort();
        Ok(Self(Mutex::new(open)))
    }

    pub(crate) fn len(&self) -> usize {
        lock(&self.0).sessions.len()
    }

    /// Forgets a session, as a server does that lost it.
    pub(crate) fn lose(&self, id: &str) {
        let Some(session) = lock(&self.0).sessions.remove(id) else { return };
        if let Ok(mut session) = session.try_lock_owned() {
            session.spool.take().into_iter().for_each(discard);
        }
    }

    /// Whether a session is open; its id is the name of its file.
    pub(crate) fn contains(&self, id: &str) -> bool {
        lock(&self.0).sessions.contains_key(id)
    }

    /// Ends the sessions that were started before a time.
    pub(crate) fn expire(&self, before: Stamp) {
        let mut open = lock(&self.0);
        while open.order.front().is_some_and(|(started, _)| *started < before) {
            let Some((_, id)) = open.order.pop_front() else { return };
            let Some(session) = open.sessions.remove(&id) else { continue };
            // A request that works on it right now may still finish it.
            if let Ok(mut session) = session.try_lock_owned() {
                session.spool.take().into_iter().for_each(discard);
            }
        }
    }

    /// Opens a session and locks it.
    pub(crate) async fn start(
        &self,
        repository: &str,
        id: String,
        started: Stamp,
        store: &Arc<Store>,
    ) -> Result<Guard, Failure> {
        let session = Session::new(repository, id.clone(), started, store);
        let mut guard = Arc::clone(&session).lock_owned().await;
        guard.is_open = true;
        {
            let mut open = lock(&self.0);
            if open.sessions.len() >= MAX_SESSIONS {
                let status = StatusCode::TOO_MANY_REQUESTS;
                return Err(Refusal::new(status, "TOOMANYREQUESTS", "too many uploads").into());
            }
            open.order.push_back((started, id.clone()));
            open.sessions.insert(id, session);
        }
        Ok(settle(guard).await?)
    }

    /// Finds a session by its address and locks it. A state that was tampered with, or that
    /// belongs elsewhere, is told from a session that is over.
    pub(crate) async fn open(
        &self,
        key: &Key,
        repository: &str,
        id: &str,
        state: Option<&str>,
    ) -> Result<(Guard, UploadState), Failure> {
        let state = state.and_then(|text| UploadState::open(key, text)).ok_or_else(invalid)?;
        if state.name != repository || state.uuid != id {
            return Err(invalid().into());
        }
        let session = lock(&self.0).sessions.get(id).cloned().ok_or_else(unknown)?;
        let session = session.lock_owned().await;
        if session.spool.is_none() {
            return Err(unknown().into());
        }
        // What arrived with a request that was given up is told to the client now.
        Ok((settle(session).await?, state))
    }

    /// Ends a session and hands out what arrived.
    pub(crate) fn close(&self, mut session: Guard) -> Result<Spool, Failure> {
        let mut open = lock(&self.0);
        open.sessions.remove(&session.id);
        // The list of starts may not grow with sessions that are long over.
        if open.order.len() > MAX_SESSIONS.saturating_mul(2) {
            let Open { sessions, order } = &mut *open;
            order.retain(|(_, id)| sessions.contains_key(id));
        }
        Ok(session.spool.take().ok_or_else(unknown)?)
    }
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

impl Session {
    /// A session that has no address yet: dropped, it leaves nothing.
    pub(crate) fn new(
        repository: &str,
        id: String,
        started: Stamp,
        store: &Arc<Store>,
    ) -> Arc<tokio::sync::Mutex<Self>> {
        let spool = Some(Spool::new(Arc::clone(store), id.clone()));
        let repository = repository.to_owned();
        let (is_open, recorded) = (false, None);
        let session = Self { id, repository, started, is_open, recorded, spool };
        Arc::new(tokio::sync::Mutex::new(session))
    }

    /// Makes what arrived durable, blocking.
    fn sync(&mut self) -> io::Result<()> {
        let Some(spool) = &mut self.spool else { return Ok(()) };
        let digester = spool.sync()?;
        if let (true, Some(ledger)) = (self.is_open, spool.ledger()) {
            let (repository, started) = (self.repository.clone(), self.started);
            let record = Record { repository, started, digester };
            spool.record();
            ledger.stage([Change::put(Table::Uploads, &self.id, "", &record)]);
        }
        self.recorded = Some(spool.len());
        Ok(())
    }

    fn is_settled(&self) -> bool {
        let Some(spool) = &self.spool else { return true };
        self.recorded == Some(spool.len()) || spool.ledger().is_none()
    }

    /// How many bytes arrived.
    pub(crate) fn len(&self) -> u64 {
        self.spool.as_ref().map_or(0, Spool::len)
    }

    /// The relative address of the next step.
    pub(crate) fn location(&self, key: &Key) -> String {
        let state = UploadState {
            name: self.repository.clone(),
            uuid: self.id.clone(),
            offset: self.len(),
            started_at: self.started.to_string(),
        };
        let (name, id) = (&self.repository, &self.id);
        let state = encode(&state.seal(key));
        format!("/v2/{name}/blobs/uploads/{id}?_nouploadcache=false&_state={state}")
    }

    /// The inclusive range received; `0-0` also stands for nothing.
    pub(crate) fn range(&self) -> String {
        format!("0-{}", self.len().saturating_sub(1))
    }
}

impl UploadState {
    fn seal(&self, key: &Key) -> String {
        let json = serde_json::to_vec(self).unwrap_or_default();
        let mut bytes = key.state_mac(&json);
        bytes.extend(json);
        URL_SAFE.encode(bytes)
    }

    fn open(key: &Key, text: &str) -> Option<Self> {
        let bytes = URL_SAFE.decode(text).ok()?;
        let (mac, json) = bytes.split_at_checked(STATE_MAC_LEN)?;
        if key.state_mac(json) != mac {
            return None;
        }
        serde_json::from_slice(json).ok()
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
        return Ok(settle(session).await?);
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

/// Makes what arrived durable before anybody is told of it.
async fn settle(mut session: Guard) -> io::Result<Guard> {
    if !session.is_settled() {
        let settled = tokio::task::spawn_blocking(move || session.sync().map(|()| session));
        session = settled.await.map_err(io::Error::other)??;
    }
    session.spool.iter_mut().for_each(Spool::rest);
    Ok(session)
}

/// The state does not fit the session.
pub(crate) fn invalid() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "BLOB_UPLOAD_INVALID", "blob upload invalid")
}

/// The session is over, or never was.
pub(crate) fn unknown() -> Refusal {
    let message = "blob upload unknown to registry";
    Refusal::new(StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN", message)
}

/// The body has another length than was declared.
pub(crate) fn size_invalid() -> Refusal {
    let message = "provided length did not match content length";
    Refusal::new(StatusCode::BAD_REQUEST, "SIZE_INVALID", message)
}

/// A bound, so that a client that leaks sessions meets an error and not the end of memory.
const MAX_SESSIONS: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_opens_only_unchanged_and_with_its_key() {
        let key = Key::new(&mut fastrand::Rng::with_seed(1));
        let state = UploadState {
            name: "library/hello".to_owned(),
            uuid: "3d2d2ca6".to_owned(),
            offset: 22,
            started_at: "2024-06-26T15:05:06.7925461Z".to_owned(),
        };
        let text = state.seal(&key);
        assert!(text.starts_with("canarystate-"));
        assert_eq!(UploadState::open(&key, &text).unwrap(), state);
        let other = Key::new(&mut fastrand::Rng::with_seed(2));
        assert_eq!(UploadState::open(&other, &text), None);
        let mut bytes = URL_SAFE.decode(&text).unwrap();
        let at = bytes.len() - 40;
        bytes[at] ^= 1;
        assert_eq!(UploadState::open(&key, &URL_SAFE.encode(bytes)), None);
        assert_eq!(UploadState::open(&key, "AAAA"), None);
        let json = URL_SAFE.decode(&text).unwrap().split_off(STATE_MAC_LEN);
        assert!(
            json.starts_with(
                br#"{"Name":"library/hello","UUID":"3d2d2ca6","Offset":22,"StartedAt":"#
            )
        );
    }
}
