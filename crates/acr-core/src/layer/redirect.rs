//! Follows the redirect of a blob read to the storage, and no other.

use std::task::{Context, Poll};

use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    http::{
        error::{Error, ErrorKind, Result},
        operation::{Attempt, Effect, FollowRedirects, Operation},
        redact,
        request::Request,
        response::{CameByRedirect, DOCKER_CONTENT_DIGEST, RedirectDigest, Response, header_text},
        url_policy,
    },
    layer::{
        HttpService, ResponseFuture, call, call_options::CallOptions, drain::drain, hop::ForeignHop,
    },
};

/// Follows redirects of `GET` and `HEAD` requests that carry [`FollowRedirects`].
///
/// Each hop is a new request with only `Accept`, `Accept-Encoding` and `Range` of
/// the first: no credential, cookie or id travels along, also not when a later hop
/// returns to the registry. Targets must be https; at most five hops, no URL
/// twice. `Docker-Content-Digest` of the first redirect becomes the response
/// extension [`RedirectDigest`], since the storage does not send the header.
///
/// Every other redirect is returned as it is, and no operation expects one.
/// Must stand inside of retry (a retry gets a fresh signed link) and outside of
/// authentication (each hop is judged by its own origin).
///
/// ```
/// use acr_core::{http::{Body, FollowRedirects, Request}, Transport, layer::RedirectLayer};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let servers = Transport::new(service_fn(|request: Request| async move {
///     let response = http::Response::builder();
///     let response = match request.uri().host() {
///         Some("storage.example") => response.body(Body::from("content")),
///         _ => response.status(307).header("location", "https://storage.example/c//b?sig=x").body(Body::empty()),
///     };
///     Ok::<_, acr_core::Error>(response.unwrap())
/// }));
/// let stack = ServiceBuilder::new().layer(RedirectLayer::new()).service(servers);
/// let mut request = Request::default();
/// *request.uri_mut() = "https://r.azurecr.io/v2/a/blobs/b".parse().unwrap();
/// request.extensions_mut().insert(FollowRedirects::default());
/// assert_eq!(stack.oneshot(request).await?.into_body().bytes(100).await?, "content");
/// # Ok::<_, acr_core::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Debug, Default)]
pub struct RedirectLayer(());

/// The service of [`RedirectLayer`].
#[derive(Clone, Debug)]
pub struct Redirect<S> {
    inner: S,
}

impl RedirectLayer {
    /// The layer.
    pub fn new() -> Self {
        Self::default()
    }
}

impl<S> Layer<S> for RedirectLayer {
    type Service = Redirect<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Redirect { inner }
    }
}

impl<S: HttpService> Service<Request> for Redirect<S> {
    type Response = Response;
    type Error = Error;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        // Each hop waits for its own.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        let follows = reads && request.extensions().get::<FollowRedirects>().is_some();
        let mut inner = self.inner.clone();
        match follows {
            true => Box::pin(follow(inner, request)),
            // A future without the room that a chain of hops takes.
            false => Box::pin(async move { call(&mut inner, request).await }),
        }
    }
}

async fn follow<S: HttpService>(mut inner: S, request: Request) -> Result<Response> {
    let hop = Hop::of(&request);
    let mut response = call(&mut inner, request).await?;
    if !is_redirect(response.status()) {
        return Ok(response);
    }
    let mut visited = vec![hop.mark.from.clone()];
    let mut digest = None;
    while is_redirect(response.status()) {
        let from = visited.last().cloned().unwrap_or_default();
        let target = url_policy::redirect_target(&from, response.headers())?;
        if visited.len() == 1 {
            digest = header_text(response.headers(), &DOCKER_CONTENT_DIGEST)
                .map(|text| RedirectDigest(text.to_owned()));
        }
        if visited.len() > MAX_HOPS || visited.contains(&target) {
            let text = format!("redirects do not end: `{}`", redact::url_without_query(&target));
            return Err(Error::new(ErrorKind::Policy, text));
        }
        drain(response.into_body()).await;
        visited.push(target.clone());
        response = call(&mut inner, hop.request(target)).await?;
    }
    if let Some(digest) = digest {
        response.extensions_mut().insert(digest);
    }
    response.extensions_mut().insert(CameByRedirect);
    Ok(response)
}

/// What a hop takes over from the request: an allow-list, so nothing new leaks by default.
struct Hop {
    method: Method,
    /// Of [`TRAVELLING`].
    headers: [Option<HeaderValue>; TRAVELLERS],
    operation: Option<Operation>,
    attempt: Option<Attempt>,
    effect: Option<Effect>,
    options: Option<CallOptions>,
    mark: ForeignHop,
}

/// Whether a request's URL was chosen by a server and followed by [`RedirectLayer`].
/// Such a request is never signed in, wherever it goes.
///
/// ```
/// use acr_core::{http::Request, layer::is_redirect_hop};
///
/// assert!(!is_redirect_hop(&Request::default()), "nothing that a program makes itself");
/// ```
pub fn is_redirect_hop(request: &Request) -> bool {
    request.extensions().get::<ForeignHop>().is_some()
}

impl Hop {
    fn of(request: &Request) -> Self {
        Self {
            method: request.method().clone(),
            headers: TRAVELLING.map(|name| request.headers().get(name).cloned()),
            operation: request.extensions().get().cloned(),
            attempt: request.extensions().get().copied(),
            effect: request.extensions().get().copied(),
            options: request.extensions().get().cloned().map(CallOptions::for_hop),
            mark: ForeignHop { from: request.uri().clone() },
        }
    }

    fn request(&self, target: http::Uri) -> Request {
        let mut request = Request::default();
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = target;
        let headers = TRAVELLING.into_iter().zip(self.headers.clone());
        request.headers_mut().extend(headers.filter_map(|(name, value)| Some((name, value?))));
        let extensions = request.extensions_mut();
        extensions.extend({
            let mut known = http::Extensions::new();
            self.operation.clone().map(|operation| known.insert(operation));
            self.attempt.map(|attempt| known.insert(attempt));
            self.effect.map(|effect| known.insert(effect));
            self.options.clone().map(|options| known.insert(options));
            known.insert(self.mark.clone());
            known
        });
        request
    }
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Headers that a hop takes over.
const TRAVELLING: [HeaderName; TRAVELLERS] =
    [header::ACCEPT, header::ACCEPT_ENCODING, header::RANGE];

const TRAVELLERS: usize = 3;

/// A registry needs one; five leave room for a front end.
const MAX_HOPS: usize = 5;

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use http::HeaderMap;
    use tower::{ServiceExt as _, service_fn};

    use super::*;
    use crate::{http::body::Body, transport::Transport, value::scope::Scope};

    #[tokio::test]
    async fn the_digest_is_that_of_the_first_hop() {
        let transport = Transport::new(service_fn(|request: Request| async move {
            let response = http::Response::builder().header(
                "docker-content-digest",
                format!("sha256:of{}", request.uri().path().replace('/', "-")),
            );
            let (status, next) = match request.uri().path() {
                "/a" => (307, "https://s.example/b"),
                "/b" => (307, "https://s.example/c"),
                _ => (200, ""),
            };
            let response = response.status(status).header("location", next);
            Ok::<_, Error>(response.body(Body::empty()).unwrap())
        }));
        let mut request = Request::default();
        *request.uri_mut() = "https://r.azurecr.io/a".parse().unwrap();
        request.extensions_mut().insert(FollowRedirects::default());
        let answer = RedirectLayer::new().layer(transport).oneshot(request).await.unwrap();
        let digest = answer.extensions().get::<RedirectDigest>().map(RedirectDigest::as_str);
        assert_eq!(digest, Some("sha256:of-a"));
    }

    type Seen = Arc<Mutex<Vec<(String, HeaderMap, bool)>>>;

    /// Redirects along the chain and answers 200 at its end; notes what arrived.
    async fn walk(
        method: Method,
        marked: bool,
        chain: &'static [&'static str],
    ) -> (Result<Response>, Seen) {
        let seen = Seen::default();
        let log = Arc::clone(&seen);
        let transport = Transport::new(service_fn(move |request: Request| {
            let mut log = log.lock().unwrap();
            let scoped = request.extensions().get::<Scope>().is_some();
            log.push((request.uri().to_string(), request.headers().clone(), scoped));
            let next = chain.get(log.len());
            async move {
                let response = http::Response::builder();
                Ok::<_, Error>(match next {
                    Some(next) => response
                        .status(307)
                        .header("location", *next)
                        .header("docker-content-digest", "sha256:x")
                        .body(Body::from("<a>"))
                        .unwrap(),
                    None => response.body(Body::empty()).unwrap(),
                })
            }
        }));
        let mut request = Request::default();
        *request.method_mut() = method;
        *request.uri_mut() = chain[0].parse().unwrap();
        for name in ["authorization", "cookie", "x-ms-client-request-id", "range", "accept"] {
            request.headers_mut().insert(name, "value".parse().unwrap());
        }
        request.extensions_mut().insert(Scope::catalog());
        if marked {
            request.extensions_mut().insert(FollowRedirects);
        }
        let result = RedirectLayer::new().layer(transport).oneshot(request).await;
        (result, seen)
    }

    const STORAGE: &[&str] =
        &["https://r.azurecr.io/v2/a/blobs/b", "https://s.example/c//b?sig=%2B"];

    #[tokio::test]
    async fn a_hop_carries_only_listed_headers_and_the_digest_is_kept() {
        let (result, seen) = walk(Method::GET, true, STORAGE).await;
        let response = result.unwrap();
        assert_eq!(response.extensions().get::<RedirectDigest>().unwrap().as_str(), "sha256:x");
        let seen = seen.lock().unwrap();
        assert_eq!(seen[1].0, STORAGE[1]);
        let mut names: Vec<_> = seen[1].1.keys().map(|n| n.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["accept", "range"]);
        assert!(seen[0].2 && !seen[1].2, "the scope must not travel");
    }

    #[tokio::test]
    async fn only_marked_reads_are_followed() {
        for (method, marked) in
            [(Method::GET, false), (Method::PUT, true), (Method::PATCH, true), (Method::POST, true)]
        {
            let (result, seen) = walk(method, marked, STORAGE).await;
            assert_eq!(result.unwrap().status(), 307);
            assert_eq!(seen.lock().unwrap().len(), 1);
        }
    }

    #[tokio::test]
    async fn loops_long_chains_and_downgrades_are_refused() {
        let long: &[&str] = &[
            "https://a/0",
            "https://a/1",
            "https://a/2",
            "https://a/3",
            "https://a/4",
            "https://a/5",
            "https://a/6",
        ];
        for (chain, exchanges) in [
            (&["https://a/1", "https://b/2", "https://a/1"][..], 2),
            (long, 6),
            (&["https://a/1", "http://a/1"][..], 1),
            (&["https://a/1", "http://127.0.0.1/"][..], 1),
        ] {
            let (result, seen) = walk(Method::GET, true, chain).await;
            assert_eq!(result.unwrap_err().kind(), ErrorKind::Policy);
            assert_eq!(seen.lock().unwrap().len(), exchanges);
        }
        assert!(walk(Method::GET, true, &long[..6]).await.0.is_ok());
    }

    #[tokio::test]
    async fn no_chain_takes_a_credential_along() {
        for chain in [
            // another host, then back
            &["https://r/1", "https://s/2", "https://r/3"][..],
            // only the port changes, only the path changes
            &["https://r/1", "https://r:444/1"],
            &["https://r/1", "https://r/2"],
            &["https://r:444/1", "https://r/1"],
            // a host that looks alike, a parent, a child
            &["https://r.azurecr.io/1", "https://r.azurecr.io.evil/1"],
            &["https://r.azurecr.io/1", "https://azurecr.io/1"],
            &["https://r.azurecr.io/1", "https://x.r.azurecr.io/1"],
            // case and default port are no change, and still nothing travels
            &["https://r/1", "https://R:443/2"],
            &["https://a/0", "https://b/1", "https://c/2", "https://a/3", "https://b/4"],
        ] {
            let (result, seen) = walk(Method::GET, true, chain).await;
            assert!(result.is_ok(), "{chain:?}");
            let seen = seen.lock().unwrap();
            assert_eq!(seen.len(), chain.len());
            for (url, headers, scoped) in seen.iter().skip(1) {
                for name in ["authorization", "cookie", "x-ms-client-request-id"] {
                    assert!(!headers.contains_key(name), "{name} went to {url}");
                }
                assert!(!scoped, "the scope went to {url}");
            }
        }
    }

    #[tokio::test]
    async fn a_return_to_the_registry_brings_no_credential_back() {
        let chain = &["https://r/1", "https://s/2", "https://r/3"];
        let (_, seen) = walk(Method::GET, true, chain).await;
        let seen = seen.lock().unwrap();
        assert!(!seen[2].1.contains_key("authorization") && !seen[2].2);
    }
}
