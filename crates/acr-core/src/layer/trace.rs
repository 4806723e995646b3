//! One span per exchange, with OpenTelemetry's names.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;
use tracing::{Instrument as _, Span, field::Empty, instrument::Instrumented};

use crate::http::{
    error::kind_name,
    operation::{Attempt, Effect, Operation},
    redact::{self, Redaction},
    response::{CORRELATION_ID, header_text},
};

/// Opens a `tracing` span around every exchange: each attempt, each redirect hop, each token call.
///
/// Fields follow OpenTelemetry's HTTP client conventions (`http.request.method`,
/// `url.full` with redacted query values, `server.address`, `server.port`,
/// `http.response.status_code`, `http.request.resend_count`, `error.type`) plus
/// `acr.operation` and `azure.service.request.id`. No body and no header value
/// is recorded. Must stand inside of retry, redirect and authentication. It stands around any
/// service of `http::Request<B>` that answers with an `http::Response<R>`, and changes nothing
/// of its answers and errors; of an error that is none of ours it tells `_OTHER`.
///
/// ```standalone_crate
/// use std::sync::{Arc, Mutex};
/// use acr_core::{http::Redaction, layer::TraceLayer};
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
/// tracing_subscriber::fmt().with_ansi(false)
///     .with_max_level(tracing::Level::DEBUG)
///     .with_span_events(tracing_subscriber::fmt::format::FmtSpan::CLOSE).with_writer(move || writer.clone()).init();
///
/// let client = service_fn(|_: http::Request<()>| async {
///     Ok::<_, std::io::Error>(http::Response::new(()))
/// });
/// let stack = ServiceBuilder::new().layer(TraceLayer::new(Redaction::new())).service(client);
/// stack.oneshot(http::Request::get("https://r.azurecr.io/v2/?_state=secret").body(())?).await?;
///
/// let log = String::from_utf8(log.0.lock().unwrap().clone())?;
/// assert!(log.contains("http.exchange{"));
/// assert!(log.contains("http.response.status_code=200"));
/// assert!(log.contains("/v2/?_state=REDACTED"));
/// # Ok::<_, Box<dyn std::error::Error>>(()) })?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct TraceLayer {
    redaction: Arc<Redaction>,
    side: Side,
}

/// The service of [`TraceLayer`].
#[derive(Clone, Debug)]
pub struct Trace<S> {
    inner: S,
    redaction: Arc<Redaction>,
    side: Side,
}

/// Where the layer stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Side {
    #[default]
    Client,
    Server,
}

impl TraceLayer {
    /// The layer.
    pub fn new(redaction: Redaction) -> Self {
        Self { redaction: Arc::new(redaction), side: Side::Client }
    }

    /// For a layer around a server of one's own: spans of the kind `server`, and an answer 4xx
    /// is no error of its own.
    ///
    /// ```
    /// use acr_core::{http::Redaction, layer::TraceLayer};
    /// use tower::{ServiceBuilder, ServiceExt, service_fn};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let server = ServiceBuilder::new()
    ///     .layer(TraceLayer::new(Redaction::new()).server())
    ///     .service(service_fn(|_: http::Request<()>| async {
    ///         Ok::<_, std::io::Error>(http::Response::new("hello"))
    ///     }));
    /// let answer = server.oneshot(http::Request::get("/").body(())?).await?;
    /// assert_eq!(answer.into_body(), "hello");
    /// # Ok::<_, Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn server(mut self) -> Self {
        self.side = Side::Server;
        self
    }
}

impl<S> Layer<S> for TraceLayer {
    type Service = Trace<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Trace { inner, redaction: Arc::clone(&self.redaction), side: self.side }
    }
}

impl<S, B, R> Service<http::Request<B>> for Trace<S>
where
    S: Service<http::Request<B>, Response = http::Response<R>, Error: 'static>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = TraceFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        // Of an answer that may repeat what was sent, an id that looks like one.
        let is_token_call = request.extensions().get() == Some(&Effect::Token);
        let span = exchange_span(&request, &self.redaction, self.side);
        // Entered for the call itself as well, so that inner layers see it.
        let future = span.in_scope(|| self.inner.call(request));
        TraceFuture { future: future.instrument(span), is_token_call, side: self.side }
    }
}

pin_project! {
    /// The future of [`Trace`].
    pub struct TraceFuture<F> {
        #[pin]
        future: Instrumented<F>,
        is_token_call: bool,
        side: Side,
    }
}

impl<F, R, E> Future for TraceFuture<F>
where
    F: Future<Output = Result<http::Response<R>, E>>,
    E: 'static,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let result = ready!(this.future.as_mut().poll(cx));
        let span = this.future.span();
        if !span.is_disabled() {
            record(span, &result, *this.is_token_call, *this.side);
        }
        Poll::Ready(result)
    }
}

impl<F> fmt::Debug for TraceFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TraceFuture").finish_non_exhaustive()
    }
}

fn exchange_span<B>(request: &http::Request<B>, redaction: &Redaction, side: Side) -> Span {
    let operation = request.extensions().get::<Operation>().map(Operation::name);
    let attempt = request.extensions().get::<Attempt>().map_or(1, |a| a.get());
    let uri = request.uri();
    tracing::debug_span!(
        "http.exchange",
        otel.kind = if side == Side::Server { "server" } else { "client" },
        otel.name = request.method().as_str(),
        otel.status_code = Empty,
        acr.operation = operation,
        azure.resource_provider.namespace = operation.map(|_| "Microsoft.ContainerRegistry"),
        azure.service.request.id = Empty,
        http.request.method = request.method().as_str(),
        http.request.resend_count = (attempt > 1).then_some(attempt.saturating_sub(1)),
        http.response.status_code = Empty,
        url.full = %redaction.url(uri),
        server.address = uri.host().map(|host| redact::shown_host(host).to_string()),
        server.port = port(uri),
        error.r#type = Empty,
    )
}

/// That of the URL or of its scheme. What a server gets has neither, mostly.
fn port(uri: &http::Uri) -> Option<u16> {
    uri.port_u16().or(match uri.scheme_str() {
        Some("http") => Some(80),
        Some("https") => Some(443),
        _ => None,
    })
}

fn record<R, E: 'static>(
    span: &Span,
    result: &Result<http::Response<R>, E>,
    is_token_call: bool,
    side: Side,
) {
    match result {
        Ok(response) => {
            let status = response.status();
            span.record("http.response.status_code", status.as_u16());
            let id = header_text(response.headers(), &CORRELATION_ID);
            if let Some(id) = id.filter(|id| !is_token_call || redact::is_guid(id)) {
                span.record("azure.service.request.id", redact::shown_id(id).to_string());
            }
            // To a server, what a client did wrong is no error of its own.
            let is_refused = status.is_client_error() && side == Side::Client;
            if is_refused || status.is_server_error() {
                span.record("error.type", status.as_str());
                span.record("otel.status_code", "ERROR");
            }
        }
        Err(error) => {
            span.record("error.type", kind_name(error));
            span.record("otel.status_code", "ERROR");
        }
    }
}
