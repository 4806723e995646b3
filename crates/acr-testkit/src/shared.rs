//! What all parts of the registry work on.

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use jiff::SignedDuration;

use crate::{
    budget::Budget,
    builder::{FakeRegistryBuilder, seconds},
    clock::{Clock, Stamp},
    content::Store,
    fault::Faults,
    journal::Journal,
    ledger::Ledger,
    quota::Meter,
    scope_map::ScopeMap,
    seal::Key,
    state::State,
    sync::lock,
    token,
    upload::Uploads,
};

/// What all parts of the registry work on.
pub(crate) struct Shared {
    pub(crate) settings: FakeRegistryBuilder,
    pub(crate) key: Key,
    pub(crate) clock: Clock,
    pub(crate) state: Mutex<State>,
    pub(crate) store: Arc<Store>,
    pub(crate) uploads: Uploads,
    pub(crate) ledger: Option<Arc<Ledger>>,
    /// The memory for manifests.
    pub(crate) manifests: Arc<Budget>,
    pub(crate) journal: Journal,
    pub(crate) faults: Mutex<Faults>,
    pub(crate) meter: Option<Meter>,
    /// How often refresh tokens were revoked.
    pub(crate) generation: AtomicU64,
    random: Mutex<fastrand::Rng>,
    deletes: AtomicU64,
}

/// What may come from a folder.
pub(crate) struct Kept {
    pub(crate) state: State,
    pub(crate) uploads: Uploads,
    pub(crate) store: Arc<Store>,
    pub(crate) manifests: Arc<Budget>,
    pub(crate) ledger: Option<Arc<Ledger>>,
}

impl Shared {
    /// With these settings, and what may come from a folder.
    pub(crate) fn new(
        mut settings: FakeRegistryBuilder,
        mut random: fastrand::Rng,
        key: Key,
        kept: Kept,
    ) -> Self {
        let clock = Clock::start(settings.clock_rate);
        if settings.entra_tokens.is_empty() {
            let token = token::entra(&key, &uuid(&mut random), clock.timestamp().as_second());
            settings.entra_tokens.push((token, ScopeMap::all()));
        }
        let Kept { mut state, uploads, store, manifests, ledger } = kept;
        let retention = settings.soft_delete.map(|time| SignedDuration::from_secs(seconds(time)));
        state.deleted.set_retention(retention);
        Self {
            meter: settings.quota.map(|quota| Meter::new(quota, clock.clone())),
            settings,
            key,
            clock,
            state: Mutex::new(state),
            store,
            uploads,
            ledger,
            manifests,
            journal: Journal::default(),
            faults: Mutex::default(),
            generation: AtomicU64::new(0),
            random: Mutex::new(random),
            deletes: AtomicU64::new(0),
        }
    }

    pub(crate) fn uuid(&self) -> String {
        uuid(&mut lock(&self.random))
    }

    /// The id of a new upload, which names a file: one that no earlier process used, which it
    /// could where the randomness is repeated.
    pub(crate) fn upload_id(&self) -> String {
        loop {
            let id = self.uuid();
            if !self.store.holds(&id) && !self.uploads.contains(&id) {
                return id;
            }
        }
    }

    /// A coin, for what the registry does in no fixed order.
    pub(crate) fn coin(&self) -> bool {
        lock(&self.random).bool()
    }

    /// The seconds since 1970.
    pub(crate) fn now(&self) -> i64 {
        self.clock.timestamp().as_second()
    }

    /// Ends the upload sessions that are too old, and gives the time.
    pub(crate) fn expire_uploads(&self) -> Stamp {
        let now = self.clock.stamp();
        let lifetime = SignedDuration::from_secs(seconds(self.settings.upload_lifetime));
        self.uploads.expire(now.before(lifetime));
        now
    }

    pub(crate) fn revoke_refresh_tokens(&self) {
        self.generation.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits until all that was changed so far is on disk, where that is asked for.
    pub(crate) async fn persist(&self) -> io::Result<()> {
        match &self.ledger {
            Some(ledger) => ledger.flush().await,
            None => Ok(()),
        }
    }

    /// The countdown in answers to deletes: 32 at first, then one less each, and again.
    pub(crate) fn remaining_deletes(&self) -> u64 {
        DELETES - self.deletes.fetch_add(1, Ordering::Relaxed) % DELETES
    }
}

fn uuid(random: &mut fastrand::Rng) -> String {
    let bits = random.u128(..) & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    let part = |range: std::ops::Range<usize>| hex.get(range).unwrap_or_default();
    [part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)].join("-")
}

/// What a premium registry was seen to begin with.
const DELETES: u64 = 32;
