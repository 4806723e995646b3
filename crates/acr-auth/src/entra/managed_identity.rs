//! The identity of the machine the program runs on.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use acr_core::{BoxError, Result};

use super::{
    failure::Failure, identity_service::IdentityService, options::SourceOptions, scopes,
    token_cache::TokenCache,
};
use crate::{
    access_token::AccessToken,
    credential::{BoxFuture, TokenCredential, TokenRequest},
};

/// Which identity of the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ManagedIdentity {
    /// The one that lives and dies with the machine.
    #[default]
    SystemAssigned,
    /// A user-assigned one, by its client id.
    ClientId(String),
    /// A user-assigned one, by its object (principal) id.
    ObjectId(String),
    /// A user-assigned one, by its resource id: `/subscriptions/…`.
    ResourceId(String),
}

/// Asks the platform for a token of the machine's own identity.
///
/// | platform | how it is recognised | what is sent |
/// |---|---|---|
/// | App Service, Functions, Container Apps | `IDENTITY_ENDPOINT` and `IDENTITY_HEADER` | `GET` to that endpoint, which must be on this machine or link-local |
/// | virtual machines, scale sets, clusters | none of the platforms' variables is set | `GET http://169.254.169.254/metadata/identity/oauth2/token` |
///
/// Both without TLS, as the platforms have it, and never through a proxy. Azure Arc, Service
/// Fabric, Machine Learning and Cloud Shell are recognised and not supported.
///
/// Before it is asked for a token the first time, the service of virtual machines is asked
/// whether it is there: elsewhere this source is "not available here" within a second. It is
/// given 79 seconds while it answers 404, 410, 429 or 5xx, as its documentation asks for.
///
/// ```
/// use acr_auth::{Credential, entra::{ManagedIdentity, ManagedIdentityCredential}};
///
/// let identity = ManagedIdentity::ClientId("<client id>".into());
/// let credential = Credential::entra(ManagedIdentityCredential::new(identity)?);
/// # let _ = credential;
/// # Ok::<(), acr_core::Error>(())
/// ```
#[derive(Debug)]
pub struct ManagedIdentityCredential {
    identity: ManagedIdentity,
    service: IdentityService,
    probe_timeout: Duration,
    is_found: AtomicBool,
    cache: TokenCache,
}

impl ManagedIdentityCredential {
    /// An identity of this machine.
    ///
    /// # Errors
    ///
    /// [`acr_core::ErrorKind::InvalidInput`] when the platform's variables are malformed.
    pub fn new(identity: ManagedIdentity) -> Result<Self> {
        Self::configured(identity, &SourceOptions::new())
    }

    /// The same with other settings.
    ///
    /// # Errors
    ///
    /// As [`ManagedIdentityCredential::new`].
    pub fn configured(identity: ManagedIdentity, options: &SourceOptions) -> Result<Self> {
        Self::assemble(identity, options).map_err(Failure::into_error)
    }

    pub(crate) fn assemble(
        identity: ManagedIdentity,
        options: &SourceOptions,
    ) -> Result<Self, Failure> {
        Ok(Self {
            identity,
            service: IdentityService::detect(options)?,
            probe_timeout: options.probe_timeout,
            is_found: AtomicBool::new(false),
            cache: TokenCache::default(),
        })
    }

    /// Does not ask whether the service is there: for machines that are known to have one,
    /// however slow it is to start.
    #[must_use]
    pub fn without_probe(self) -> Self {
        self.is_found.store(true, Ordering::Relaxed);
        self
    }

    async fn fetch(&self, scopes: &[&str]) -> Result<AccessToken, Failure> {
        let resource = scopes::resource(scopes)?;
        if !self.is_found.load(Ordering::Relaxed) {
            self.service.find(self.probe_timeout).await?;
            self.is_found.store(true, Ordering::Relaxed);
        }
        self.service.fetch(&self.identity, resource).await
    }
}

impl TokenCredential for ManagedIdentityCredential {
    fn get_token<'a>(
        &'a self,
        request: TokenRequest<'a>,
    ) -> BoxFuture<'a, Result<AccessToken, BoxError>> {
        Box::pin(async move {
            let fetch = || self.fetch(request.scopes);
            self.cache.get(request.scopes, fetch).await.map_err(BoxError::from)
        })
    }
}
