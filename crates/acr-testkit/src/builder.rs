//! The settings of a registry.

mod read;

#[cfg(feature = "serve")]
use std::path::PathBuf;
use std::{fmt, io, path::Path, time::Duration};

pub(crate) use self::read::seconds;
use crate::{
    access::Wildcards,
    jwt_shape::JwtShape,
    profile::{Era, Profile},
    quota::Quota,
    scope_map::{ScopeMap, ScopeMapFile},
};

/// The settings of a [`FakeRegistry`](crate::FakeRegistry).
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
    pub(crate) entra_tokens: Vec<(String, ScopeMap)>,
    users: Vec<User>,
    anonymous: Anonymous,
    wildcards: Wildcards,
    access_token_lifetime: Duration,
    refresh_token_lifetime: Duration,
    link_lifetime: Duration,
    pub(crate) upload_lifetime: Duration,
    pub(crate) soft_delete: Option<Duration>,
    jwt_shape: JwtShape,
    blobs: BlobDelivery,
    profile: Profile,
    pub(crate) era: Era,
    referrers: bool,
    pub(crate) quota: Option<Quota>,
    pub(crate) clock_rate: u32,
    pub(crate) manifest_memory: usize,
    #[cfg(feature = "serve")]
    pub(crate) authority: Option<PathBuf>,
    pub(crate) seed: Option<u64>,
}

#[derive(Clone)]
struct User {
    name: String,
    password: String,
    rights: ScopeMap,
    /// Whether the password is taken by the interfaces themselves, not only for a token.
    is_admin: bool,
}

/// What a client without a credential may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Anonymous {
    /// Nothing.
    #[default]
    None,
    /// `pull` and `metadata_read` on every repository, and the list of repositories.
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

impl FakeRegistryBuilder {
    /// The default settings.
    pub(crate) fn new() -> Self {
        Self {
            entra_tokens: Vec::new(),
            users: Vec::new(),
            anonymous: Anonymous::None,
            wildcards: Wildcards::Granted,
            access_token_lifetime: ACCESS_TOKEN_LIFETIME,
            refresh_token_lifetime: REFRESH_TOKEN_LIFETIME,
            link_lifetime: LINK_LIFETIME,
            upload_lifetime: UPLOAD_LIFETIME,
            soft_delete: None,
            jwt_shape: JwtShape::default(),
            blobs: BlobDelivery::Redirect,
            profile: Profile::Acr,
            era: Era::Year2026,
            referrers: true,
            quota: None,
            clock_rate: 1,
            manifest_memory: MANIFEST_MEMORY,
            #[cfg(feature = "serve")]
            authority: None,
            seed: None,
        }
    }

    /// Accepts an Entra token of somebody with all rights; repeatable. Without any, one is made.
    pub fn entra_token(self, token: impl Into<String>) -> Self {
        self.scoped_entra_token(token, ScopeMap::all())
    }

    /// Accepts an Entra token of somebody who may do what a scope map says; repeatable.
    pub fn scoped_entra_token(mut self, token: impl Into<String>, rights: ScopeMap) -> Self {
        self.entra_tokens.push((token.into(), rights));
        self
    }

    /// Accepts a user with all rights, by HTTP Basic and by `grant_type=password`; repeatable.
    pub fn user(mut self, name: impl Into<String>, password: impl Into<String>) -> Self {
        let (name, password) = (name.into(), password.into());
        self.users.push(User { name, password, rights: ScopeMap::all(), is_admin: true });
        self
    }

    /// Accepts a user who may do what a scope map says; repeatable.
    ///
    /// As on the real service, such a user must ask for a token: HTTP Basic on `/v2` and
    /// `/acr/v1` is answered as no credential at all.
    pub fn scoped_user(
        mut self,
        name: impl Into<String>,
        password: impl Into<String>,
        rights: ScopeMap,
    ) -> Self {
        let (name, password) = (name.into(), password.into());
        self.users.push(User { name, password, rights, is_admin: false });
        self
    }

    /// Takes users, Entra tokens and the mode of permissions from a file of JSON:
    ///
    /// ```json
    /// {
    ///   "abac": false,
    ///   "scopeMaps": [{"name": "ci", "actions": ["repositories/ci/*/content/read"]}],
    ///   "tokens": [{"name": "ci-token", "passwords": ["secret"], "scopeMap": "ci"}],
    ///   "entraTokens": [{"token": "entra", "scopeMap": "ci", "catalog": true}]
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// When the file cannot be read or is malformed; the error says where.
    pub fn scope_map_file(mut self, path: impl AsRef<Path>) -> io::Result<Self> {
        let file = ScopeMapFile::read(path.as_ref())?;
        if file.abac {
            self = self.abac();
        }
        for (name, password, rights) in file.tokens() {
            self = self.scoped_user(name, password, rights);
        }
        for (token, rights) in file.entra_tokens() {
            self = self.scoped_entra_token(token, rights);
        }
        Ok(self)
    }

    /// Behaves as a registry with permissions by repository attributes ("RBAC Registry + ABAC
    /// Repository Permissions"): wildcards of repositories in a scope are passed over, so that
    /// the token grants nothing for them, and refresh tokens carry `aad_identity`.
    pub fn abac(mut self) -> Self {
        self.wildcards = Wildcards::PassedOver;
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

    /// How long upload sessions live, in whole seconds; a week by default.
    pub fn upload_lifetime(mut self, lifetime: Duration) -> Self {
        self.upload_lifetime = lifetime;
        self
    }

    /// Keeps what is deleted for a while, so that it can be listed and restored; off by default.
    pub fn soft_delete(mut self, retention: Duration) -> Self {
        self.soft_delete = Some(retention);
        self
    }

    /// The letters and length of the registry's tokens; as they come by default.
    pub fn jwt_shape(mut self, shape: JwtShape) -> Self {
        self.jwt_shape = shape;
        self
    }

    /// How many calls are taken in a minute of the registry's clock; any number by default.
    pub fn quota(mut self, quota: Quota) -> Self {
        self.quota = Some(quota);
        self
    }

    /// How many times faster than tokio's clock the registry's runs; 1 by default.
    pub fn clock_rate(mut self, rate: u32) -> Self {
        self.clock_rate = rate;
        self
    }

    /// How many bytes of memory manifests may take, their descriptors and annotations included;
    /// 16 MiB by default. A push beyond that is answered with 507. What a folder or a layout
    /// brings along is taken all the same.
    pub fn manifest_memory(mut self, bytes: usize) -> Self {
        self.manifest_memory = bytes;
        self
    }

    /// Keeps the certificate authority of servers with TLS in a folder, so that clients which
    /// trust it once trust the next server too: its certificate in `ca.pem`, its key, for this
    /// user only, in `ca-key.pem`. Made there by the first server; by default each server has an
    /// authority of its own. The server's certificate is always a new one.
    ///
    /// What is there and cannot be used (without its key, damaged, of another key, with less than
    /// a week to live) is an error of [`FakeRegistry::serve`](crate::FakeRegistry::serve) that
    /// names the file, and is left alone.
    #[cfg(feature = "serve")]
    pub fn authority(mut self, folder: impl Into<PathBuf>) -> Self {
        self.authority = Some(folder.into());
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

    /// Makes all that is random (keys, ids, the order of actions) repeatable.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }
}

impl fmt::Debug for FakeRegistryBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeRegistryBuilder")
            .field("anonymous", &self.anonymous)
            .field("blobs", &self.blobs)
            .finish_non_exhaustive()
    }
}

/// As in the documentation's sample of a token.
const ACCESS_TOKEN_LIFETIME: Duration = Duration::from_secs(4500);

/// As recorded.
const REFRESH_TOKEN_LIFETIME: Duration = Duration::from_secs(11_700);

/// As recorded.
const LINK_LIFETIME: Duration = Duration::from_secs(20 * 60);

/// What the registry software that the service descends from purges by default.
const UPLOAD_LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);

/// Room for some ten thousand manifests of the usual size, with their records.
const MANIFEST_MEMORY: usize = 16 << 20;
