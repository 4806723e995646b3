//! One event per exchange, and its headers for those who look closer; redacted.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{HeaderMap, Method};
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower_layer::Layer;
use tower_service::Service;
use tracing::{Level, debug, enabled, info};

use crate::{
    http::{
        error::kind_name,
        operation::Effect,
        redact::{self, Redaction, printable_up_to},
    },
    layer::call_options::CallOptions,
};

/// Logs every exchange: one event at level `info` with method, URL, status and
/// duration; the headers of both sides at level `debug`.
///
/// Header values and query values are printed only if [`Redaction`] allows their
/// names; everything else prints as `REDACTED`. Bodies are never logged, at any
/// level, and no feature or variable turns redaction off. A program that must see
/// more puts a layer of its own beside this one. Calls with [`CallOptions::quiet`]
/// are left out. Must stand inside of authentication, beside [`super::TraceLayer`]. It stands
/// around any service of `http::Request<B>` that answers with an `http::Response<R>`, and
/// changes nothing of its answers and errors; of an error that is none of ours it tells `_OTHER`.
///
/// ```standalone_crate
/// use std::sync::{Arc, Mutex};
/// use acr_core::{http::Redaction, layer::LogLayer};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
/// # #[derive(Clone, Default)]
/// # struct Captured(Arc<Mutex<Vec<u8>>>);
/// #
/// # impl std::io::Write for Captured {
/// #     fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
/// #         self.0.lock().unwrap().write(text)
/// #     }
/// #     fn flush(&mut self) -> std::io::Result<()> {
/// #         Ok(())
/// #     }
/// # }
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let log = Captured::default();
/// let writer = log.clone();
/// tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).init();
///
/// let client = service_fn(|_: http::Request<()>| async {
///     Ok::<_, std::io::Error>(http::Response::new(()))
/// });
/// let stack = ServiceBuilder::new().layer(LogLayer::new(Redaction::new())).service(client);
/// stack.oneshot(http::Request::get("https://r.azurecr.io/v2/?_state=secret").body(())?).await?;
///
/// let log = String::from_utf8(log.0.lock().unwrap().clone())?;
/// assert!(log.contains("exchange method=GET"));
/// assert!(log.contains("/v2/?_state=REDACTED"));
/// # Ok::<_, Box<dyn std::error::Error>>(()) })?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct LogLayer {
    redaction: Arc<Redaction>,
}

/// The service of [`LogLayer`].
#[derive(Clone, Debug)]
pub struct Log<S> {
    inner: S,
    redaction: Arc<Redaction>,
}

impl LogLayer {
    /// The layer.
    pub fn new(redaction: Redaction) -> Self {
        Self { redaction: Arc::new(redaction) }
    }
}

impl<S> Layer<S> for LogLayer {
    type Service = Log<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Log { inner, redaction: Arc::clone(&self.redaction) }
    }
}

impl<S, B, R> Service<http::Request<B>> for Log<S>
where
    S: Service<http::Request<B>, Response = http::Response<R>, Error: 'static>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = LogFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let is_quiet = request.extensions().get::<CallOptions>().is_some_and(CallOptions::is_quiet);
        let is_told = !is_quiet && enabled!(Level::INFO);
        let line = is_told.then(|| Line::begin(&request, &self.redaction));
        LogFuture { future: self.inner.call(request), line }
    }
}

pin_project! {
    /// The future of [`Log`].
    pub struct LogFuture<F> {
        #[pin]
        future: F,
        line: Option<Line>,
    }
}

impl<F, R, E> Future for LogFuture<F>
where
    F: Future<Output = Result<http::Response<R>, E>>,
    E: 'static,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let result = ready!(this.future.poll(cx));
        if let Some(line) = this.line.take() {
            line.end(&result);
        }
        Poll::Ready(result)
    }
}

impl<F> fmt::Debug for LogFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogFuture").finish_non_exhaustive()
    }
}

/// What is told of one exchange.
struct Line {
    method: Method,
    url: String,
    redaction: Arc<Redaction>,
    /// What is sent there is all secret, and any header may repeat it.
    is_token_call: bool,
    limit: usize,
    start: Instant,
}

impl Line {
    fn begin<B>(request: &http::Request<B>, redaction: &Arc<Redaction>) -> Self {
        let method = request.method().clone();
        let url = redaction.url(request.uri());
        let (limit, url) = (headers_limit(&url), printable_up_to(&url, MAX_URL).to_string());
        let headers = Head(request.headers(), redaction, limit, false);
        debug!(%method, %url, %headers, "request");
        Self {
            method,
            url,
            redaction: Arc::clone(redaction),
            is_token_call: request.extensions().get() == Some(&Effect::Token),
            limit,
            start: Instant::now(),
        }
    }

    fn end<R, E: 'static>(self, result: &Result<http::Response<R>, E>) {
        let Self { method, url, redaction, is_token_call, limit, start } = self;
        let ms = start.elapsed().as_millis();
        match result {
            Ok(response) => {
                let status = response.status().as_u16();
                info!(%method, %url, status, ms, "exchange");
                let headers = Head(response.headers(), &redaction, limit, is_token_call);
                debug!(%method, %url, %headers, "response");
            }
            Err(error) => {
                let kind = kind_name(error);
                info!(%method, %url, %kind, ms, "exchange failed");
            }
        }
    }
}

/// Bytes of headers in one event: its line, with the spans of the call and of the exchange
/// in front, which have the URL once more, stays below 2 KiB.
fn headers_limit(url: &str) -> usize {
    let taken = url.len() + url.len().min(MAX_URL);
    MAX_HEADERS.saturating_sub(taken).max(MIN_HEADERS)
}

/// Header lines for a log, one after another; of those that may repeat a secret, ids
/// and known names alone.
struct Head<'a>(&'a HeaderMap, &'a Redaction, usize, bool);

impl fmt::Display for Head<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = self.2;
        for (index, (header, value)) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            let name = match header.as_str() {
                name if self.3 && !redact::is_known_header(name) => redact::REDACTED,
                name => name,
            };
            let name = printable_up_to(name, MAX_NAME);
            let value = match value.to_str() {
                Ok(text) if self.3 && !redact::is_guid(text) => redact::REDACTED.to_owned(),
                _ => self.1.header(header, value),
            };
            let line = format!("{separator}{name}: {value}");
            let Some(rest) = left.checked_sub(line.len()) else {
                return f.write_str("; …");
            };
            left = rest;
            f.write_str(&line)?;
        }
        Ok(())
    }
}

/// Bytes of the URL in an event.
const MAX_URL: usize = 256;

/// Bytes of headers and of both URLs together.
const MAX_HEADERS: usize = 1_100;

/// Bytes of headers beside the longest URLs.
const MIN_HEADERS: usize = 256;

/// Bytes of one header's name.
const MAX_NAME: usize = 64;
