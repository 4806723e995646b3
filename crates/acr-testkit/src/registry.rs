//! The registry.

#[cfg(feature = "persist")]
mod open;
#[cfg(feature = "serve")]
mod serve;

use std::{fmt, io, path::Path, sync::Arc};

use acr_core::{Endpoint, RepositoryName, Transport};

use crate::{
    budget::Budget,
    builder::FakeRegistryBuilder,
    clock::Clock,
    fault::{Fault, FaultPlan},
    in_process::InProcess,
    journal::Journal,
    layout::{self, Seeded},
    seal::Key,
    shared::{Kept, Shared},
    site::Site,
    sync::lock,
};

/// A container registry that exists only in this process, and if asked in a folder.
///
/// Cheap to clone; all clones are the same registry. What it stores is gone with the
/// last clone, transport and server; so is the temporary folder it makes for blobs
/// larger than 1 MiB. With `FakeRegistryBuilder::open` (feature `persist`) it is kept in a folder instead.
#[derive(Clone)]
pub struct FakeRegistry(Arc<Shared>);

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
}

/// How the settings become a registry.
impl FakeRegistryBuilder {
    /// The registry, in memory; blobs above 1 MiB go to a temporary folder.
    pub fn build(self) -> FakeRegistry {
        let mut random = self.random();
        let key = Key::new(&mut random);
        let (state, uploads, store) = Default::default();
        let manifests = Budget::new(self.manifest_memory);
        let kept = Kept { state, uploads, store, manifests, ledger: None };
        FakeRegistry(Arc::new(Shared::new(self, random, key, kept)))
    }

    fn random(&self) -> fastrand::Rng {
        self.seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed)
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
