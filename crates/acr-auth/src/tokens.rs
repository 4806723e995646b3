//! Finds a token for a scope: from the cache, or through the flow of the credential.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use acr_core::{
    Endpoint, Error, ErrorKind, Result, Scope, Secret,
    http::{BoxError, Challenge},
    layer::HttpService,
};
use http::HeaderValue;

use crate::{
    access_token::AccessToken,
    cache::{Lease, Slot},
    challenged,
    clock::{Clock, Moment},
    credential::{Credential, Kind, TokenCredential, TokenRequest},
    exchange::{Ask, Caller, Exchange, Grant},
    jwt,
    refusal::blames_token,
    sought::{Sought, may_be_replaced},
    trust,
};

/// The tokens of one credential at one registry; shared by all clones of a layer.
pub(crate) struct Tokens {
    endpoint: Endpoint,
    credential: Credential,
    audience: String,
    trusted: Vec<String>,
    clock: Clock,
    /// Who was found, where the credential is one that is looked for.
    sought: Sought,
    refresh: Slot<Secret>,
    access: Mutex<HashMap<Scope, Arc<Entry>>>,
}

/// An access token, ready to be sent.
pub(crate) struct Access {
    pub(crate) bearer: HeaderValue,
    /// What it permits, if it says.
    pub(crate) granted: Option<Scope>,
    /// Why it is nobody's, if somebody was looked for.
    pub(crate) nobody: Option<Arc<str>>,
    /// The refresh token that it was asked with, if that was ours to fetch.
    refresh: Option<Arc<Secret>>,
    /// What it was asked with, if that was looked for and somebody better may be found.
    sought: Option<Arc<Credential>>,
    /// When the registry looked at what the identity may do, or when the identity was found.
    judged: Moment,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// What is known about a scope.
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
        clock: Clock,
    ) -> Self {
        Self {
            endpoint,
            credential,
            audience,
            trusted,
            sought: Sought::new(clock.clone()),
            refresh: Slot::new(clock.clone()),
            clock,
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
        if reuse == Reuse::Supersets {
            if let Some(lease) = entry.slot.fresh() {
                return Ok(Found { token: lease.token, is_new: false });
            }
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

    /// Drops a token that lacks rights, and behind it the refresh token, or has somebody better looked
    /// for, unless the registry looked at the rights, or the identity was found, within the last
    /// minute. Whether that was done, and a new token may have more of them.
    pub(crate) fn renew(&self, token: &Arc<Access>) -> bool {
        if self.clock.now().since(token.judged) <= RIGHTS_AGE {
            return false;
        }
        if let Some(refresh) = &token.refresh {
            self.refresh.invalidate(refresh);
        }
        if let Some(sought) = &token.sought {
            self.sought.doubt(sought);
        }
        self.invalidate(token);
        true
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
        let Kind::Sought(source) = &self.credential.0 else {
            tracing::debug!(credential = ?self.credential, registry = self.endpoint.host(), "signs in");
            return self.fetch_access_as(&self.credential, caller, scope).await;
        };
        let source = source.as_ref();
        let (found, is_new) = self.sought.get(source, &self.endpoint).await?;
        match self.fetch_access_as(&found.token, caller, scope.clone()).await {
            // What was found may have been replaced since.
            Err(error) if !is_new && blames_token(&error) && may_be_replaced(&found.token) => {
                if !self.sought.forget(&found.token) {
                    return Err(error);
                }
                let (found, _) = self.sought.get(source, &self.endpoint).await?;
                let access = self.fetch_access_as(&found.token, caller, scope).await?;
                Ok(sought_as(&found, access))
            }
            other => other.map(|access| sought_as(&found, access)),
        }
    }

    async fn fetch_access_as<S: HttpService>(
        &self,
        credential: &Credential,
        caller: &Caller<'_, S>,
        scope: Scope,
    ) -> Result<Lease<Access>> {
        let source = match &credential.0 {
            Kind::Sought(_) => {
                return Err(Error::new(ErrorKind::Credential, "nothing was looked for"));
            }
            Kind::Unusable(why) => return Err(Error::shared(why)),
            Kind::Anonymous { why } => {
                let grant = Grant::Anonymous { why: why.as_ref() };
                let asked = self.ask(caller, grant, &scope, None).await;
                return asked.map_err(|error| with_reason(error, why.as_deref()));
            }
            Kind::Password { user, password } => {
                return self.ask(caller, Grant::Password { user, password }, &scope, None).await;
            }
            Kind::RefreshToken(token) => {
                let asked = self.ask(caller, Grant::RefreshToken(token), &scope, None).await;
                return asked.map_err(|error| with_expiry(error, token, self.clock.now()));
            }
            Kind::Entra(source) => source.as_ref(),
        };
        let fetch = || self.fetch_refresh(caller, source);
        let (refresh, is_new) = self.refresh.get(fetch).await?;
        match self.ask_with(caller, &refresh, &scope).await {
            // The registry no longer takes the refresh token: exchange anew, once.
            Err(error) if blames_token(&error) && !is_new => {
                self.refresh.invalidate(&refresh.token);
                let (refresh, _) = self.refresh.get(fetch).await?;
                self.ask_with(caller, &refresh, &scope).await
            }
            other => other,
        }
    }

    async fn ask_with<S: HttpService>(
        &self,
        caller: &Caller<'_, S>,
        refresh: &Lease<Secret>,
        scope: &Scope,
    ) -> Result<Lease<Access>> {
        self.ask(caller, Grant::RefreshToken(&refresh.token), scope, Some(refresh)).await
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
        let token = match self.exchange(caller, &entra).await {
            // What the source keeps may be dead without its knowing: ask it anew, once.
            Err(error) if blames_token(&error) => {
                source.refused(&entra);
                let anew = source.get_token(request).await.map_err(no_token)?;
                if anew.is_same(&entra) {
                    return Err(error);
                }
                self.exchange(caller, &anew).await?
            }
            other => other?,
        };
        let now = self.clock.now();
        let lifetime = jwt::read(token.expose(), now.wall).lifetime.unwrap_or(REFRESH_FALLBACK);
        Ok(Lease::new(token, now, lifetime, fastrand::f64()))
    }

    async fn exchange<S: HttpService>(
        &self,
        caller: &Caller<'_, S>,
        entra: &AccessToken,
    ) -> Result<Secret> {
        let token = Exchange::entra(&self.endpoint, entra.token()).send(caller).await;
        token.map_err(|error| {
            // Only a hint, for this machine's clock may be wrong.
            match entra.expires_at() <= self.clock.now().wall {
                true => error.with_source("the Entra token has expired by this machine's clock"),
                false => error,
            }
        })
    }

    async fn ask<S: HttpService>(
        &self,
        caller: &Caller<'_, S>,
        grant: Grant<'_>,
        scope: &Scope,
        refresh: Option<&Lease<Secret>>,
    ) -> Result<Lease<Access>> {
        let token = Ask::new(&self.endpoint, grant, scope).send(caller).await?;
        let now = self.clock.now();
        let facts = jwt::read(token.expose(), now.wall);
        let access = Access {
            bearer: token.bearer()?,
            granted: facts.granted,
            nobody: grant.nobody(),
            refresh: refresh.map(|lease| Arc::clone(&lease.token)),
            sought: None,
            judged: refresh.map_or(now, Lease::received),
        };
        let lifetime = facts.lifetime.unwrap_or(ACCESS_FALLBACK);
        Ok(Lease::new(access, now, lifetime, fastrand::f64()))
    }

    /// A fresh token that grants all of the scope, fetched for whatever other one.
    fn superset(&self, scope: &Scope) -> Option<Lease<Access>> {
        let fresh = |entry: &Arc<Entry>| entry.slot.fresh();
        let grants = |lease: &Lease<Access>| {
            lease.token.granted.as_ref().is_some_and(|granted| granted.permits(scope))
        };
        self.entries().values().filter_map(fresh).find(grants)
    }

    fn entry(&self, scope: &Scope) -> Arc<Entry> {
        let mut entries = self.entries();
        if let Some(entry) = entries.get(scope) {
            return Arc::clone(entry);
        }
        if entries.len() >= MAX_SCOPES {
            // Entries in use stay: somebody waits on them.
            let is_used = |entry: &Arc<Entry>| Arc::strong_count(entry) > 1;
            entries.retain(|_, entry| is_used(entry) || entry.slot.live().is_some());
            if entries.len() >= MAX_SCOPES {
                entries.retain(|_, entry| is_used(entry));
            }
        }
        let entry = Arc::new(Entry::new(scope, self.clock.clone()));
        entries.insert(scope.clone(), Arc::clone(&entry));
        entry
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<Scope, Arc<Entry>>> {
        self.access.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn new(scope: &Scope, clock: Clock) -> Self {
        Self { slot: Slot::new(clock), asks: Mutex::new(scope.clone()) }
    }

    fn asks(&self) -> Scope {
        self.asks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Notes in a token that came just now, and that nobody else has yet, what it was asked with.
fn sought_as(found: &Lease<Credential>, mut access: Lease<Access>) -> Lease<Access> {
    if may_be_replaced(&found.token)
        && let Some(access) = Arc::get_mut(&mut access.token)
    {
        access.sought = Some(Arc::clone(&found.token));
        // Another token of the same login has the same rights.
        access.judged = found.received();
    }
    access
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
fn with_expiry(error: Error, token: &Secret, now: Moment) -> Error {
    let is_refused = matches!(
        error.kind(),
        ErrorKind::Unauthenticated | ErrorKind::Forbidden | ErrorKind::Rejected
    );
    match is_refused && jwt::has_expired(token.expose(), now.wall) {
        true => error.with_hint(
            "the registry refresh token has expired by this machine's clock; sign in again, \
             for example with `az acr login`",
        ),
        false => error,
    }
}

/// Says of a refusal of nobody why nobody is signed in.
fn with_reason(error: Error, why: Option<&str>) -> Error {
    let Some(why) = why.filter(|_| blames_token(&error)) else { return error };
    let details = error.details().to_vec();
    error.with_server_text(Some(format!("nobody is signed in, since {why}")), details)
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

/// Rights that were looked at so long ago may have changed.
const RIGHTS_AGE: Duration = Duration::from_secs(60);

/// The life of an access token that does not say.
const ACCESS_FALLBACK: Duration = Duration::from_secs(60);

/// The life of a refresh token that does not say.
const REFRESH_FALLBACK: Duration = Duration::from_secs(300);

/// Scopes remembered at once.
const MAX_SCOPES: usize = 1_024;

#[cfg(test)]
mod remembered;
#[cfg(test)]
mod tests;
