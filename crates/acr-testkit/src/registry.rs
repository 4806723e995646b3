//! The registry and its settings.

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use acr_core::{Endpoint, Transport};

use crate::{
    clock::Clock,
    content::Store,
    fault::{Fault, Faults},
    journal::Journal,
    profile::{Era, Profile},
    quota::{Limits, Quota},
    seal::Key,
    server::{self, Server, Tls},
    service::InProcess,
    site::Site,
    state::State,
    sync::lock,
    token,
    upload::Uploads,
};

/// A container registry that exists only in this process.
///
/// Cheap to clone; all clones are the same registry. What it stores is gone with the
/// last clone, transport and server; so is the temporary folder it makes for blobs
/// larger than 1 MiB.
#[derive(Clone)]
pub struct FakeRegistry(Arc<Shared>);

/// The settings of a [`FakeRegistry`].
///
/// ```
/// use std::time::Duration;
/// use acr_testkit::{Anonymous, BlobDelivery, FakeRegistry};
///
/// let registry = FakeRegistry::builder()
///     .anonymous(Anonymous::Pull)
///     .access_token_lifetime(Duration::from_secs(60))
///     .blobs(BlobDelivery::Direct)
///     .build();
/// assert_eq!(registry.open_uploads(), 0);
/// ```
#[derive(Clone)]
#[must_use]
pub struct FakeRegistryBuilder {
    entra_tokens: Vec<String>,
    users: Vec<(String, String)>,
    anonymous: Anonymous,
    access_token_lifetime: Duration,
    refresh_token_lifetime: Duration,
    link_lifetime: Duration,
    blobs: BlobDelivery,
    pub(crate) profile: Profile,
    pub(crate) era: Era,
    referrers: bool,
    pub(crate) limits: Option<Limits>,
    seed: Option<u64>,
}

/// What a client without a credential may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Anonymous {
    /// Nothing.
    #[default]
    None,
    /// `pull` and `metadata_read` on every repository.
    Pull,
}

/// How blobs are downloaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum BlobDelivery {
    /// By a 307 to a signed link of the storage.
    #[default]
    Redirect,
    /// From the registry itself.
    Direct,
}

/// What all parts of the registry work on.
pub(crate) struct Shared {
    pub(crate) settings: FakeRegistryBuilder,
    pub(crate) key: Key,
    pub(crate) clock: Clock,
    pub(crate) state: Mutex<State>,
    pub(crate) store: Arc<Store>,
    pub(crate) uploads: Uploads,
    pub(crate) quota: Quota,
    pub(crate) journal: Journal,
    pub(crate) faults: Mutex<Faults>,
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
        FakeRegistryBuilder {
            entra_tokens: Vec::new(),
            users: Vec::new(),
            anonymous: Anonymous::None,
            access_token_lifetime: ACCESS_TOKEN_LIFETIME,
            refresh_token_lifetime: REFRESH_TOKEN_LIFETIME,
            link_lifetime: LINK_LIFETIME,
            blobs: BlobDelivery::Redirect,
            profile: Profile::Acr,
            era: Era::Year2026,
            referrers: true,
            limits: None,
            seed: None,
        }
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
        self.0.settings.entra_tokens.first().cloned().unwrap_or_default()
    }

    /// What was asked so far, and will be: a handle.
    pub fn journal(&self) -> Journal {
        self.0.journal.clone()
    }

    /// Makes something go wrong, from the next request on.
    pub fn inject(&self, fault: Fault) {
        lock(&self.0.faults).arm(fault);
    }

    /// How many faults have not struck for the last time; 0 when a plan was carried out.
    pub fn pending_faults(&self) -> usize {
        lock(&self.0.faults).len()
    }

    /// How many upload sessions were started and neither completed nor cancelled.
    pub fn open_uploads(&self) -> usize {
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
        server::start(Arc::clone(&self.0), address, tls).await
    }
}

impl FakeRegistryBuilder {
    /// Accepts an Entra token; repeatable. Without any, one is made.
    pub fn entra_token(mut self, token: impl Into<String>) -> Self {
        self.entra_tokens.push(token.into());
        self
    }

    /// Accepts a user with all rights, by HTTP Basic and by `grant_type=password`; repeatable.
    pub fn user(mut self, name: impl Into<String>, password: impl Into<String>) -> Self {
        self.users.push((name.into(), password.into()));
        self
    }

    /// What a client without a credential may do; nothing by default.
    pub fn anonymous(mut self, anonymous: Anonymous) -> Self {
        self.anonymous = anonymous;
        self
    }

    /// How long access tokens live, in whole seconds; 75 minutes by default.
    pub fn access_token_lifetime(mut self, lifetime: Duration) -> Self {
        self.access_token_lifetime = lifetime;
        self
    }

    /// How long refresh tokens live, in whole seconds; 3 hours and 15 minutes by default.
    pub fn refresh_token_lifetime(mut self, lifetime: Duration) -> Self {
        self.refresh_token_lifetime = lifetime;
        self
    }

    /// How long download links live, in whole seconds; 20 minutes by default.
    pub fn link_lifetime(mut self, lifetime: Duration) -> Self {
        self.link_lifetime = lifetime;
        self
    }

    /// How blobs are downloaded; by redirect by default.
    pub fn blobs(mut self, delivery: BlobDelivery) -> Self {
        self.blobs = delivery;
        self
    }

    /// Whose behaviour the registry has; that of Azure Container Registry by default.
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// The time whose behaviour the registry has; the newest by default.
    pub fn era(mut self, era: Era) -> Self {
        self.era = era;
        self
    }

    /// Answers the referrers interface with 404 and announces no subject, as registries did
    /// before they knew it: clients then fall back to the tag schema.
    pub fn without_referrers(mut self) -> Self {
        self.referrers = false;
        self
    }

    /// How many reads and writes each minute takes, counted by the registry's clock; the rest is
    /// answered with 429. Without limits by default. A real registry of the tier Basic takes 1,000
    /// and 100, Standard 3,000 and 500, Premium 10,000 and 2,000.
    pub fn calls_per_minute(mut self, reads: u64, writes: u64) -> Self {
        self.limits = Some(Limits { reads, writes });
        self
    }

    /// Makes all that is random (keys, ids, the order of actions) repeatable.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// The registry.
    pub fn build(mut self) -> FakeRegistry {
        let mut random = self.seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
        let key = Key::new(&mut random);
        let clock = Clock::start();
        if self.entra_tokens.is_empty() {
            let token = token::entra(&key, &uuid(&mut random), clock.now().as_second());
            self.entra_tokens.push(token);
        }
        FakeRegistry(Arc::new(Shared {
            settings: self,
            key,
            clock,
            state: Mutex::default(),
            store: Arc::default(),
            uploads: Uploads::default(),
            quota: Quota::default(),
            journal: Journal::default(),
            faults: Mutex::default(),
            random: Mutex::new(random),
            deletes: AtomicU64::new(0),
        }))
    }

    pub(crate) fn knows_entra_token(&self, token: &str) -> bool {
        self.entra_tokens.iter().any(|known| known == token)
    }

    pub(crate) fn knows_user(&self, name: &str, password: &str) -> bool {
        self.users.iter().any(|(n, p)| n == name && p == password)
    }

    pub(crate) fn anonymous_pull(&self) -> bool {
        self.anonymous == Anonymous::Pull
    }

    pub(crate) fn is_oci(&self) -> bool {
        self.profile == Profile::Oci
    }

    pub(crate) fn serves_referrers(&self) -> bool {
        self.referrers
    }

    pub(crate) fn redirects(&self) -> bool {
        self.blobs == BlobDelivery::Redirect
    }

    pub(crate) fn lifetimes(&self) -> Lifetimes {
        Lifetimes {
            access: seconds(self.access_token_lifetime),
            refresh: seconds(self.refresh_token_lifetime),
            link: seconds(self.link_lifetime),
        }
    }
}

/// The lifetimes in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lifetimes {
    pub(crate) access: i64,
    pub(crate) refresh: i64,
    pub(crate) link: i64,
}

impl Shared {
    pub(crate) fn uuid(&self) -> String {
        uuid(&mut lock(&self.random))
    }

    /// A coin, for what the registry does in no fixed order.
    pub(crate) fn coin(&self) -> bool {
        lock(&self.random).bool()
    }

    /// The seconds since 1970.
    pub(crate) fn now(&self) -> i64 {
        self.clock.now().as_second()
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
        f.debug_struct("FakeRegistry").field("open_uploads", &self.open_uploads()).finish()
    }
}

impl fmt::Debug for FakeRegistryBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeRegistryBuilder")
            .field("anonymous", &self.anonymous)
            .field("blobs", &self.blobs)
            .field("profile", &self.profile)
            .field("era", &self.era)
            .finish_non_exhaustive()
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

fn seconds(lifetime: Duration) -> i64 {
    i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX)
}

/// As in the documentation's sample of a token.
const ACCESS_TOKEN_LIFETIME: Duration = Duration::from_secs(4500);

/// As recorded.
const REFRESH_TOKEN_LIFETIME: Duration = Duration::from_secs(11_700);

/// As recorded.
const LINK_LIFETIME: Duration = Duration::from_secs(20 * 60);

/// What a premium registry was seen to begin with.
const DELETES: u64 = 32;
