//! The registry.

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use acr_core::{Endpoint, RepositoryName, Transport};
use jiff::SignedDuration;

use crate::{
    budget::Budget,
    builder::{FakeRegistryBuilder, seconds},
    clock::{Clock, Stamp},
    content::Store,
    fault::{Fault, FaultPlan, Faults},
    journal::Journal,
    layout::{self, Seeded},
    ledger::Ledger,
    quota::Meter,
    records,
    scope_map::ScopeMap,
    seal::Key,
    server::{self, Server, Tls},
    service::InProcess,
    site::Site,
    state::State,
    sync::lock,
    token,
    upload::Uploads,
};

/// A container registry that exists only in this process, and if asked in a folder.
///
/// Cheap to clone; all clones are the same registry. What it stores is gone with the
/// last clone, transport and server; so is the temporary folder it makes for blobs
/// larger than 1 MiB. With [`FakeRegistryBuilder::open`] it is kept in a folder instead.
#[derive(Clone)]
pub struct FakeRegistry(Arc<Shared>);

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

impl FakeRegistry {
    /// A registry with the default settings.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Starts from the default settings.
    pub fn builder() -> FakeRegistryBuilder {
        FakeRegistryBuilder::new()
    }

    /// The address in process, `https://fakeregistry.azurecr.io`.
    pub fn endpoint(&self) -> Endpoint {
        in_process_endpoint()
    }

    /// A transport to this registry and its storage that needs no socket.
    ///
    /// It serves `fakeregistry.azurecr.io` and `fakestorage.blob.core.windows.net`, both only
    /// with `https`; any other address fails as an unknown host does.
    pub fn transport(&self) -> Transport {
        Transport::new(InProcess::new(Arc::clone(&self.0), Site::in_process()))
    }

    /// An Entra token that the registry accepts; it contains the word `canary`.
    pub fn entra_token(&self) -> String {
        let token = self.0.settings.entra_tokens.first();
        token.map(|(token, _)| token.clone()).unwrap_or_default()
    }

    /// The registry's time, which can be set.
    pub fn clock(&self) -> Clock {
        self.0.clock.clone()
    }

    /// Makes every refresh token issued so far invalid, as the change of a password does.
    pub fn revoke_refresh_tokens(&self) {
        self.0.revoke_refresh_tokens();
    }

    /// Puts an OCI image layout into a repository: every manifest that its `index.json` reaches,
    /// with configs and layers, and a tag for each `org.opencontainers.image.ref.name`. Of a
    /// name such as `docker.io/library/alpine:3` the tag is what follows the last colon.
    ///
    /// Reads and hashes every file, so it blocks for as long as that takes.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidData`] when the layout is malformed or a file does not match its
    /// digest, and any error of reading; each names the file. What was added before stays.
    pub fn seed_layout(
        &self,
        layout: impl AsRef<Path>,
        repository: &RepositoryName,
    ) -> io::Result<Seeded> {
        layout::load(&self.0, layout.as_ref(), repository)
    }

    /// What was asked so far, and will be: a handle.
    pub fn journal(&self) -> Journal {
        self.0.journal.clone()
    }

    /// Makes something go wrong, from the next request on.
    pub fn inject(&self, fault: Fault) {
        lock(&self.0.faults).arm(fault);
    }

    /// Makes everything go wrong that a plan says, from the next request on.
    pub fn inject_plan(&self, plan: &FaultPlan) {
        plan.faults().iter().cloned().for_each(|fault| self.inject(fault));
    }

    /// Takes back every fault, from the next request on: also those that strike for ever, and what
    /// still lags behind. A request that was struck already goes on so, and what a strike did to
    /// tokens and upload sessions stays. [`FakeRegistry::faults`] still tells of them.
    ///
    /// ```
    /// use acr_testkit::{FakeRegistry, Fault, Operation};
    ///
    /// let registry = FakeRegistry::new();
    /// registry.inject(Fault::status(Operation::GetManifest, 1, 503).forever());
    /// registry.clear_faults();
    /// assert_eq!(registry.pending_faults(), 0);
    /// ```
    pub fn clear_faults(&self) {
        lock(&self.0.faults).disarm();
    }

    /// Every fault that was injected so far: print it when a test fails.
    pub fn faults(&self) -> FaultPlan {
        lock(&self.0.faults).plan().clone()
    }

    /// How many faults have not struck for the last time; 0 when a plan was carried out.
    pub fn pending_faults(&self) -> usize {
        lock(&self.0.faults).len()
    }

    /// How many upload sessions were started and neither completed nor cancelled nor expired.
    pub fn open_uploads(&self) -> usize {
        self.0.expire_uploads();
        self.0.uploads.len()
    }

    /// Serves the registry and its storage on two free ports of `127.0.0.1`.
    ///
    /// # Errors
    ///
    /// When the sockets cannot be opened or the certificates cannot be made.
    pub async fn serve(&self, tls: Tls) -> io::Result<Server> {
        self.serve_on((Ipv4Addr::LOCALHOST, 0).into(), tls).await
    }

    /// Serves the registry on a loopback address, and its storage on a free port beside it.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] for any address that is not loopback, else as
    /// [`FakeRegistry::serve`].
    pub async fn serve_on(&self, address: SocketAddr, tls: Tls) -> io::Result<Server> {
        self.serve_with_storage(address, SocketAddr::new(address.ip(), 0), tls).await
    }

    /// Serves the registry and its storage, each on a loopback address.
    ///
    /// # Errors
    ///
    /// As [`FakeRegistry::serve_on`]; an address that is taken is named.
    pub async fn serve_with_storage(
        &self,
        address: SocketAddr,
        storage: SocketAddr,
        tls: Tls,
    ) -> io::Result<Server> {
        server::start(Arc::clone(&self.0), address, storage, tls).await
    }
}

/// How the settings become a registry.
impl FakeRegistryBuilder {
    /// The registry, in memory; blobs above 1 MiB go to a temporary folder.
    pub fn build(self) -> FakeRegistry {
        let mut random = self.random();
        let key = Key::new(&mut random);
        let (state, uploads, store) = Default::default();
        let manifests = Budget::new(self.manifest_memory);
        self.assemble(random, key, Kept { state, uploads, store, manifests, ledger: None })
    }

    /// The registry, kept in a folder: what an earlier one left there is there again, and a
    /// write is on disk before it is answered. Repositories, tags, manifests, locks, blobs,
    /// upload sessions, what was soft-deleted and the key of all signatures are kept; settings,
    /// faults and the journal are not. The folder is made where it does not exist.
    ///
    /// Reads all records, so it blocks for as long as that takes.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::ResourceBusy`] when another registry uses the folder,
    /// [`io::ErrorKind::InvalidData`] when it is damaged or of another version, and any error
    /// of the disk.
    pub fn open(self, folder: impl AsRef<Path>) -> io::Result<FakeRegistry> {
        let ledger = Arc::new(Ledger::open(folder.as_ref())?);
        let mut random = self.random();
        let key = records::key(&ledger, &mut random)?;
        let store = Arc::new(Store::lasting(Arc::clone(&ledger)));
        let manifests = Budget::new(self.manifest_memory);
        let state = State::restore(&ledger, &store, &manifests)?;
        let uploads = Uploads::restore(&store, &ledger)?;
        let files = state.file_names();
        ledger.sweep(|name| files.contains(name) || uploads.contains(name))?;
        let (state, ledger) = (Mutex::new(state), Some(ledger));
        Ok(self.assemble(random, key, Kept { state, uploads, store, manifests, ledger }))
    }

    fn random(&self) -> fastrand::Rng {
        self.seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed)
    }

    fn assemble(mut self, mut random: fastrand::Rng, key: Key, kept: Kept) -> FakeRegistry {
        let clock = Clock::start(self.clock_rate);
        if self.entra_tokens.is_empty() {
            let token = token::entra(&key, &uuid(&mut random), clock.timestamp().as_second());
            self.entra_tokens.push((token, ScopeMap::all()));
        }
        let Kept { state, uploads, store, manifests, ledger } = kept;
        let retention = self.soft_delete.map(|time| SignedDuration::from_secs(seconds(time)));
        lock(&state).deleted.set_retention(retention);
        FakeRegistry(Arc::new(Shared {
            meter: self.quota.map(Meter::new),
            settings: self,
            key,
            clock,
            state,
            store,
            uploads,
            ledger,
            manifests,
            journal: Journal::default(),
            faults: Mutex::default(),
            generation: AtomicU64::new(0),
            random: Mutex::new(random),
            deletes: AtomicU64::new(0),
        }))
    }
}

/// What may come from a folder.
struct Kept {
    state: Mutex<State>,
    uploads: Uploads,
    store: Arc<Store>,
    manifests: Arc<Budget>,
    ledger: Option<Arc<Ledger>>,
}

impl Shared {
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

impl Default for FakeRegistry {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for FakeRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (uploads, faults) = (self.0.uploads.len(), self.faults().to_string());
        let mut f = f.debug_struct("FakeRegistry");
        f.field("open_uploads", &uploads).field("faults", &faults).finish_non_exhaustive()
    }
}

#[expect(clippy::expect_used, reason = "the text is a constant, and every test reads it")]
fn in_process_endpoint() -> Endpoint {
    Site::IN_PROCESS_HOST.parse().expect("a constant host name")
}

fn uuid(random: &mut fastrand::Rng) -> String {
    let bits = random.u128(..) & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    let part = |range: std::ops::Range<usize>| hex.get(range).unwrap_or_default();
    [part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)].join("-")
}

/// What a premium registry was seen to begin with.
const DELETES: u64 = 32;
