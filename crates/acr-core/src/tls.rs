//! The default transport: hyper-util over our connector, with rustls. rustls and
//! the hyper-util client are named only here and in `connector.rs`.

use std::{sync::Arc, time::Duration};

use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use rustls_platform_verifier::BuilderVerifierExt as _;

use crate::{
    body::Body,
    connector::{ConnectError, Connector},
    error::{BoxError, Error, ErrorKind, Result},
    request::Request,
    transport::Transport,
};

/// Whom to trust.
///
/// By default the platform's trust store. Verification cannot be switched off.
#[derive(Clone, Debug, Default)]
pub struct TlsConfig {
    roots: Roots,
}

#[derive(Clone, Debug, Default)]
enum Roots {
    #[default]
    Platform,
    Only(Vec<CertificateDer<'static>>),
}

/// Builds the transport on hyper-util and rustls.
///
/// ```no_run
/// use acr_core::{TlsConfig, TransportBuilder};
///
/// let pem = std::fs::read("my-ca.pem")?;
/// let transport = TransportBuilder::new().tls(TlsConfig::only_roots(&pem)?).build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct TransportBuilder {
    tls: TlsConfig,
    connect_timeout: Duration,
}

impl TlsConfig {
    /// Trusts these authorities (PEM, one or more certificates) and no others.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] when the text holds no certificate.
    pub fn only_roots(pem: &[u8]) -> Result<Self> {
        let invalid = || Error::new(ErrorKind::InvalidInput, "no certificate in the PEM text");
        let roots: Vec<_> = CertificateDer::pem_slice_iter(pem)
            .collect::<Result<_, _>>()
            .map_err(|e| invalid().with_source(e))?;
        if roots.is_empty() {
            Err(invalid())
        } else {
            Ok(Self {
                roots: Roots::Only(roots),
            })
        }
    }

    fn client_config(&self) -> Result<ClientConfig> {
        let unusable = |what: &str| {
            Error::new(
                ErrorKind::InvalidInput,
                format!("unusable TLS setting: {what}"),
            )
        };
        // The provider is passed explicitly: a process-wide default would be global state.
        let builder = ClientConfig::builder_with_provider(Arc::new(provider()))
            .with_safe_default_protocol_versions()
            .map_err(|e| unusable("protocol versions").with_source(e))?;
        let builder = match &self.roots {
            Roots::Platform => builder.with_platform_verifier().map_err(|e| {
                let text = "the platform's trust store cannot be used; give certificates with `TlsConfig::only_roots`";
                Error::new(ErrorKind::InvalidInput, text).with_source(e)
            })?,
            Roots::Only(certificates) => {
                let mut store = RootCertStore::empty();
                for certificate in certificates {
                    store
                        .add(certificate.clone())
                        .map_err(|e| unusable("root certificate").with_source(e))?;
                }
                builder.with_root_certificates(store)
            }
        };
        Ok(builder.with_no_client_auth())
    }
}

impl TransportBuilder {
    /// Starts with the defaults.
    pub fn new() -> Self {
        Self {
            tls: TlsConfig::default(),
            connect_timeout: CONNECT_TIMEOUT,
        }
    }

    /// Sets whom to trust.
    pub fn tls(mut self, tls: TlsConfig) -> Self {
        self.tls = tls;
        self
    }

    /// How long name resolution and TCP, and after them TLS, may take (default 10 s each).
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// Builds the transport; it connects when the first request is sent.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] for a TLS setting that cannot be used, the
    /// platform's trust store included.
    pub fn build(self) -> Result<Transport> {
        let config = Arc::new(self.tls.client_config()?);
        let connector = Connector::new(config, self.connect_timeout);
        let client: Client<Connector, Body> = Client::builder(TokioExecutor::new())
            // Without a pool timer hyper-util ignores the idle time-out.
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(POOL_IDLE_TIMEOUT)
            .pool_max_idle_per_host(POOL_MAX_IDLE)
            // The one retry loop is the retry layer's.
            .retry_canceled_requests(false)
            .build(connector);
        Ok(Transport::new(tower::service_fn(
            move |request: Request| {
                let client = client.clone();
                async move { client.request(request).await.map_err(classify) }
            },
        )))
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

fn classify(error: hyper_util::client::legacy::Error) -> Error {
    let kind = if error.is_connect() {
        ErrorKind::Connect
    } else {
        ErrorKind::Transport
    };
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(cause) = source {
        if let Some(connect) = cause.downcast_ref::<ConnectError>() {
            return Error::new(ErrorKind::Connect, connect.to_string()).with_source(error);
        }
        if let Some(ours) = cause.downcast_ref::<Error>() {
            // Our own body failed while it was sent; its kind says why.
            return Error::new(ours.kind(), "the request body could not be sent")
                .with_source(BoxError::from(error));
        }
        source = cause.source();
    }
    let text = match kind {
        ErrorKind::Connect => "no connection to the server",
        _ => "the connection broke before the answer",
    };
    Error::new(kind, text).with_source(error)
}

#[cfg(feature = "aws-lc-rs")]
fn provider() -> CryptoProvider {
    rustls::crypto::aws_lc_rs::default_provider()
}

#[cfg(all(feature = "ring", not(feature = "aws-lc-rs")))]
fn provider() -> CryptoProvider {
    rustls::crypto::ring::default_provider()
}

#[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
compile_error!("the feature `rustls` needs a provider: enable `aws-lc-rs` or `ring`");

/// Long enough for a far region, short enough for a person.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Azure's load balancers forget an idle connection after about four minutes.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Idle connections kept per host.
const POOL_MAX_IDLE: usize = 16;
