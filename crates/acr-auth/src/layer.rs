//! The layer that signs requests in.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use acr_core::{
    CallOptions, Endpoint, Error, MissingRights, Result, Scope,
    http::{Challenge, Effect, Request, Response, SignedAnew, client::Recoveries},
    layer::{
        CLIENT_REQUEST_ID, HttpService, RequestId, ResponseFuture, call, drain, is_redirect_hop,
    },
};
use http::{HeaderName, HeaderValue, StatusCode, Uri, header};
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    challenged,
    clock::Clock,
    credential::Credential,
    exchange::Caller,
    tokens::{Found, Reuse, Tokens},
};

/// Adds a Bearer token to every request that names the permission it needs.
///
/// A request to the configured registry with a [`Scope`] extension gets a token that
/// grants this scope, from the cache or fetched before the request is sent. A request
/// without one is sent as it is; when the registry challenges it, it gets a token for what
/// the challenge names and is sent once more. Requests to any other origin pass without
/// a token, and an `Authorization` header that somebody else set is removed from them.
///
/// After a 401 the token that was refused is dropped and the request sent once more with
/// a new one, if its body allows and if that can help; a call with several attempts is
/// signed in anew twice at most. A refresh token that the registry refuses is exchanged anew,
/// once, and so is one older than a minute where rights are missing: a role may have been
/// granted since. An Entra token that it refuses is dropped at its source
/// ([`crate::TokenCredential::refused`]), which is asked once more. A challenge may add actions on the repositories of the
/// scope, which is remembered. One that names another repository, a wildcard or a token
/// service at another origin ends the call with [`acr_core::ErrorKind::Policy`]. An answer
/// that means missing rights carries the extension [`MissingRights`].
///
/// In the last part of a token's life one call fetches the next one, the others go on
/// with the old. A failed fetch is never remembered; the next one starts 100 ms later
/// at the earliest.
///
/// Token calls go through the layers inside of this one: same user agent, logs,
/// time-outs and connections, and the options of the call that needs the token. The layer is
/// always ready and waits for the inner service within the call, so that no limit's permit is
/// kept while a token is fetched through the same limit. A token call that fails for a passing reason surfaces as a
/// retryable error, so the one retry layer outside repeats the whole attempt. Must stand inside of
/// retry and redirect.
///
/// ```
/// use acr_auth::{AuthLayer, Credential};
/// use acr_core::{Endpoint, Pipeline};
///
/// let endpoint: Endpoint = "myregistry.azurecr.io".parse()?;
/// let auth = AuthLayer::new(&endpoint, Credential::anonymous());
/// let pipeline = Pipeline::builder(endpoint).layer_per_hop(auth).build()?;
/// # let _ = pipeline;
/// # Ok::<(), acr_core::Error>(())
/// ```
#[derive(Clone)]
pub struct AuthLayer {
    tokens: Arc<Tokens>,
    endpoint: Endpoint,
    credential: Credential,
    audience: String,
    trusted: Vec<String>,
}

/// The service of [`AuthLayer`].
#[derive(Clone)]
pub struct Auth<S> {
    inner: S,
    tokens: Arc<Tokens>,
}

impl AuthLayer {
    /// Signs in at this registry with this credential. All clones share one cache.
    ///
    /// ```
    /// use acr_auth::{AuthLayer, Credential};
    /// use acr_core::{Endpoint, Pipeline};
    ///
    /// let endpoint: Endpoint = "myregistry.azurecr.io".parse()?;
    /// let auth = AuthLayer::new(&endpoint, Credential::password("me", "secret"));
    /// let pipeline = Pipeline::builder(endpoint).layer_per_hop(auth).build()?;
    /// # let _ = pipeline;
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    pub fn new(endpoint: &Endpoint, credential: Credential) -> Self {
        Self::assemble(endpoint.clone(), credential, AUDIENCE.to_owned(), Vec::new())
    }

    /// Asks Entra for another audience; the default is that of Azure Container
    /// Registry in all clouds, `https://containerregistry.azure.net`.
    ///
    /// ```
    /// use acr_auth::{AuthLayer, Credential};
    ///
    /// // A registry that refuses tokens of the registry's own audience.
    /// let endpoint = "myregistry.azurecr.io".parse()?;
    /// let auth = AuthLayer::new(&endpoint, Credential::anonymous());
    /// let auth = auth.audience("https://management.azure.com");
    /// # let _ = auth;
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    #[must_use]
    pub fn audience(self, audience: impl Into<String>) -> Self {
        Self::assemble(self.endpoint, self.credential, audience.into(), self.trusted)
    }

    /// Allows Entra tokens to be sent to this host although it is not one of
    /// `*.azurecr.{io,cn,us,de}`: an on-premises registry, an emulator. TLS is
    /// required all the same.
    ///
    /// ```
    /// use acr_auth::{AuthLayer, Credential};
    ///
    /// let endpoint = "registry.contoso.example".parse()?;
    /// let auth = AuthLayer::new(&endpoint, Credential::anonymous());
    /// let auth = auth.trust_entra_for("registry.contoso.example");
    /// # let _ = auth;
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    #[must_use]
    pub fn trust_entra_for(mut self, host: impl Into<String>) -> Self {
        self.trusted.push(host.into());
        Self::assemble(self.endpoint, self.credential, self.audience, self.trusted)
    }

    fn assemble(
        endpoint: Endpoint,
        credential: Credential,
        audience: String,
        trusted: Vec<String>,
    ) -> Self {
        let tokens = Arc::new(Tokens::new(
            endpoint.clone(),
            credential.clone(),
            audience.clone(),
            trusted.clone(),
            Clock::default(),
        ));
        Self { tokens, endpoint, credential, audience, trusted }
    }
}

/// Neither what the caller's credential prints nor what is inside.
impl fmt::Debug for AuthLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthLayer")
            .field("endpoint", &self.endpoint)
            .field("credential", &self.credential)
            .finish_non_exhaustive()
    }
}

impl<S> fmt::Debug for Auth<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth").field("endpoint", self.tokens.endpoint()).finish_non_exhaustive()
    }
}

impl<S> Layer<S> for AuthLayer {
    type Service = Auth<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Auth { inner, tokens: Arc::clone(&self.tokens) }
    }
}

impl<S: HttpService> Service<Request> for Auth<S> {
    type Response = Response;
    type Error = Error;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        // Nothing is reserved while a token is fetched, which needs the inner service too.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let mut inner = self.inner.clone();
        if !self.tokens.endpoint().is_origin_of(request.uri()) {
            // The second wall: whatever put a credential there, it does not leave.
            for name in &CREDENTIALS {
                request.headers_mut().remove(name);
            }
            return Box::pin(async move { call(&mut inner, request).await });
        }
        let scope = request.extensions().get::<Scope>().cloned();
        if scope.is_none() && is_none_of_ours(&request) {
            return Box::pin(async move { call(&mut inner, request).await });
        }
        let signed = Call {
            tokens: Arc::clone(&self.tokens),
            request_id: id_of(&request),
            options: request.extensions().get::<CallOptions>().cloned(),
        };
        match scope {
            Some(scope) => Box::pin(signed.send(inner, request, scope, true)),
            None => Box::pin(signed.send_unscoped(inner, request)),
        }
    }
}

/// The id of the call, and the header that it is sent in.
fn id_of(request: &Request) -> Option<(HeaderName, HeaderValue)> {
    let known = request.extensions().get::<RequestId>();
    let name = known.map_or(CLIENT_REQUEST_ID, |id| id.header().clone());
    let id = request.headers().get(&name)?.clone();
    Some((name, id))
}

/// Headers that can hold a credential.
const CREDENTIALS: [HeaderName; 4] = [
    header::AUTHORIZATION,
    header::COOKIE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("x-ms-authorization-auxiliary"),
];

/// Requests without a scope that no challenge is answered for: hops that a server chose,
/// token calls, and those that somebody signed in already.
fn is_none_of_ours(request: &Request) -> bool {
    is_redirect_hop(request)
        || request.extensions().get() == Some(&Effect::Token)
        || request.headers().contains_key(header::AUTHORIZATION)
}

/// One request and what it takes to sign it in.
struct Call {
    tokens: Arc<Tokens>,
    request_id: Option<(HeaderName, HeaderValue)>,
    options: Option<CallOptions>,
}

/// An answer that says no to a token.
struct Refusal {
    /// With a 401.
    challenge: Option<Challenge>,
    /// The registry said that it is rights that are missing.
    is_told: bool,
    /// It said so, or the token does not say that it has them.
    lacks_rights: bool,
}

impl Call {
    async fn send<S: HttpService>(
        self,
        mut inner: S,
        request: Request,
        scope: Scope,
        try_twice: bool,
    ) -> Result<Response> {
        let uri = request.uri().clone();
        let recoveries = request.extensions().get::<Recoveries>().cloned();
        let (first, again) = copy(request);

        let found = self.tokens.find(&self.caller(&inner), &scope, Reuse::Supersets).await?;
        let response = self.exchange(&mut inner, first, &found).await?;
        let Some(refusal) = self.refusal(&response, &uri, &scope, &found)? else {
            return Ok(response);
        };
        let is_completed = match &refusal.challenge {
            Some(challenge) => self
                .tokens
                .complete(&scope, challenge)
                .map_err(|error| error.with_status(response.status()).with_url(&uri))?,
            None => false,
        };
        // A role may have been granted since the registry last looked.
        let is_renewed = refusal.lacks_rights && self.tokens.renew(&found.token);
        // A token fetched this moment carries all the rights there were, and whoever is
        // known but may not do this is not helped by another token.
        let is_hopeless = !is_renewed
            && (response.status() == StatusCode::FORBIDDEN
                || (found.is_new && (!try_twice || (refusal.is_told && !is_completed))));
        let Some(again) = again.filter(|_| !is_hopeless && may_recover(recoveries.as_ref())) else {
            return Ok(note_rights(response, &scope, &found, &refusal));
        };

        drain(response.into_body()).await;
        let found = self.tokens.find(&self.caller(&inner), &scope, Reuse::Exact).await?;
        let response = self.exchange(&mut inner, marked(again), &found).await?;
        Ok(match self.refusal(&response, &uri, &scope, &found)? {
            None => response,
            Some(refusal) => note_rights(response, &scope, &found, &refusal),
        })
    }

    /// What an answer says against the token, which a 401 drops.
    fn refusal(
        &self,
        response: &Response,
        uri: &Uri,
        need: &Scope,
        found: &Found,
    ) -> Result<Option<Refusal>> {
        let is_refused = response.status() == StatusCode::UNAUTHORIZED;
        if !is_refused && response.status() != StatusCode::FORBIDDEN {
            return Ok(None);
        }
        // Some registries answer 403 for missing rights, and no challenge.
        let challenge = if is_refused { self.challenge(response, uri)? } else { None };
        if is_refused {
            self.tokens.invalidate(&found.token);
        }
        let is_told = challenge.as_ref().is_some_and(Challenge::is_insufficient_scope);
        let have = found.token.granted.as_ref();
        let lacks_rights = is_told || have.is_some_and(|have| !have.permits(need));
        Ok(Some(Refusal { challenge, is_told, lacks_rights }))
    }

    /// Sends a request that does not say what it needs, and lets the registry say it.
    async fn send_unscoped<S: HttpService>(
        self,
        mut inner: S,
        request: Request,
    ) -> Result<Response> {
        let uri = request.uri().clone();
        let (first, again) = copy(request);
        let response = call(&mut inner, first).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        let (Some(challenge), Some(again)) = (self.challenge(&response, &uri)?, again) else {
            return Ok(response);
        };
        let scope = challenged::whole_scope(&challenge)
            .map_err(|error| error.with_status(response.status()).with_url(&uri))?;
        drain(response.into_body()).await;
        // It was sent once already, so a fresh token gets one chance.
        self.send(inner, marked(again), scope, false).await
    }

    /// The Bearer challenge of an answer, unless it is one that ends the call.
    fn challenge(&self, response: &Response, uri: &Uri) -> Result<Option<Challenge>> {
        let challenge = Challenge::bearer(response.headers());
        if let Some(challenge) = &challenge {
            challenged::check_realm(challenge, self.tokens.endpoint())
                .map_err(|error| error.with_status(response.status()).with_url(uri))?;
        }
        Ok(challenge)
    }

    /// The only place in the program that writes `Authorization`.
    async fn exchange<S: HttpService>(
        &self,
        inner: &mut S,
        mut request: Request,
        found: &Found,
    ) -> Result<Response> {
        if self.tokens.endpoint().is_origin_of(request.uri()) {
            request.headers_mut().insert(header::AUTHORIZATION, found.token.bearer.clone());
        }
        call(inner, request).await
    }

    fn caller<'a, S>(&self, service: &'a S) -> Caller<'a, S> {
        let (request_id, options) = (self.request_id.clone(), self.options.clone());
        Caller { service, request_id, options }
    }
}

/// The request, and the same once more if its body can be sent twice.
fn copy(request: Request) -> (Request, Option<Request>) {
    let (head, body) = request.into_parts();
    let again = body.try_clone().map(|body| Request::from_parts(head.clone(), body));
    (Request::from_parts(head, body), again)
}

/// A request that is sent once more, marked as what it is.
fn marked(mut again: Request) -> Request {
    again.extensions_mut().insert(SignedAnew::default());
    again
}

/// Once for each attempt by construction; the attempts of one call share a count.
fn may_recover(recoveries: Option<&Recoveries>) -> bool {
    recoveries.is_none_or(Recoveries::begin)
}

/// Adds to a refusal which rights were missing, if that is what it means.
fn note_rights(mut response: Response, need: &Scope, found: &Found, refusal: &Refusal) -> Response {
    if refusal.lacks_rights {
        let mut missing = MissingRights::new(need.clone(), found.token.granted.clone());
        if let Some(why) = &found.token.nobody {
            missing = missing.because(format!("nobody is signed in, since {why}"));
        }
        response.extensions_mut().insert(missing);
    }
    response
}

/// The audience of the data plane, the same in the public, Chinese and US Government clouds.
const AUDIENCE: &str = "https://containerregistry.azure.net";
