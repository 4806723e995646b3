//! A service principal with a secret.

use acr_core::{Error, ErrorKind, Result, Secret, http::BoxError};

use super::{
    authority::Application,
    cloud::Cloud,
    failure::Failure,
    named_identity::{self, required},
    options::SourceOptions,
    scopes,
    token_cache::TokenCache,
};
use crate::{
    access_token::AccessToken,
    credential::{BoxFuture, TokenCredential, TokenRequest},
    secret_text,
};

/// Signs a service principal in with its client secret.
///
/// Sends `POST /{tenant}/oauth2/v2.0/token` to the authority of the cloud.
///
/// ```
/// use acr_auth::{Credential, entra::ClientSecretCredential};
///
/// let source = ClientSecretCredential::new("contoso.onmicrosoft.com", "<client id>", "<secret>")?;
/// let credential = Credential::entra(source);
/// # let _ = credential;
/// # Ok::<(), acr_core::Error>(())
/// ```
#[derive(Debug)]
pub struct ClientSecretCredential {
    application: Application,
    secret: Secret,
    cache: TokenCache,
}

impl ClientSecretCredential {
    /// A service principal of the public cloud: the tenant's id or domain name, the client
    /// (application) id, and the secret's value.
    ///
    /// ```
    /// use acr_auth::entra::ClientSecretCredential;
    ///
    /// let source = ClientSecretCredential::new("contoso.onmicrosoft.com", "<client id>", "<secret>")?;
    /// # let _ = source;
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] for a malformed tenant, or an empty client id or secret.
    pub fn new(tenant: &str, client_id: &str, secret: impl Into<Secret>) -> Result<Self> {
        Self::configured(tenant, client_id, secret, &SourceOptions::new())
    }

    /// The same with other settings.
    ///
    /// ```
    /// use acr_auth::entra::{ClientSecretCredential, Cloud, SourceOptions};
    ///
    /// let china = SourceOptions::new().cloud(Cloud::china());
    /// let source = ClientSecretCredential::configured("contoso.onmicrosoft.com", "<client id>", "<secret>", &china)?;
    /// # let _ = source;
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`ClientSecretCredential::new`].
    pub fn configured(
        tenant: &str,
        client_id: &str,
        secret: impl Into<Secret>,
        options: &SourceOptions,
    ) -> Result<Self> {
        Self::assemble(tenant, client_id, &secret.into(), options, &options.explicit_cloud())
            .map_err(Failure::into_error)
    }

    /// The service principal that the environment names: `AZURE_TENANT_ID`, `AZURE_CLIENT_ID`
    /// and `AZURE_CLIENT_SECRET`, at `AZURE_AUTHORITY_HOST` if that is set.
    ///
    /// ```
    /// use acr_auth::entra::{ClientSecretCredential, Environment, SourceOptions};
    ///
    /// let environment = Environment::from_fn(|name| match name {
    ///     "AZURE_TENANT_ID" => Some("contoso.onmicrosoft.com".into()),
    ///     "AZURE_CLIENT_ID" => Some("11111111-2222-3333-4444-555555555555".into()),
    ///     "AZURE_CLIENT_SECRET" => Some("<secret>".into()),
    ///     _ => None,
    /// });
    /// let options = SourceOptions::new().environment(environment);
    /// let source = ClientSecretCredential::from_env(&options)?;
    /// # let _ = source;
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Credential`] with [`CredentialUnavailable`] as its source when no secret is
    /// set, and without it when variables name an application or a person that this source
    /// cannot be: a secret without tenant or client id, a certificate, a user name and password.
    /// Else as [`ClientSecretCredential::new`].
    ///
    /// [`CredentialUnavailable`]: super::CredentialUnavailable
    pub fn from_env(options: &SourceOptions) -> Result<Self> {
        Self::try_from_env(options).map_err(Failure::into_error)
    }

    pub(crate) fn try_from_env(options: &SourceOptions) -> Result<Self, Failure> {
        named_identity::check_application(&options.environment)?;
        let [tenant, client_id, secret] = required(&options.environment, VARIABLES)?;
        // Whoever set a variable needs its name, which the other ways in do not know.
        scopes::check_tenant_of(tenant.trim(), "AZURE_TENANT_ID is set, but ")?;
        let secret = secret_text::line(&Secret::new(secret), "value of AZURE_CLIENT_SECRET")?;
        let cloud = options.environment_cloud()?;
        Self::assemble(tenant.trim(), client_id.trim(), &secret, options, &cloud)
    }

    fn assemble(
        tenant: &str,
        client_id: &str,
        secret: &Secret,
        options: &SourceOptions,
        cloud: &Cloud,
    ) -> Result<Self, Failure> {
        let secret = secret_text::line(secret, "client secret")?;
        if secret.expose().is_empty() {
            return Err(Error::new(ErrorKind::InvalidInput, "the client secret is empty").into());
        }
        let application = Application::new(options, cloud, tenant, client_id)?;
        Ok(Self { application, secret, cache: TokenCache::default() })
    }
}

impl TokenCredential for ClientSecretCredential {
    fn get_token<'a>(
        &'a self,
        request: TokenRequest<'a>,
    ) -> BoxFuture<'a, Result<AccessToken, BoxError>> {
        Box::pin(async move {
            let fetch = || self.application.with_secret(request.scopes, &self.secret);
            self.cache.get(request.scopes, fetch).await.map_err(BoxError::from)
        })
    }

    fn refused(&self, token: &AccessToken) {
        self.cache.refused(token);
    }
}

const VARIABLES: [&str; 3] = ["AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"];
