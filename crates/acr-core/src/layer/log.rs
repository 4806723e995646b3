//! Debug events with the head of every request and response, redacted.

use std::{
    fmt,
    task::{Context, Poll},
};

use http::HeaderMap;
use tower_layer::Layer;
use tower_service::Service;
use tracing::debug;

use crate::{
    error::{Error, Result},
    layer::{HttpService, ResponseFuture, take},
    redact,
    request::Request,
    response::Response,
};

/// Logs the head of every exchange at level `debug`.
///
/// Header values and query values are printed only if their names are on an
/// allow-list; everything else prints as `REDACTED`. Bodies are never logged, at
/// any level. Redaction has no switch: no feature, variable or wildcard turns it
/// off. Must stand inside of authentication, beside [`super::TraceLayer`].
///
/// ```
/// use acr_core::{Body, Request, Transport, layer::LogLayer};
/// use tower::{ServiceBuilder, service_fn};
///
/// let transport = Transport::new(service_fn(|_: Request| async {
///     Ok::<_, acr_core::Error>(http::Response::new(Body::empty()))
/// }));
/// let stack = ServiceBuilder::new().layer(LogLayer::new()).service(transport);
/// # let _ = stack;
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct LogLayer(());

/// The service of [`LogLayer`].
#[derive(Clone, Debug)]
pub struct Log<S> {
    inner: S,
}

impl LogLayer {
    /// The layer.
    pub fn new() -> Self {
        Self::default()
    }
}

impl<S> Layer<S> for LogLayer {
    type Service = Log<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Log { inner }
    }
}

impl<S: HttpService> Service<Request> for Log<S> {
    type Response = Response;
    type Error = Error;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let method = request.method().clone();
        let url = redact::url(request.uri());
        debug!(%method, url, headers = %Head(request.headers()), "request");
        let future = take(&mut self.inner).call(request);
        Box::pin(async move {
            let result = future.await;
            match &result {
                Ok(response) => debug!(
                    %method,
                    url,
                    status = response.status().as_u16(),
                    headers = %Head(response.headers()),
                    "response"
                ),
                Err(error) => debug!(%method, url, kind = ?error.kind(), "no response"),
            }
            result
        })
    }
}

/// Header lines for a log, one after another.
struct Head<'a>(&'a HeaderMap);

impl fmt::Display for Head<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, value)) in self.0.iter().take(MAX_HEADERS).enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(
                f,
                "{separator}{name}: {}",
                redact::header_value(name, value)
            )?;
        }
        Ok(())
    }
}

/// No registry sends more; a hostile one fills no log.
const MAX_HEADERS: usize = 64;
