//! Finds a token for a scope: from the cache, or through the flow of the credential.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use acr_core::{Endpoint, Error, ErrorKind, HttpService, Result, Scope, Secret};

use crate::{
    cache::{Lease, Slot},
    credential::{Credential, Kind, TokenCredential, TokenRequest},
    exchange::{self, Grant},
    jwt, trust,
};

/// The tokens of one credential at one registry; shared by all clones of a layer.
#[derive(Debug)]
pub(crate) struct Tokens {
    endpoint: Endpoint,
    credential: Credential,
    audience: String,
    trusted: Vec<String>,
    refresh: Slot,
    access: Mutex<HashMap<Scope, Arc<Slot>>>,
}

/// A token for a request, and where it came from.
pub(crate) struct Found {
    pub(crate) token: Arc<Secret>,
    /// Whether it was fetched for this very request.
    pub(crate) is_new: bool,
    slot: Arc<Slot>,
}

impl Found {
    /// Drops the token from the cache, unless a newer one is there already.
    pub(crate) async fn invalidate(&self) {
        self.slot.invalidate(&self.token).await;
    }
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
    pub(crate) async fn find<S: HttpService>(&self, service: &S, scope: &Scope) -> Result<Found> {
        let slot = self.slot(scope);
        let (lease, is_new) = slot
            .get(|| in_time(self.fetch_access(service, scope)))
            .await
            .map_err(Error::before_sending)?;
        Ok(Found { token: lease.token, is_new, slot })
    }

    async fn fetch_access<S: HttpService>(&self, service: &S, scope: &Scope) -> Result<Lease> {
        let source = match &self.credential.0 {
            Kind::Anonymous => return self.ask(service, Grant::Anonymous, scope).await,
            Kind::Password { user, password } => {
                return self.ask(service, Grant::Password { user, password }, scope).await;
            }
            Kind::RefreshToken(token) => {
                return self.ask(service, Grant::RefreshToken(token), scope).await;
            }
            Kind::Entra(source) => source.as_ref(),
        };
        let (refresh, is_new) = self.refresh.get(|| self.fetch_refresh(service, source)).await?;
        let first = self.ask(service, Grant::RefreshToken(&refresh.token), scope).await;
        match first {
            // The registry no longer takes the refresh token: exchange anew, once.
            Err(error) if error.kind() == ErrorKind::Unauthenticated && !is_new => {
                self.refresh.invalidate(&refresh.token).await;
                let (refresh, _) = self.refresh.get(|| self.fetch_refresh(service, source)).await?;
                self.ask(service, Grant::RefreshToken(&refresh.token), scope).await
            }
            other => other,
        }
    }

    async fn fetch_refresh<S: HttpService>(
        &self,
        service: &S,
        source: &dyn TokenCredential,
    ) -> Result<Lease> {
        trust::check(&self.endpoint, &self.trusted)?;
        let scope = format!("{}/.default", self.audience);
        let request = TokenRequest { scopes: &[&scope] };
        let entra = source.get_token(request).await.map_err(|source| {
            let text = "the credential source gave no Entra token";
            Error::new(ErrorKind::Credential, text).with_source(source)
        })?;
        if entra.expires_at() <= SystemTime::now() {
            let text = "the credential source gave an Entra token that has expired";
            return Err(Error::new(ErrorKind::Credential, text));
        }
        let token = exchange::entra_token(service.clone(), &self.endpoint, entra.token()).await?;
        Ok(lease(token, REFRESH_FALLBACK))
    }

    async fn ask<S: HttpService>(
        &self,
        service: &S,
        grant: Grant<'_>,
        scope: &Scope,
    ) -> Result<Lease> {
        let token = exchange::access_token(service.clone(), &self.endpoint, grant, scope).await?;
        Ok(lease(token, ACCESS_FALLBACK))
    }

    fn slot(&self, scope: &Scope) -> Arc<Slot> {
        let mut slots = self.access.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= MAX_SCOPES && !slots.contains_key(scope) {
            // Slots in use stay: somebody waits on them.
            slots.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        Arc::clone(slots.entry(scope.clone()).or_default())
    }
}

fn lease(token: Secret, fallback: Duration) -> Lease {
    let lifetime = jwt::lifetime(token.expose(), SystemTime::now()).unwrap_or(fallback);
    Lease::new(token, lifetime)
}

/// Bounds a token fetch as a whole, the caller's identity source included: everybody
/// who needs the same scope waits for it.
async fn in_time(fetch: impl Future<Output = Result<Lease>>) -> Result<Lease> {
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
