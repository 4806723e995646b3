//! The default transport: hyper-util's client over our connector. Its settings, and which
//! hosts share connections.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use hyper::body::Incoming;
use tower_service::Service;

use crate::{
    http::{
        error::{Error, Result},
        request::Request,
    },
    layer::{ForeignHop, Unidentified},
    transport::{
        Transport,
        address::Guard,
        connect_error::ConnectError,
        connections::Connections,
        connector::Connector,
        proxy::Proxy,
        tls::{TlsConfig, To},
    },
    value::host::Class,
};

/// Builds the transport on hyper-util and rustls.
///
/// It keeps as many idle connections per host as ran at once, up to
/// [`pool_max_idle_per_host`](TransportBuilder::pool_max_idle_per_host). When a request dies on a kept connection
/// before the first byte of an answer, because the server had closed it, it is sent once
/// more on a fresh one, if its [`Effect`](crate::http::Effect) and its body allow; that is no attempt of the
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
///     .proxy(Proxy::new("http://proxy.example:3128")?.no_proxy(".internal"))
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
    pool_max_idle_per_host: usize,
    offers_http2: bool,
}

impl TransportBuilder {
    /// Starts with the defaults.
    ///
    /// ```
    /// use acr_core::{TlsConfig, TransportBuilder};
    ///
    /// // Without TLS, for a service of this machine.
    /// assert!(TransportBuilder::new().tls(TlsConfig::no_roots()).build().is_ok());
    /// ```
    pub fn new() -> Self {
        Self {
            tls: TlsConfig::default(),
            proxy: None,
            connect_timeout: CONNECT_TIMEOUT,
            pool_idle_timeout: POOL_IDLE_TIMEOUT,
            pool_max_idle_per_host: POOL_MAX_IDLE_PER_HOST,
            offers_http2: false,
        }
    }

    /// Sets whom to trust and which certificate to show.
    ///
    /// ```
    /// use acr_core::{TlsConfig, TransportBuilder};
    ///
    /// # let pem = rcgen::generate_simple_self_signed(["ca.example".to_owned()]).unwrap().cert.pem();
    /// let transport = TransportBuilder::new().tls(TlsConfig::only_roots(pem.as_bytes())?).build()?;
    /// # let _ = transport;
    /// # Ok::<_, acr_core::Error>(())
    /// ```
    pub fn tls(mut self, tls: TlsConfig) -> Self {
        self.tls = tls;
        self
    }

    /// Connects through this proxy, whatever the environment says (default:
    /// [`Proxy::from_env`], read when the transport is built).
    ///
    /// ```
    /// use acr_core::{Proxy, TlsConfig, TransportBuilder};
    ///
    /// let proxy = Proxy::new("http://proxy.example:3128")?.no_proxy(".internal");
    /// let transport = TransportBuilder::new().tls(TlsConfig::no_roots()).proxy(proxy).build()?;
    /// # let _ = transport;
    /// # Ok::<_, acr_core::Error>(())
    /// ```
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.proxy = Some(proxy);
        self
    }

    /// Connects directly, whatever the environment says.
    ///
    /// ```
    /// # use acr_core::{ErrorKind, TlsConfig, TransportBuilder, http::RequestBuilder};
    /// # use tower::ServiceExt as _;
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let transport = TransportBuilder::new().tls(TlsConfig::no_roots()).no_proxy().build()?;
    /// let nobody = RequestBuilder::to(http::Method::GET, "http://127.0.0.1:1/".parse().unwrap()).build()?;
    /// assert_eq!(transport.oneshot(nobody).await.unwrap_err().kind(), ErrorKind::Connect);
    /// # Ok::<_, acr_core::Error>(()) }).unwrap();
    /// ```
    pub fn no_proxy(self) -> Self {
        self.proxy(Proxy::default())
    }

    /// How long each phase of connecting may take: reading the trust store (once), name
    /// resolution, TCP, the proxy's tunnel, TLS (default 10 s each).
    ///
    /// ```
    /// # use acr_core::{ErrorKind, TlsConfig, TransportBuilder, http::RequestBuilder};
    /// # use tower::ServiceExt as _;
    /// use std::time::Duration;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let transport = TransportBuilder::new()
    ///     .tls(TlsConfig::no_roots())
    ///     .connect_timeout(Duration::from_secs(2))
    ///     .build()?;
    /// let nobody = RequestBuilder::to(http::Method::GET, "http://127.0.0.1:1/".parse().unwrap()).build()?;
    /// assert_eq!(transport.oneshot(nobody).await.unwrap_err().kind(), ErrorKind::Connect);
    /// # Ok::<_, acr_core::Error>(()) }).unwrap();
    /// ```
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// How long an unused connection is kept (default 60 s). It should be below what the
    /// network allows: Azure's load balancers forget a connection after four minutes.
    ///
    /// ```
    /// use acr_core::{TlsConfig, TransportBuilder};
    /// use std::time::Duration;
    ///
    /// let transport = TransportBuilder::new()
    ///     .tls(TlsConfig::no_roots())
    ///     .pool_idle_timeout(Duration::from_secs(20))
    ///     .build()?;
    /// # let _ = transport;
    /// # Ok::<_, acr_core::Error>(())
    /// ```
    pub fn pool_idle_timeout(mut self, limit: Duration) -> Self {
        self.pool_idle_timeout = limit;
        self
    }

    /// How many unused connections are kept for each host (default 256). With fewer than a program has
    /// calls at the same time, it opens a new one for many of them; 0 keeps none, and shares none over
    /// HTTP/2 either.
    ///
    /// ```
    /// use acr_core::{TlsConfig, TransportBuilder};
    ///
    /// // For a program of many short bursts behind a firewall that counts connections.
    /// let transport =
    ///     TransportBuilder::new().tls(TlsConfig::no_roots()).pool_max_idle_per_host(8).build()?;
    /// # let _ = transport;
    /// # Ok::<_, acr_core::Error>(())
    /// ```
    pub fn pool_max_idle_per_host(mut self, limit: usize) -> Self {
        self.pool_max_idle_per_host = limit;
        self
    }

    /// Whether HTTP/2 is offered to servers on TLS (default no: HTTP/1.1 only). All requests to a
    /// host then share one connection.
    ///
    /// ```no_run
    /// use acr_core::TransportBuilder;
    ///
    /// let transport = TransportBuilder::new().http2(true).build()?;
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    #[cfg(feature = "http2")]
    pub fn http2(mut self, is_offered: bool) -> Self {
        self.offers_http2 = is_offered;
        self
    }

    /// Builds the transport; it connects when the first request is sent, and reads the platform's
    /// trust store when the first connection with TLS is made.
    ///
    /// ```
    /// use acr_core::{Endpoint, Pipeline, TlsConfig, TransportBuilder};
    ///
    /// let transport = TransportBuilder::new().tls(TlsConfig::no_roots()).build()?;
    /// let endpoint: Endpoint = "myregistry.azurecr.io".parse()?;
    /// let pipeline = Pipeline::builder(endpoint).transport(transport).build()?;
    /// # let _ = pipeline;
    /// # Ok::<_, acr_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for settings that cannot be used
    /// together; there are none today. What is wrong with a certificate is told where it is given
    /// ([`TlsConfig`]). A platform without a trust store is told by the first request over TLS, with
    /// the same kind: plain HTTP needs none.
    pub fn build(self) -> Result<Transport> {
        let endpoint = Connector {
            tls: Arc::new(self.tls.lazy(self.offers_http2)),
            to: To::Endpoint,
            proxy: Some(Arc::new(self.proxy.unwrap_or_else(Proxy::from_env))),
            guard: Guard::Off,
            timeout: self.connect_timeout,
        };
        let foreign = Connector { to: To::Foreign, guard: Guard::On, ..endpoint.clone() };
        let neighbour = Connector { guard: Guard::Off, ..foreign.clone() };
        let (timeout, max_idle) = (self.pool_idle_timeout, self.pool_max_idle_per_host);
        let pools = Pools {
            endpoint: Connections::new(endpoint, timeout, max_idle),
            foreign: Connections::new(foreign, timeout, max_idle),
            neighbour: Connections::new(neighbour, timeout, max_idle),
        };
        Ok(Transport::new(Clients(Arc::new(pools))))
    }
}

impl Default for TransportBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl Transport {
    /// The default transport: hyper-util and rustls, trusting the platform's authorities,
    /// through the proxy that the environment names ([`Proxy::from_env`](crate::Proxy::from_env)).
    ///
    /// ```
    /// use acr_core::Transport;
    ///
    /// let transport = Transport::rustls()?;
    /// # drop(transport);
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`TransportBuilder::build`].
    pub fn rustls() -> Result<Self> {
        TransportBuilder::new().build()
    }
}

/// All clones have the same connections, and a clone is a reference.
#[derive(Clone)]
struct Clients(Arc<Pools>);

/// A host that a server named never shares a connection that was opened without the guard,
/// nor one on which a client certificate was shown.
struct Pools {
    /// What the caller configured.
    endpoint: Connections,
    /// What a server named.
    foreign: Connections,
    /// The same without the guard: an address of the class that the endpoint has itself, and what
    /// the caller configured beside the registry.
    neighbour: Connections,
}

impl Service<Request> for Clients {
    type Response = http::Response<Incoming>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let pools = Arc::clone(&self.0);
        Box::pin(async move { pools.send(request).await })
    }
}

impl Pools {
    async fn send(&self, mut request: Request) -> Result<http::Response<Incoming>> {
        let hop = request.extensions_mut().remove::<ForeignHop>();
        let own = match request.extensions_mut().remove::<Unidentified>() {
            Some(Unidentified) => &self.neighbour,
            None => &self.endpoint,
        };
        let connections = match hop {
            Some(hop) => self.for_hop(own, &hop.from, request.uri())?,
            None => own,
        };
        connections.exchange(request).await
    }

    /// `own` is where the request before the redirect went.
    fn for_hop<'a>(
        &'a self,
        own: &'a Connections,
        from: &http::Uri,
        target: &http::Uri,
    ) -> Result<&'a Connections> {
        if (from.scheme(), from.authority()) == (target.scheme(), target.authority()) {
            return Ok(own);
        }
        let host = target.host().unwrap_or_default();
        match Class::of_host(host) {
            None => Ok(&self.foreign),
            // The emulator's registry and storage both stand on this machine.
            class if class != Some(Class::Odd) && from.host().and_then(Class::of_host) == class => {
                Ok(&self.neighbour)
            }
            Some(class) => Err(ConnectError::forbidden(host, class).to_error()),
        }
    }
}

/// Long enough for a far region, short enough for a person.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Each costs some ten KiB here and more at the server; a program with more calls at once says so.
const POOL_MAX_IDLE_PER_HOST: usize = 256;

/// Azure's load balancers forget an idle connection after about four minutes.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(60);
