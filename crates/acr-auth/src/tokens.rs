//! Finds a token for a scope: from the cache, or through the flow of the credential.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use acr_core::{
    BoxError, Challenge, Endpoint, Error, ErrorKind, HttpService, Result, Scope, Secret,
};
use http::HeaderValue;

use crate::{
    cache::{Lease, Slot},
    challenged,
    credential::{Credential, Kind, TokenCredential, TokenRequest},
    exchange::{Ask, Exchange, Grant},
    jwt, trust,
};

/// The tokens of one credential at one registry; shared by all clones of a layer.
#[derive(Debug)]
pub(crate) struct Tokens {
    endpoint: Endpoint,
    credential: Credential,
    audience: String,
    trusted: Vec<String>,
    refresh: Slot<Secret>,
    access: Mutex<HashMap<Scope, Arc<Entry>>>,
}

/// An access token, ready to be sent.
pub(crate) struct Access {
    pub(crate) bearer: HeaderValue,
    /// What it permits, if it says.
    pub(crate) granted: Option<Scope>,
}

/// What is known about a scope.
#[derive(Debug)]
struct Entry {
    slot: Slot<Access>,
    /// What a token is asked for: the scope, and what a challenge added to it.
    asks: Mutex<Scope>,
}

/// A token for a request, and where it came from.
pub(crate) struct Found {
    pub(crate) token: Arc<Access>,
    /// Whether it was fetched for this very request.
    pub(crate) is_new: bool,
}

/// Who sends a token call, and on whose behalf.
pub(crate) struct Caller<'a, S> {
    pub(crate) service: &'a S,
    /// The id of the request that a token is needed for.
    pub(crate) request_id: Option<HeaderValue>,
}

/// Which tokens of the cache may answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reuse {
    /// Any that grants the scope.
    Supersets,
    /// The one fetched for exactly this scope: another was refused just now.
    Exact,
}

impl Tokens {
    pub(crate) fn new(
        endpoint: Endpoint,
        credential: Credential,
        audience: String,
        trusted: Vec<String>,
    ) -> Self {
        Self {
            endpoint,
            credential,
            audience,
            trusted,
            refresh: Slot::default(),
            access: Mutex::default(),
        }
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// A token for the scope. Errors are marked as having happened before sending.
    pub(crate) async fn find<S: HttpService>(
        &self,
        caller: &Caller<'_, S>,
        scope: &Scope,
        reuse: Reuse,
    ) -> Result<Found> {
        let entry = self.entry(scope);
        if reuse == Reuse::Supersets && !entry.slot.live().is_some_and(|lease| lease.is_fresh()) {
            let asks = entry.asks();
            if let Some(lease) = self.superset(&asks) {
                entry.slot.lend(lease);
            }
        }
        let (lease, is_new) = entry
            .slot
            .get(|| in_time(self.fetch_access(caller, entry.asks())))
            .await
            .map_err(Error::before_sending)?;
        Ok(Found { token: lease.token, is_new })
    }

    /// Drops a token from the cache, wherever it is lent to; newer ones stay.
    pub(crate) fn invalidate(&self, token: &Arc<Access>) {
        self.entries().values().for_each(|entry| entry.slot.invalidate(token));
    }

    /// Learns from a challenge what the registry wants beside the scope; whether there
    /// was anything new. Errors when it wants what the operation cannot need.
    pub(crate) fn complete(&self, scope: &Scope, challenge: &Challenge) -> Result<bool> {
        let entry = self.entry(scope);
        let mut asks = entry.asks.lock().unwrap_or_else(PoisonError::into_inner);
        match challenged::completion(&asks, challenge)? {
            Some(complete) => {
                *asks = complete;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    async fn fetch_access<S: HttpService>(
        &self,
        caller: &Caller<'_, S>,
        scope: Scope,
    ) -> Result<Lease<Access>> {
        let source = match &self.credential.0 {
            Kind::Anonymous => return self.ask(caller, Grant::Anonymous, &scope).await,
            Kind::Password { user, password } => {
                return self.ask(caller, Grant::Password { user, password }, &scope).await;
            }
            Kind::RefreshToken(token) => {
                let asked = self.ask(caller, Grant::RefreshToken(token), &scope).await;
                return asked.map_err(|error| with_expiry(error, token));
            }
            Kind::Entra(source) => source.as_ref(),
        };
        let fetch = || self.fetch_refresh(caller, source);
        let (refresh, is_new) = self.refresh.get(fetch).await?;
        let first = self.ask(caller, Grant::RefreshToken(&refresh.token), &scope).await;
        match first {
            // The registry no longer takes the refresh token: exchange anew, once.
            Err(error) if error.kind() == ErrorKind::Unauthenticated && !is_new => {
                self.refresh.invalidate(&refresh.token);
                let (refresh, _) = self.refresh.get(fetch).await?;
                self.ask(caller, Grant::RefreshToken(&refresh.token), &scope).await
            }
            other => other,
        }
    }

    async fn fetch_refresh<S: HttpService>(
        &self,
        caller: &Caller<'_, S>,
        source: &dyn TokenCredential,
    ) -> Result<Lease<Secret>> {
        trust::check(&self.endpoint, &self.trusted)?;
        let scope = format!("{}/.default", self.audience);
        let request = TokenRequest { scopes: &[&scope] };
        let entra = source.get_token(request).await.map_err(no_token)?;
        let token = Exchange::entra(&self.endpoint, entra.token()).send(caller).await;
        let token = token.map_err(|error| {
            // Only a hint, for this machine's clock may be wrong.
            match entra.expires_at() <= SystemTime::now() {
                true => error.with_source("the Entra token has expired by this machine's clock"),
                false => error,
            }
        })?;
        let lifetime = jwt::read(token.expose(), SystemTime::now()).lifetime;
        Ok(Lease::new(token, lifetime.unwrap_or(REFRESH_FALLBACK), fastrand::f64()))
    }

    async fn ask<S: HttpService>(
        &self,
        caller: &Caller<'_, S>,
        grant: Grant<'_>,
        scope: &Scope,
    ) -> Result<Lease<Access>> {
        let token = Ask::new(&self.endpoint, grant, scope).send(caller).await?;
        let facts = jwt::read(token.expose(), SystemTime::now());
        let access = Access { bearer: token.bearer()?, granted: facts.granted };
        Ok(Lease::new(access, facts.lifetime.unwrap_or(ACCESS_FALLBACK), fastrand::f64()))
    }

    /// A fresh token that grants all of the scope, fetched for whatever other one.
    fn superset(&self, scope: &Scope) -> Option<Lease<Access>> {
        let fresh = |entry: &Arc<Entry>| entry.slot.live().filter(Lease::is_fresh);
        let grants = |lease: &Lease<Access>| {
            lease.token.granted.as_ref().is_some_and(|granted| granted.permits(scope))
        };
        self.entries().values().filter_map(fresh).find(grants)
    }

    fn entry(&self, scope: &Scope) -> Arc<Entry> {
        let mut entries = self.entries();
        if entries.len() >= MAX_SCOPES && !entries.contains_key(scope) {
            // Entries in use stay: somebody waits on them.
            let is_used = |entry: &Arc<Entry>| Arc::strong_count(entry) > 1;
            entries.retain(|_, entry| is_used(entry) || entry.slot.live().is_some());
            if entries.len() >= MAX_SCOPES {
                entries.retain(|_, entry| is_used(entry));
            }
        }
        Arc::clone(entries.entry(scope.clone()).or_insert_with(|| Arc::new(Entry::new(scope))))
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<Scope, Arc<Entry>>> {
        self.access.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn new(scope: &Scope) -> Self {
        Self { slot: Slot::default(), asks: Mutex::new(scope.clone()) }
    }

    fn asks(&self) -> Scope {
        self.asks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What went wrong at the source, in words where they are known to hold no secret: those of
/// our own sources. Anybody else's stay in the source of the error.
fn no_token(source: BoxError) -> Error {
    let text = "the credential source gave no Entra token";
    let words = source.downcast_ref::<Error>().map(ToString::to_string);
    #[cfg(feature = "entra")]
    let words = words.or_else(|| {
        source.downcast_ref::<crate::entra::CredentialUnavailable>().map(ToString::to_string)
    });
    let text = words.map_or_else(|| text.to_owned(), |words| format!("{text}: {words}"));
    Error::new(ErrorKind::Credential, text).with_source(source)
}

/// Says of a refused token that it has ended: nobody but its owner can get another.
fn with_expiry(error: Error, token: &Secret) -> Error {
    let is_refused = matches!(
        error.kind(),
        ErrorKind::Unauthenticated | ErrorKind::Forbidden | ErrorKind::Rejected
    );
    match is_refused && jwt::has_expired(token.expose(), SystemTime::now()) {
        true => error.with_hint(
            "the registry refresh token has expired by this machine's clock; sign in again, \
             for example with `az acr login`",
        ),
        false => error,
    }
}

/// Bounds a token fetch as a whole, the caller's identity source included: everybody
/// who needs the same scope waits for it.
async fn in_time<T>(fetch: impl Future<Output = Result<Lease<T>>>) -> Result<Lease<T>> {
    tokio::time::timeout(FETCH_TIMEOUT, fetch).await.unwrap_or_else(|_| {
        let text = format!("signing in took longer than {FETCH_TIMEOUT:?}");
        Err(Error::new(ErrorKind::Timeout, text))
    })
}

/// Enough for a command line tool that asks a person's browser, and two slow calls.
const FETCH_TIMEOUT: Duration = Duration::from_secs(120);

/// The life of an access token that does not say.
const ACCESS_FALLBACK: Duration = Duration::from_secs(60);

/// The life of a refresh token that does not say.
const REFRESH_FALLBACK: Duration = Duration::from_secs(300);

/// Scopes remembered at once.
const MAX_SCOPES: usize = 1_024;
