//! The identity of the machine the program runs on.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use acr_core::{Result, http::BoxError};

use super::{
    failure::Failure, identity::ManagedIdentity, identity_service::IdentityService,
    options::SourceOptions, scopes, token_cache::TokenCache,
};
use crate::{
    access_token::AccessToken,
    credential::{BoxFuture, TokenCredential, TokenRequest},
};

/// Asks the platform for a token of the machine's own identity.
///
/// | platform | how it is recognised | what is sent |
/// |---|---|---|
/// | App Service, Functions, Container Apps | `IDENTITY_ENDPOINT` and `IDENTITY_HEADER` | `GET` to that endpoint, which must be at a loopback, link-local or private address |
/// | virtual machines, scale sets, clusters, Container Instances | none of the platforms' variables is set | `GET http://169.254.169.254/metadata/identity/oauth2/token`, or at `AZURE_POD_IDENTITY_AUTHORITY_HOST` |
///
/// Both without TLS, as the platforms have it, and never through a proxy. Azure Arc, Service
/// Fabric and Machine Learning are recognised and not supported yet: there this source fails,
/// and so does a chain, for a token of anybody else would be another identity. In Cloud Shell,
/// where `az` has the same identity, it is "not available here". Variables of a platform that
/// cannot be used are a failure of the first token, not of the constructor.
///
/// Before it is asked for a token the first time, the service of virtual machines is asked
/// whether it is there: elsewhere this source is "not available here" within a second. It is
/// given 79 seconds while it answers 404, 410, 429 or 5xx, as its documentation asks for. One
/// that has answered, or was not asked for ([`without_probe`](Self::without_probe)), and now
/// cannot be reached is tried three times within ten seconds.
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
    is_probed: bool,
    has_answered: AtomicBool,
    cache: TokenCache,
}

impl ManagedIdentityCredential {
    /// An identity of this machine.
    ///
    /// ```
    /// use acr_auth::entra::{ManagedIdentity, ManagedIdentityCredential};
    ///
    /// let source = ManagedIdentityCredential::new(ManagedIdentity::SystemAssigned)?;
    /// # let _ = source;
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`acr_core::ErrorKind::InvalidInput`] for an unusable transport.
    pub fn new(identity: ManagedIdentity) -> Result<Self> {
        Self::configured(identity, &SourceOptions::new())
    }

    /// The same with other settings.
    ///
    /// ```
    /// use acr_auth::entra::{ManagedIdentity, ManagedIdentityCredential, SourceOptions};
    ///
    /// let options = SourceOptions::new().probe_timeout(std::time::Duration::from_secs(3));
    /// let source = ManagedIdentityCredential::configured(ManagedIdentity::SystemAssigned, &options)?;
    /// # let _ = source;
    /// # Ok::<(), acr_core::Error>(())
    /// ```
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
            is_probed: true,
            has_answered: AtomicBool::new(false),
            cache: TokenCache::default(),
        })
    }

    /// Does not ask whether the service is there: for machines that are known to have one. One
    /// that starts after the program is waited for: three tries within ten seconds.
    ///
    /// ```
    /// use acr_auth::entra::{ManagedIdentity, ManagedIdentityCredential};
    ///
    /// // On a machine that surely has one.
    /// let source = ManagedIdentityCredential::new(ManagedIdentity::SystemAssigned)?.without_probe();
    /// # let _ = source;
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    #[must_use]
    pub fn without_probe(mut self) -> Self {
        self.is_probed = false;
        self
    }

    async fn fetch(&self, scopes: &[&str]) -> Result<AccessToken, Failure> {
        let resource = scopes::resource(scopes)?;
        let has_answered = self.has_answered.load(Ordering::Relaxed);
        if self.is_probed && !has_answered {
            self.service.find(self.probe_timeout).await?;
            self.has_answered.store(true, Ordering::Relaxed);
        }
        let has_answered = has_answered || self.is_probed;
        let token = self.service.fetch(&self.identity, resource, has_answered).await?;
        self.has_answered.store(true, Ordering::Relaxed);
        Ok(token)
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

    fn refused(&self, token: &AccessToken) {
        self.cache.refused(token);
    }
}
