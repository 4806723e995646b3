//! The default transport: hyper-util's client over our connector. The pool, the one replay
//! after a stale connection, and the errors.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{
        Builder, Client,
        connect::{CaptureConnection, capture_connection},
    },
    rt::{TokioExecutor, TokioTimer},
};
use tracing::debug;

use crate::{
    address::{Class, Guard},
    body::Body,
    call_options::CallOptions,
    connect_error::{ConnectError, TlsFailure},
    connector::Connector,
    error::{Error, ErrorKind, Result},
    layer::ForeignHop,
    operation::Effect,
    proxy::Proxy,
    request::Request,
    stream::Usage,
    tls::TlsConfig,
    transport::Transport,
};

/// Builds the transport on hyper-util and rustls.
///
/// It keeps up to 16 idle connections per host. When a request dies on a kept connection
/// before the first byte of an answer, because the server had closed it, it is sent once
/// more on a fresh one, if its [`Effect`] and its body allow; that is no attempt of the
/// retry layer. It refuses to follow a redirect to a loopback, link-local, multicast or
/// unspecified address or to the cloud host's own services, unless the configured endpoint is
/// such an address itself, or `localhost`; private networks are allowed.
///
/// ```no_run
/// use acr_core::{Proxy, TlsConfig, TransportBuilder};
///
/// let pem = std::fs::read("my-ca.pem")?;
/// let transport = TransportBuilder::new()
///     .tls(TlsConfig::only_roots(&pem)?)
///     .proxy(Proxy::from_env()?)
///     .build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct TransportBuilder {
    tls: TlsConfig,
    proxy: Option<Proxy>,
    connect_timeout: Duration,
    pool_idle_timeout: Duration,
}

impl TransportBuilder {
    /// Starts with the defaults.
    pub fn new() -> Self {
        Self {
            tls: TlsConfig::default(),
            proxy: None,
            connect_timeout: CONNECT_TIMEOUT,
            pool_idle_timeout: POOL_IDLE_TIMEOUT,
        }
    }

    /// Sets whom to trust and which certificate to show.
    pub fn tls(mut self, tls: TlsConfig) -> Self {
        self.tls = tls;
        self
    }

    /// Connects through a proxy (default: none; the environment is read only by
    /// [`Proxy::from_env`]).
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.proxy = Some(proxy);
        self
    }

    /// How long each phase of connecting may take: name resolution, TCP, the proxy's
    /// tunnel, TLS (default 10 s each).
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// How long an unused connection is kept (default 60 s). It should be below what the
    /// network allows: Azure's load balancers forget a connection after four minutes.
    pub fn pool_idle_timeout(mut self, limit: Duration) -> Self {
        self.pool_idle_timeout = limit;
        self
    }

    /// Builds the transport; it connects when the first request is sent.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] for a TLS setting that cannot be used, the
    /// platform's trust store included.
    pub fn build(self) -> Result<Transport> {
        let tls = self.tls.client_configs()?;
        let endpoint = Connector {
            tls: tls.endpoint,
            proxy_tls: tls.proxy,
            proxy: self.proxy.map(Arc::new),
            guard: Guard::Off,
            timeout: self.connect_timeout,
        };
        let foreign = Connector { tls: tls.foreign, guard: Guard::On, ..endpoint.clone() };
        let neighbour = Connector { guard: Guard::Off, ..foreign.clone() };
        let clients = Clients {
            endpoint: Connections::new(endpoint, self.pool_idle_timeout),
            foreign: Connections::new(foreign, self.pool_idle_timeout),
            neighbour: Connections::new(neighbour, self.pool_idle_timeout),
        };
        Ok(Transport::new(tower::service_fn(move |request: Request| {
            let clients = clients.clone();
            async move { clients.send(request).await }
        })))
    }
}

impl Default for TransportBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl Transport {
    /// The default transport: hyper-util and rustls, trusting the platform's authorities.
    ///
    /// # Errors
    ///
    /// As [`TransportBuilder::build`].
    pub fn rustls() -> Result<Self> {
        TransportBuilder::new().build()
    }
}

/// A host that a server named never shares a connection that was opened without the guard,
/// nor one on which a client certificate was shown.
#[derive(Clone)]
struct Clients {
    /// What the caller configured.
    endpoint: Connections,
    /// What a server named.
    foreign: Connections,
    /// The same with an address of the class that the endpoint has itself.
    neighbour: Connections,
}

impl Clients {
    async fn send(&self, mut request: Request) -> Result<http::Response<Incoming>> {
        let hop = request.extensions_mut().remove::<ForeignHop>();
        let connections = match hop {
            Some(hop) => self.for_hop(&hop.from, request.uri())?,
            None => &self.endpoint,
        };
        connections.exchange(request).await
    }

    fn for_hop(&self, from: &http::Uri, target: &http::Uri) -> Result<&Connections> {
        if (from.scheme(), from.authority()) == (target.scheme(), target.authority()) {
            return Ok(&self.endpoint);
        }
        let host = target.host().unwrap_or_default();
        match Class::of_host(host) {
            None => Ok(&self.foreign),
            // The emulator's registry and storage both stand on this machine.
            class if from.host().and_then(Class::of_host) == class => Ok(&self.neighbour),
            Some(class) => Err(ConnectError::forbidden(host, class).to_error()),
        }
    }
}

#[derive(Clone)]
struct Connections {
    pooled: Client<Connector, Body>,
    /// Every request gets a new connection.
    fresh: Client<Connector, Body>,
}

impl Connections {
    fn new(connector: Connector, idle_timeout: Duration) -> Self {
        let mut builder = Client::builder(TokioExecutor::new());
        builder
            // Without a pool timer hyper-util ignores the idle time-out.
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(idle_timeout)
            .pool_max_idle_per_host(POOL_MAX_IDLE)
            // The one retry loop is the retry layer's, and the one replay is below.
            .retry_canceled_requests(false);
        http2(&mut builder);
        let pooled = builder.build(connector.clone());
        let fresh = builder.pool_max_idle_per_host(0).build(connector);
        Self { pooled, fresh }
    }

    async fn exchange(&self, mut request: Request) -> Result<http::Response<Incoming>> {
        let again = copy(&request);
        let limit = request.extensions().get().and_then(CallOptions::connect_limit);
        let capture = capture_connection(&mut request);
        let error = match connected_within(limit, &capture, self.pooled.request(request)).await? {
            Ok(mut response) => {
                if let Some(usage) = response.extensions_mut().remove::<Usage>() {
                    usage.note_answer();
                }
                return bounded(response);
            }
            Err(error) => error,
        };
        match again {
            Some(request) if was_stale(&error, &capture) => {
                debug!("the server had closed the idle connection; sending again on a fresh one");
                let mut request = request;
                let capture = capture_connection(&mut request);
                let answer = connected_within(limit, &capture, self.fresh.request(request));
                answer.await?.map_err(classify).and_then(bounded)
            }
            _ => Err(classify(error)),
        }
    }
}

/// The future's output, unless there is no connection by the time limit.
async fn connected_within<F: Future>(
    limit: Option<Duration>,
    capture: &CaptureConnection,
    exchange: F,
) -> Result<F::Output> {
    let Some(limit) = limit else {
        return Ok(exchange.await);
    };
    let mut exchange = pin!(exchange);
    let mut timer = pin!(tokio::time::sleep(limit));
    poll_fn(|cx| {
        if let Poll::Ready(output) = exchange.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        if timer.as_mut().poll(cx).is_pending() || capture.connection_metadata().is_some() {
            return Poll::Pending;
        }
        let text = format!("no connection to the server within the call's {limit:?}");
        Poll::Ready(Err(Error::new(ErrorKind::Connect, text)))
    })
    .await
}

/// Refuses an answer whose headers alone would fill memory (R21): kept answers add up.
fn bounded(response: http::Response<Incoming>) -> Result<http::Response<Incoming>> {
    let headers = response.headers().iter();
    let bytes: usize = headers.map(|(name, value)| name.as_str().len() + value.len()).sum();
    if bytes <= MAX_HEADERS {
        return Ok(response);
    }
    let text = format!("the answer's headers have {bytes} bytes, more than {MAX_HEADERS}");
    Err(Error::new(ErrorKind::TooLarge, text).with_status(response.status()))
}

/// The same request once more, if it may be sent twice.
fn copy(request: &Request) -> Option<Request> {
    let effect = request.extensions().get::<Effect>()?;
    if !effect.is_repeatable() {
        return None;
    }
    let mut copy = Request::new(request.body().try_clone()?);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.version_mut() = request.version();
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
}

/// Whether the request died because the pool's connection was dead already (R49).
fn was_stale(error: &hyper_util::client::legacy::Error, capture: &CaptureConnection) -> bool {
    if error.is_connect() {
        return false;
    }
    let connection = capture.connection_metadata();
    let Some(connection) = connection.as_ref() else {
        return false;
    };
    let mut extras = http::Extensions::new();
    connection.get_extras(&mut extras);
    let never_written = causes(error)
        .filter_map(|cause| cause.downcast_ref::<hyper::Error>())
        .any(hyper::Error::is_canceled);
    never_written || extras.get::<Usage>().is_some_and(Usage::went_stale)
}

fn classify(error: hyper_util::client::legacy::Error) -> Error {
    let known = causes(&error).find_map(meaning);
    let error_without_source = known.unwrap_or_else(|| {
        if error.is_connect() {
            Error::new(ErrorKind::Connect, "no connection to the server")
        } else {
            let text = "the connection broke before the answer";
            Error::new(ErrorKind::Transport, text)
        }
    });
    error_without_source.with_source(error)
}

fn meaning(cause: &(dyn std::error::Error + 'static)) -> Option<Error> {
    if let Some(connect) = cause.downcast_ref::<ConnectError>() {
        return Some(connect.to_error());
    }
    if let Some(ours) = cause.downcast_ref::<Error>() {
        // Our own body failed while it was sent; its kind says why.
        return Some(Error::new(ours.kind(), "the request body could not be sent"));
    }
    let failure = TlsFailure::known(cause.downcast_ref()?)?;
    let text = format!("no connection to the server: TLS failed: {}", failure.text);
    Some(Error::new(ErrorKind::Connect, text).permanent())
}

fn causes<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |cause| cause.source())
}

#[cfg(not(feature = "http2"))]
fn http2(_: &mut Builder) {}

/// A dead peer is noticed, memory is bounded, and nothing is looser than hyper's defaults.
#[cfg(feature = "http2")]
fn http2(builder: &mut Builder) {
    builder
        .timer(TokioTimer::new())
        .http2_keep_alive_interval(HTTP2_PING_INTERVAL)
        .http2_keep_alive_timeout(HTTP2_PING_TIMEOUT)
        .http2_keep_alive_while_idle(false)
        .http2_initial_stream_window_size(HTTP2_STREAM_WINDOW)
        .http2_initial_connection_window_size(HTTP2_CONNECTION_WINDOW)
        .http2_max_header_list_size(HTTP2_MAX_HEADERS);
}

/// Long enough for a far region, short enough for a person.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Azure's load balancers forget an idle connection after about four minutes.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Of one answer, names and values.
const MAX_HEADERS: usize = 64 * 1024;

/// Idle connections kept per host.
const POOL_MAX_IDLE: usize = 16;

/// How often a connection with open streams is asked whether it lives.
#[cfg(feature = "http2")]
const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(20);

/// How long it may take to say so.
#[cfg(feature = "http2")]
const HTTP2_PING_TIMEOUT: Duration = Duration::from_secs(10);

/// What the server may send of one answer before it is read: enough for 100 MB/s at 40 ms.
#[cfg(feature = "http2")]
const HTTP2_STREAM_WINDOW: u32 = 4 << 20;

/// The same for all answers of a connection.
#[cfg(feature = "http2")]
const HTTP2_CONNECTION_WINDOW: u32 = 8 << 20;

/// hyper's own limit, written down so that an update cannot loosen it.
#[cfg(feature = "http2")]
const HTTP2_MAX_HEADERS: u32 = 16 * 1024;
