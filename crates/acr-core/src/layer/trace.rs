//! One span per exchange, with OpenTelemetry's names.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use tower_layer::Layer;
use tower_service::Service;
use tracing::{Instrument as _, Span, field::Empty};

use crate::{
    error::{Error, Result},
    layer::{HttpService, ResponseFuture, boxed},
    operation::{Attempt, Operation},
    redact::{self, Redaction},
    request::Request,
    response::{CORRELATION_ID, Response, header_text},
};

/// Opens a `tracing` span around every exchange: each attempt, each redirect hop, each token call.
///
/// Fields follow OpenTelemetry's HTTP client conventions (`http.request.method`,
/// `url.full` with redacted query values, `server.address`, `server.port`,
/// `http.response.status_code`, `http.request.resend_count`, `error.type`) plus
/// `acr.operation` and `azure.service.request.id`. No body and no header value
/// is recorded. Must stand inside of retry, redirect and authentication.
///
/// ```
/// use acr_core::{Body, Redaction, Request, Transport, layer::TraceLayer};
/// use tower::{ServiceBuilder, service_fn};
///
/// let transport = Transport::new(service_fn(|_: Request| async {
///     Ok::<_, acr_core::Error>(http::Response::new(Body::empty()))
/// }));
/// let stack = ServiceBuilder::new().layer(TraceLayer::new(Redaction::new())).service(transport);
/// # let _ = stack;
/// ```
#[derive(Clone, Debug, Default)]
pub struct TraceLayer {
    redaction: Arc<Redaction>,
}

/// The service of [`TraceLayer`].
#[derive(Clone, Debug)]
pub struct Trace<S> {
    inner: S,
    redaction: Arc<Redaction>,
}

impl TraceLayer {
    /// The layer.
    pub fn new(redaction: Redaction) -> Self {
        Self { redaction: Arc::new(redaction) }
    }
}

impl<S> Layer<S> for TraceLayer {
    type Service = Trace<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Trace { inner, redaction: Arc::clone(&self.redaction) }
    }
}

impl<S: HttpService> Service<Request> for Trace<S> {
    type Response = Response;
    type Error = Error;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let span = exchange_span(&request, &self.redaction);
        if span.is_disabled() {
            return boxed(self.inner.call(request));
        }
        // Entered for the call itself as well, so that inner layers see it.
        let future = span.in_scope(|| self.inner.call(request));
        let recorded = span.clone();
        Box::pin(
            async move {
                let result = future.await;
                record(&recorded, &result);
                result
            }
            .instrument(span),
        )
    }
}

fn exchange_span(request: &Request, redaction: &Redaction) -> Span {
    let operation = request.extensions().get::<Operation>().map(Operation::name);
    let attempt = request.extensions().get::<Attempt>().map_or(1, |a| a.get());
    let uri = request.uri();
    tracing::debug_span!(
        "http.exchange",
        otel.kind = "client",
        otel.name = request.method().as_str(),
        otel.status_code = Empty,
        acr.operation = operation,
        azure.resource_provider.namespace = "Microsoft.ContainerRegistry",
        azure.service.request.id = Empty,
        http.request.method = request.method().as_str(),
        http.request.resend_count = (attempt > 1).then_some(attempt.saturating_sub(1)),
        http.response.status_code = Empty,
        url.full = redaction.url(uri),
        server.address = uri.host(),
        server.port =
            uri.port_u16().or(if uri.scheme_str() == Some("http") { Some(80) } else { Some(443) }),
        error.r#type = Empty,
    )
}

fn record(span: &Span, result: &Result<Response>) {
    match result {
        Ok(response) => {
            let status = response.status();
            span.record("http.response.status_code", status.as_u16());
            if let Some(id) = header_text(response.headers(), &CORRELATION_ID) {
                span.record("azure.service.request.id", redact::printable(id).to_string());
            }
            if status.is_client_error() || status.is_server_error() {
                span.record("error.type", status.as_str());
                span.record("otel.status_code", "ERROR");
            }
        }
        Err(error) => {
            span.record("error.type", format!("{:?}", error.kind()));
            span.record("otel.status_code", "ERROR");
        }
    }
}
