//! The two token calls by themselves.

use std::time::{Duration, SystemTime};

use acr_core::{Error, ErrorKind, Pipeline, Result, Scope, Secret};

use crate::{
    exchange::{Ask, Caller, Exchange, Grant},
    grant_type::GrantType,
    jwt, secret_text, trust,
};

/// The token service of a registry, call by call: for programs that manage tokens of their
/// own. Nothing is cached and nothing renewed; [`crate::AuthLayer`] does both.
///
/// Both calls are `POST` requests with a form as the body, to `/oauth2/exchange` and
/// `/oauth2/token` of the pipeline's endpoint. Give it a pipeline without sign-in.
///
/// ```
/// # use acr_core::{Pipeline, Scope, Secret};
/// # use acr_auth::TokenClient;
/// # async fn example(entra: Secret) -> acr_core::Result<()> {
/// let client = TokenClient::new(Pipeline::builder("myregistry.azurecr.io".parse()?).build()?);
/// let refresh = client.exchange_entra_token(&entra, None).await?;
/// let access = client.exchange_refresh_token(refresh.token(), &Scope::catalog()).await?;
/// println!("granted: {:?}", access.granted().map(ToString::to_string));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct TokenClient {
    pipeline: Pipeline,
    trusted: Vec<String>,
}

/// What a registry refresh token is asked with: `POST /oauth2/exchange`.
#[derive(Clone, Debug)]
#[must_use]
pub struct ExchangeRequest {
    grant_type: GrantType,
    service: Option<String>,
    tenant: Option<String>,
    access_token: Option<Secret>,
    refresh_token: Option<Secret>,
}

/// A registry refresh token, good for access tokens of all scopes.
#[derive(Clone, Debug)]
pub struct RefreshToken {
    token: Secret,
    lifetime: Option<Duration>,
}

/// A registry access token for one scope.
#[derive(Clone, Debug)]
pub struct RegistryToken {
    token: Secret,
    lifetime: Option<Duration>,
    granted: Option<Scope>,
}

impl TokenClient {
    /// The token service at the endpoint of the pipeline.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |registry, pipeline| {
    /// use acr_auth::TokenClient;
    /// use acr_core::{Scope, Secret};
    ///
    /// let password = Secret::new("secret");
    /// let tokens = TokenClient::new(pipeline);
    /// let access = tokens.exchange_password("me", &password, &Scope::catalog()).await?;
    /// assert!(access.lifetime().is_some());
    /// # let _ = registry;
    /// # Ok(()) });
    /// ```
    pub fn new(pipeline: Pipeline) -> Self {
        Self { pipeline, trusted: Vec::new() }
    }

    /// Allows Entra tokens to be sent to this host; see [`crate::AuthLayer::trust_entra_for`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |registry, pipeline| {
    /// use acr_auth::TokenClient;
    ///
    /// let tokens = TokenClient::new(pipeline).trust_entra_for("registry.contoso.example");
    /// # let _ = (tokens, registry);
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn trust_entra_for(mut self, host: impl Into<String>) -> Self {
        self.trusted.push(host.into());
        self
    }

    /// Exchanges an Entra access token for a registry refresh token. The tenant, an id or
    /// a domain, is optional: the token names it too.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |registry, pipeline| {
    /// use acr_auth::TokenClient;
    /// use acr_core::Secret;
    ///
    /// let entra = Secret::new(registry.entra_token()); // that of your identity library
    /// let refresh = TokenClient::new(pipeline).exchange_entra_token(&entra, None).await?;
    /// assert!(refresh.lifetime().is_some());
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Policy`] when the endpoint is no host of Azure Container Registry and not
    /// trusted by name, [`ErrorKind::Unauthenticated`] or [`ErrorKind::Forbidden`] when the
    /// registry refuses the token, [`ErrorKind::Throttled`], [`ErrorKind::Protocol`] for an
    /// answer without a token.
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses at most a token that nobody has.
    pub async fn exchange_entra_token(
        &self,
        token: &Secret,
        tenant: Option<&str>,
    ) -> Result<RefreshToken> {
        let request = ExchangeRequest::new(GrantType::ACCESS_TOKEN).access_token(token.clone());
        let request = match tenant {
            Some(tenant) => request.tenant(tenant),
            None => request,
        };
        self.exchange(request).await
    }

    /// The same with every field that the call has.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |registry, pipeline| {
    /// use acr_auth::{ExchangeRequest, GrantType, TokenClient};
    ///
    /// let request = ExchangeRequest::new(GrantType::ACCESS_TOKEN)
    ///     .service(registry.endpoint().authority())
    ///     .access_token(registry.entra_token());
    /// let refresh = TokenClient::new(pipeline).exchange(request).await?;
    /// # let _ = refresh;
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// As [`TokenClient::exchange_entra_token`]; [`ErrorKind::InvalidInput`] when a token that
    /// the grant type needs is missing.
    ///
    /// # Cancellation
    ///
    /// A token that was issued meanwhile is lost; nothing else is.
    pub async fn exchange(&self, request: ExchangeRequest) -> Result<RefreshToken> {
        request.check()?;
        let endpoint = self.pipeline.endpoint();
        trust::check(endpoint, &self.trusted)?;
        let read = |token: Option<Secret>, what| {
            token.map(|token| secret_text::token(&token, what)).transpose()
        };
        let access_token = read(request.access_token, "access token")?;
        let refresh_token = read(request.refresh_token, "refresh token")?;
        let exchange = Exchange {
            endpoint,
            grant_type: request.grant_type,
            service: request.service.as_deref().unwrap_or(endpoint.authority()),
            tenant: request.tenant.as_deref(),
            access_token: access_token.as_ref(),
            refresh_token: refresh_token.as_ref(),
        };
        let token = exchange.send(&self.caller()).await?;
        let lifetime = jwt::read(token.expose(), SystemTime::now()).lifetime;
        Ok(RefreshToken { token, lifetime })
    }

    /// Exchanges a registry refresh token for an access token.
    ///
    /// The registry grants what the identity may have of the scope, possibly nothing:
    /// compare [`RegistryToken::granted`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |registry, pipeline| {
    /// use acr_auth::TokenClient;
    /// use acr_core::{Scope, Secret};
    ///
    /// let (tokens, entra) = (TokenClient::new(pipeline), Secret::new(registry.entra_token()));
    /// let refresh = tokens.exchange_entra_token(&entra, None).await?;
    /// let access = tokens.exchange_refresh_token(refresh.token(), &Scope::catalog()).await?;
    /// assert!(access.granted().is_some());
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unauthenticated`] when the refresh token is expired or foreign,
    /// [`ErrorKind::Throttled`], [`ErrorKind::Protocol`] for an answer without a token,
    /// [`ErrorKind::InvalidInput`] for a secret with characters that none has; blanks and line
    /// breaks around it are left out.
    ///
    /// # Cancellation
    ///
    /// A token that was issued meanwhile is lost; nothing else is.
    pub async fn exchange_refresh_token(
        &self,
        token: &Secret,
        scope: &Scope,
    ) -> Result<RegistryToken> {
        let token = secret_text::token(token, "refresh token")?;
        self.ask(Grant::RefreshToken(&token), scope).await
    }

    /// Gets an access token for a user and password: the admin user, a service principal, a
    /// repository-scoped token.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |registry, pipeline| {
    /// use acr_auth::TokenClient;
    /// use acr_core::{Scope, Secret};
    ///
    /// let password = Secret::new("secret");
    /// let access = TokenClient::new(pipeline).exchange_password("me", &password, &Scope::catalog()).await?;
    /// assert!(access.granted().is_some());
    /// # let _ = registry;
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// As [`TokenClient::exchange_refresh_token`].
    ///
    /// # Cancellation
    ///
    /// A token that was issued meanwhile is lost; nothing else is.
    pub async fn exchange_password(
        &self,
        user: &str,
        password: &Secret,
        scope: &Scope,
    ) -> Result<RegistryToken> {
        let user = secret_text::line(&Secret::new(user), "user name")?;
        let password = secret_text::line(password, "password")?;
        let grant = Grant::Password { user: user.expose(), password: &password };
        self.ask(grant, scope).await
    }

    /// Gets an access token for nobody, where the registry allows anonymous pull.
    ///
    /// ```
    /// # async fn example(tokens: acr_auth::TokenClient) -> acr_core::Result<()> {
    /// use acr_core::{Action, Scope};
    ///
    /// let pull = Scope::repository(&"library/app".parse()?, &[Action::PULL]);
    /// let access = tokens.anonymous_token(&pull).await?;
    /// println!("granted: {:?}", access.granted().map(ToString::to_string));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`TokenClient::exchange_refresh_token`].
    ///
    /// # Cancellation
    ///
    /// A token that was issued meanwhile is lost; nothing else is.
    pub async fn anonymous_token(&self, scope: &Scope) -> Result<RegistryToken> {
        self.ask(Grant::Anonymous { why: None }, scope).await
    }

    async fn ask(&self, grant: Grant<'_>, scope: &Scope) -> Result<RegistryToken> {
        let token = Ask::new(self.pipeline.endpoint(), grant, scope).send(&self.caller()).await?;
        let facts = jwt::read(token.expose(), SystemTime::now());
        Ok(RegistryToken { token, lifetime: facts.lifetime, granted: facts.granted })
    }

    fn caller(&self) -> Caller<'_, Pipeline> {
        Caller { service: &self.pipeline, request_id: None, options: None }
    }
}

impl ExchangeRequest {
    /// A request of this grant type.
    ///
    /// ```
    /// use acr_auth::{ExchangeRequest, GrantType};
    ///
    /// let request = ExchangeRequest::new(GrantType::ACCESS_TOKEN).access_token("<token from Entra>");
    /// # let _ = request;
    /// ```
    pub fn new(grant_type: GrantType) -> Self {
        Self { grant_type, service: None, tenant: None, access_token: None, refresh_token: None }
    }

    /// Names another service than the endpoint's host and port.
    ///
    /// ```
    /// use acr_auth::{ExchangeRequest, GrantType};
    ///
    /// let request = ExchangeRequest::new(GrantType::ACCESS_TOKEN).service("myregistry.azurecr.io");
    /// # let _ = request;
    /// ```
    pub fn service(mut self, service: impl Into<String>) -> Self {
        self.service = Some(service.into());
        self
    }

    /// Names the Entra tenant, by id or domain.
    ///
    /// ```
    /// use acr_auth::{ExchangeRequest, GrantType};
    ///
    /// let request = ExchangeRequest::new(GrantType::ACCESS_TOKEN).tenant("contoso.onmicrosoft.com");
    /// # let _ = request;
    /// ```
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }

    /// The Entra access token.
    ///
    /// ```
    /// use acr_auth::{ExchangeRequest, GrantType};
    ///
    /// let request = ExchangeRequest::new(GrantType::ACCESS_TOKEN).access_token("<token from Entra>");
    /// # let _ = request;
    /// ```
    pub fn access_token(mut self, token: impl Into<Secret>) -> Self {
        self.access_token = Some(token.into());
        self
    }

    /// The Entra refresh token.
    ///
    /// ```
    /// use acr_auth::{ExchangeRequest, GrantType};
    ///
    /// let request = ExchangeRequest::new(GrantType::REFRESH_TOKEN).refresh_token("<Entra refresh token>");
    /// # let _ = request;
    /// ```
    pub fn refresh_token(mut self, token: impl Into<Secret>) -> Self {
        self.refresh_token = Some(token.into());
        self
    }

    /// Documented grant types need their tokens; what others need is not known.
    fn check(&self) -> Result<()> {
        let (access, refresh) = (self.access_token.is_some(), self.refresh_token.is_some());
        let missing = match &self.grant_type {
            kind if *kind == GrantType::ACCESS_TOKEN && !access => "an access token",
            kind if *kind == GrantType::REFRESH_TOKEN && !refresh => "a refresh token",
            kind if *kind == GrantType::ACCESS_TOKEN_REFRESH_TOKEN && !(access && refresh) => {
                "an access token and a refresh token"
            }
            _ => return Ok(()),
        };
        let text = format!("the grant type `{}` needs {missing} of Entra", self.grant_type);
        Err(Error::new(ErrorKind::InvalidInput, text))
    }
}

impl RefreshToken {
    /// The token.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |registry, pipeline| {
    /// # use acr_auth::TokenClient;
    /// # use acr_core::Secret;
    /// # let entra = Secret::new(registry.entra_token());
    /// let refresh = TokenClient::new(pipeline).exchange_entra_token(&entra, None).await?;
    /// assert!(!refresh.token().expose().is_empty());
    /// # Ok(()) });
    /// ```
    pub fn token(&self) -> &Secret {
        &self.token
    }

    /// How long it lived when it came, or `None` when it does not say.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |registry, pipeline| {
    /// # use acr_auth::TokenClient;
    /// # use acr_core::Secret;
    /// # let entra = Secret::new(registry.entra_token());
    /// let refresh = TokenClient::new(pipeline).exchange_entra_token(&entra, None).await?;
    /// assert!(refresh.lifetime().is_some());
    /// # Ok(()) });
    /// ```
    pub fn lifetime(&self) -> Option<Duration> {
        self.lifetime
    }
}

impl RegistryToken {
    /// The token.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, pipeline| {
    /// # use acr_auth::TokenClient;
    /// # use acr_core::{Scope, Secret};
    /// # let (tokens, password) = (TokenClient::new(pipeline), Secret::new("secret"));
    /// let access = tokens.exchange_password("me", &password, &Scope::catalog()).await?;
    /// assert!(!access.token().expose().is_empty());
    /// # Ok(()) });
    /// ```
    pub fn token(&self) -> &Secret {
        &self.token
    }

    /// How long it lived when it came, or `None` when it does not say.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, pipeline| {
    /// # use acr_auth::TokenClient;
    /// # use acr_core::{Scope, Secret};
    /// # let (tokens, password) = (TokenClient::new(pipeline), Secret::new("secret"));
    /// let access = tokens.exchange_password("me", &password, &Scope::catalog()).await?;
    /// assert!(access.lifetime().is_some());
    /// # Ok(()) });
    /// ```
    pub fn lifetime(&self) -> Option<Duration> {
        self.lifetime
    }

    /// What it permits, or `None` when it does not say.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, pipeline| {
    /// # use acr_auth::TokenClient;
    /// # use acr_core::{Scope, Secret};
    /// # let (tokens, password) = (TokenClient::new(pipeline), Secret::new("secret"));
    /// let access = tokens.exchange_password("me", &password, &Scope::catalog()).await?;
    /// assert!(access.granted().is_some());
    /// # Ok(()) });
    /// ```
    pub fn granted(&self) -> Option<&Scope> {
        self.granted.as_ref()
    }
}
