//! The layer that signs requests in.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use acr_core::{
    Endpoint, Error, ErrorKind, HttpService, Request, Response, Result, Scope, Secret,
    layer::{ResponseFuture, drain, take},
};
use http::{StatusCode, Uri, header};
use tower_layer::Layer;
use tower_service::Service;

use crate::{challenge, credential::Credential, tokens::Tokens};

/// Adds a Bearer token to every request that names the permission it needs.
///
/// A request to the configured registry with a [`Scope`] extension gets a token
/// for exactly that scope, fetched before the request is sent. Requests to any
/// other origin pass without one, and an `Authorization` header that somebody
/// else set is removed from them. After a 401 the token that was refused is
/// dropped and the request sent once more with a new one, if its body allows.
///
/// Token calls go through the layers inside of this one: same user agent, logs,
/// time-outs and connections. A failed token call surfaces as a retryable error,
/// so the one retry layer outside repeats the whole attempt. Must stand inside of
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
#[derive(Clone, Debug)]
pub struct AuthLayer {
    tokens: Arc<Tokens>,
    endpoint: Endpoint,
    credential: Credential,
    audience: String,
    trusted: Vec<String>,
}

/// The service of [`AuthLayer`].
#[derive(Clone, Debug)]
pub struct Auth<S> {
    inner: S,
    tokens: Arc<Tokens>,
}

impl AuthLayer {
    /// Signs in at this registry with this credential. All clones share one cache.
    pub fn new(endpoint: &Endpoint, credential: Credential) -> Self {
        Self::assemble(endpoint.clone(), credential, AUDIENCE.to_owned(), Vec::new())
    }

    /// Asks Entra for another audience; the default is that of Azure Container
    /// Registry in all clouds, `https://containerregistry.azure.net`.
    #[must_use]
    pub fn audience(self, audience: impl Into<String>) -> Self {
        Self::assemble(self.endpoint, self.credential, audience.into(), self.trusted)
    }

    /// Allows Entra tokens to be sent to this host although it is not one of
    /// `*.azurecr.{io,cn,us,de}`: an on-premises registry, an emulator. TLS is
    /// required all the same.
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
        ));
        Self { tokens, endpoint, credential, audience, trusted }
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

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        if !self.tokens.endpoint().is_origin_of(request.uri()) {
            // The second wall: whatever put a credential there, it does not leave.
            request.headers_mut().remove(header::AUTHORIZATION);
            return Box::pin(self.inner.call(request));
        }
        match request.extensions().get::<Scope>().cloned() {
            None => Box::pin(self.inner.call(request)),
            Some(scope) => {
                let inner = take(&mut self.inner);
                Box::pin(send(inner, Arc::clone(&self.tokens), request, scope))
            }
        }
    }
}

async fn send<S: HttpService>(
    mut inner: S,
    tokens: Arc<Tokens>,
    request: Request,
    scope: Scope,
) -> Result<Response> {
    let (head, body) = request.into_parts();
    let again = body.try_clone();

    let found = tokens.find(&inner, &scope).await?;
    let mut request = Request::from_parts(head.clone(), body);
    authorize(&mut request, tokens.endpoint(), &found.token)?;
    let response = call(&mut inner, request).await?;
    if response.status() != StatusCode::UNAUTHORIZED {
        return Ok(response);
    }

    let verdict = judge(&response, tokens.endpoint(), &head.uri)?;
    found.invalidate().await;
    let Some(body) = again else {
        return Ok(response);
    };
    if found.is_new && verdict == Verdict::InsufficientScope {
        // A token fetched this moment carries all the rights there are.
        return Ok(response);
    }
    drain(response.into_body()).await;
    let found = tokens.find(&inner, &scope).await?;
    let mut request = Request::from_parts(head, body);
    authorize(&mut request, tokens.endpoint(), &found.token)?;
    call(&mut inner, request).await
}

async fn call<S: HttpService>(inner: &mut S, request: Request) -> Result<Response> {
    std::future::poll_fn(|cx| inner.poll_ready(cx)).await?;
    inner.call(request).await
}

/// The only place in the program that writes `Authorization`.
fn authorize(request: &mut Request, endpoint: &Endpoint, token: &Secret) -> Result<()> {
    if endpoint.is_origin_of(request.uri()) {
        request.headers_mut().insert(header::AUTHORIZATION, token.bearer()?);
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    InsufficientScope,
    Other,
}

/// What a 401 says. Its realm is never followed; one that names another origin
/// is the mark of a hostile or misconfigured registry and ends the call.
fn judge(response: &Response, endpoint: &Endpoint, uri: &Uri) -> Result<Verdict> {
    let Some(challenge) = challenge::bearer(response.headers()) else {
        return Ok(Verdict::Other);
    };
    if let Some(realm) = challenge.parameter("realm") {
        let is_ours = realm.parse().is_ok_and(|realm: Uri| endpoint.is_origin_of(&realm));
        if !is_ours {
            let text = "the registry's challenge names a token service at another origin, which is never followed";
            return Err(Error::new(ErrorKind::Policy, text)
                .with_status(response.status())
                .with_url(uri));
        }
    }
    Ok(match challenge.parameter("error") {
        Some("insufficient_scope") => Verdict::InsufficientScope,
        _ => Verdict::Other,
    })
}

/// The audience of the data plane, the same in the public, Chinese and US Government clouds.
const AUDIENCE: &str = "https://containerregistry.azure.net";
