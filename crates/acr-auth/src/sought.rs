//! Who was found, where the credential is one that is looked for.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use acr_core::{Endpoint, Error, ErrorKind, Result};

use crate::{
    cache::{Lease, Slot},
    clock::{Clock, Moment},
    credential::{Credential, CredentialSource, Kind},
};

/// The one who was found last. A search for somebody better takes nobody's place: as long as it
/// runs, and if it fails, whoever was there before goes on.
pub(crate) struct Sought {
    found: Slot<Credential>,
    /// When a login was forgotten last.
    forgotten: Mutex<Option<Moment>>,
    clock: Clock,
}

impl Sought {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { found: Slot::new(clock.clone()), forgotten: Mutex::default(), clock }
    }

    /// Who signs in, and whether it was looked for just now.
    pub(crate) async fn get(
        &self,
        source: &dyn CredentialSource,
        registry: &Endpoint,
    ) -> Result<(Lease<Credential>, bool)> {
        self.found.get(|| self.seek(source, registry)).await
    }

    /// Forgets a login that the token service refuses, unless one was forgotten within the last minute:
    /// what is refused again and again would have helpers and people asked with each call. Whether there
    /// may be another one.
    pub(crate) fn forget(&self, refused: &Arc<Credential>) -> bool {
        let mut forgotten = self.forgotten.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.found.live().is_some_and(|lease| Arc::ptr_eq(&lease.token, refused)) {
            // Somebody else did, or does.
            return true;
        }
        let now = self.clock.now();
        if forgotten.is_some_and(|earlier| now.since(earlier) <= SEARCH_PAUSE) {
            return false;
        }
        *forgotten = Some(now);
        self.found.invalidate(refused);
        true
    }

    /// Has somebody better looked for when a token is fetched next, but not more than once a minute.
    pub(crate) fn doubt(&self, poor: &Arc<Credential>) {
        self.found.make_due(poor, SEARCH_PAUSE);
    }

    async fn seek(
        &self,
        source: &dyn CredentialSource,
        registry: &Endpoint,
    ) -> Result<Lease<Credential>> {
        let found = match self.found.live() {
            Some(_) => self.look_in_time(source, registry).await,
            None => look(source, registry).await,
        };
        let now = self.clock.now();
        // Read only now, for it may have been refused meanwhile.
        let kept = self.found.live().map(|lease| lease.token);
        let host = registry.host();
        match (found, kept) {
            (Ok(found), Some(kept)) if is_nobody(&found) && !is_nobody(&kept) => {
                tracing::debug!(credential = ?kept, registry = host, "kept: nobody better was found");
                Ok(lease(kept, now))
            }
            (Ok(found), kept) => {
                tell(&found, kept.as_deref(), host);
                Ok(lease(Arc::new(found), now))
            }
            (Err(error), Some(kept)) => {
                tracing::warn!(%error, credential = ?kept, registry = host, "kept: the search for a better one failed");
                Ok(lease(kept, now))
            }
            (Err(error), None) => Err(error),
        }
    }

    /// Whoever is kept goes on before the calls that wait have waited too long.
    async fn look_in_time(
        &self,
        source: &dyn CredentialSource,
        registry: &Endpoint,
    ) -> Result<Credential> {
        let found = tokio::time::timeout(SEARCH_TIME, look(source, registry)).await;
        found.unwrap_or_else(|_| {
            let text = format!("the search for a credential took longer than {SEARCH_TIME:?}");
            Err(Error::new(ErrorKind::Timeout, text))
        })
    }
}

/// Who goes on: at `INFO` when it is another one than before.
fn tell(found: &Credential, kept: Option<&Credential>, host: &str) {
    if kept.is_some_and(|kept| is_nobody(kept) && is_nobody(found)) {
        tracing::debug!(credential = ?found, registry = host, "found nobody again");
    } else if let Kind::Anonymous { why: Some(tried) } = &found.0 {
        tracing::info!(registry = host, %tried, "going on as nobody");
    } else {
        tracing::info!(credential = ?found, registry = host, "found");
    }
}

/// Whether another search may find somebody better. An Entra identity asks for new tokens by itself,
/// and nobody by choice is who the source wants it to be.
pub(crate) fn may_be_replaced(credential: &Credential) -> bool {
    !matches!(credential.0, Kind::Entra(_) | Kind::Anonymous { why: None })
}

/// What a source finds, if that can sign in.
async fn look(source: &dyn CredentialSource, registry: &Endpoint) -> Result<Credential> {
    let found = source.find(registry).await?;
    match &found.0 {
        Kind::Sought(_) => {
            let text = "a credential was looked for, and another one to look for was found";
            Err(Error::new(ErrorKind::Credential, text))
        }
        Kind::Unusable(why) => Err(Error::shared(why)),
        _ => Ok(found),
    }
}

fn is_nobody(credential: &Credential) -> bool {
    matches!(credential.0, Kind::Anonymous { .. })
}

/// What was found is kept until it is refused or doubted. Where nobody was found there may be somebody
/// soon: the service of a machine's identity that starts later than this program, a person who signs in.
/// A token service does not refuse nobody, it gives a token without rights.
fn lease(found: Arc<Credential>, now: Moment) -> Lease<Credential> {
    let is_passing = matches!(found.0, Kind::Anonymous { why: Some(_) });
    Lease::lasting(found, now, if is_passing { SEARCH_PAUSE } else { Duration::MAX })
}

/// Between two searches, as far as no login was refused.
const SEARCH_PAUSE: Duration = Duration::from_secs(60);

/// How long one may take where somebody is kept.
const SEARCH_TIME: Duration = Duration::from_secs(30);
