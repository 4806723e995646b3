//! Upload sessions: where they are found, and how they end.

#[cfg(feature = "persist")]
mod kept;
mod refusal;
mod session;
mod state;

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
};

use http::StatusCode;

use self::{refusal::unknown, session::settle};
pub(crate) use self::{
    refusal::{invalid, size_invalid},
    session::{Guard, Session, Told, discard, receive},
    state::UploadState,
};
use crate::{
    answer::{Failure, Refusal},
    clock::Stamp,
    content::{Spool, Store},
    seal::Key,
    sync::lock,
};

/// The sessions that are open.
#[derive(Debug, Default)]
pub(crate) struct Uploads(Mutex<Open>);

#[derive(Debug, Default)]
struct Open {
    sessions: HashMap<String, Slot>,
    /// The ids in the order of their starts, those of sessions that are over included.
    order: VecDeque<(Stamp, String)>,
}

/// An open session: locked for as long as a request works on it, which a slow client can make
/// as long as it likes.
#[derive(Clone, Debug)]
struct Slot {
    told: Arc<Told>,
    session: Arc<tokio::sync::Mutex<Session>>,
}

impl Uploads {
    pub(crate) fn len(&self) -> usize {
        lock(&self.0).sessions.len()
    }

    /// Forgets a session, as a server does that lost it.
    pub(crate) fn lose(&self, id: &str) {
        let slot = lock(&self.0).sessions.remove(id);
        slot.into_iter().for_each(Slot::end);
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
            open.sessions.remove(&id).into_iter().for_each(Slot::end);
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
        let slot = Slot::of(Session::new(repository, id.clone(), started, store).opened());
        let guard = Arc::clone(&slot.session).lock_owned().await;
        {
            let mut open = lock(&self.0);
            if open.sessions.len() >= MAX_SESSIONS {
                let status = StatusCode::TOO_MANY_REQUESTS;
                return Err(Refusal::new(status, "TOOMANYREQUESTS", "too many uploads").into());
            }
            open.order.push_back((started, id.clone()));
            open.sessions.insert(id, slot);
            // The list of starts may not grow with sessions that are long over.
            if open.order.len() > MAX_SESSIONS.saturating_mul(2) {
                let Open { sessions, order } = &mut *open;
                order.retain(|(_, id)| sessions.contains_key(id));
            }
        }
        settle(guard).await
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
        let (slot, state) = self.find(key, repository, id, state)?;
        let session = slot.session.lock_owned().await;
        // What arrived with a request that was given up is told to the client now.
        Ok((settle(session).await?, state))
    }

    /// Where a session stands. Waits for nobody: of a chunk under way nothing is certain, so
    /// what was confirmed before it is told.
    pub(crate) async fn look(
        &self,
        key: &Key,
        repository: &str,
        id: &str,
        state: Option<&str>,
    ) -> Result<(Arc<Told>, u64), Failure> {
        let (Slot { told, session }, _) = self.find(key, repository, id, state)?;
        let len = match session.try_lock_owned() {
            Ok(session) => settle(session).await?.len(),
            Err(_) => told.confirmed(),
        };
        Ok((told, len))
    }

    /// Gives up a session. Waits for nobody: a request that works on it finds it unknown in the
    /// end.
    pub(crate) fn cancel(
        &self,
        key: &Key,
        repository: &str,
        id: &str,
        state: Option<&str>,
    ) -> Result<(), Refusal> {
        self.find(key, repository, id, state)?;
        let slot = lock(&self.0).sessions.remove(id).ok_or_else(unknown)?;
        slot.end();
        Ok(())
    }

    fn find(
        &self,
        key: &Key,
        repository: &str,
        id: &str,
        state: Option<&str>,
    ) -> Result<(Slot, UploadState), Refusal> {
        let state = state.and_then(|text| UploadState::open(key, text)).ok_or_else(invalid)?;
        if !state.is_of(repository, id) {
            return Err(invalid());
        }
        let slot = lock(&self.0).sessions.get(id).cloned().ok_or_else(unknown)?;
        Ok((slot, state))
    }

    /// Ends a session and hands out what arrived; a session that was given up meanwhile is gone.
    pub(crate) fn close(&self, mut session: Guard) -> Result<Spool, Failure> {
        let mut open = lock(&self.0);
        if open.sessions.remove(&session.told.id).is_none() && session.is_open() {
            return Err(unknown().into());
        }
        drop(open);
        Ok(session.take().ok_or_else(unknown)?)
    }
}

impl Slot {
    fn of(session: Session) -> Self {
        let told = Arc::clone(&session.told);
        Self { told, session: Arc::new(tokio::sync::Mutex::new(session)) }
    }

    /// Ends a session that is not in the list any more.
    fn end(self) {
        self.told.end();
        // Else a request works on it, and whoever is the last to drop the session gives it up.
        if let Ok(mut session) = self.session.try_lock_owned() {
            session.take().into_iter().for_each(discard);
        }
    }
}

/// A bound, so that a client that leaks sessions meets an error and not the end of memory.
const MAX_SESSIONS: usize = 2_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_list_of_starts_does_not_grow_with_sessions_that_are_over() {
        let (uploads, store) = (Uploads::default(), Arc::new(Store::default()));
        for number in 0..3 * MAX_SESSIONS {
            let id = number.to_string();
            let session = uploads.start("a", id.clone(), Stamp::default(), &store).await.unwrap();
            drop(session);
            uploads.lose(&id);
        }
        assert!(lock(&uploads.0).order.len() <= 2 * MAX_SESSIONS);
    }
}
