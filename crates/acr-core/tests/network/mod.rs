//! Servers for the tests of the transport: an authority, TLS, a small HTTP/1.1, a proxy.

#![allow(dead_code, reason = "each test file uses a part")]

use std::{
    collections::HashMap,
    future::Future,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use acr_core::http::{Body, Effect, Request, RequestBuilder};
use http::Method;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer},
    server::WebPkiClientVerifier,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

/// A certificate authority of one test.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: rcgen::Certificate,
}

/// A certificate with its key.
pub(crate) struct Leaf {
    pub(crate) certificate: rcgen::Certificate,
    pub(crate) key: KeyPair,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Authorities of one name would be taken for the same with a wrong signature.
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("authority {}", COUNT.fetch_add(1, Ordering::Relaxed));
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let issuer = Issuer::new(params, key);
        Self { issuer, certificate }
    }

    pub(crate) fn pem(&self) -> Vec<u8> {
        self.certificate.pem().into_bytes()
    }

    pub(crate) fn der(&self) -> CertificateDer<'static> {
        self.certificate.der().clone()
    }

    /// A valid certificate for a name or an address.
    pub(crate) fn leaf(&self, name: &str) -> Leaf {
        self.leaf_between(name, 2020, 2096)
    }

    /// A certificate that is valid from the first day of a year to that of another.
    pub(crate) fn leaf_between(&self, name: &str, from: i32, to: i32) -> Leaf {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Leaf { certificate, key }
    }
}

impl Leaf {
    /// A certificate that nobody else has signed, as a server's or as an authority's own.
    pub(crate) fn self_signed(name: &str, is_authority: bool) -> Self {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        if is_authority {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate, key }
    }

    pub(crate) fn pem(&self) -> Vec<u8> {
        self.certificate.pem().into_bytes()
    }

    pub(crate) fn key_pem(&self) -> Vec<u8> {
        self.key.serialize_pem().into_bytes()
    }

    /// Settings of a server with this certificate, asking for one of `clients` if given.
    pub(crate) fn server(
        &self,
        clients: Option<&Authority>,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> ServerConfig {
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.der()).unwrap();
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).unwrap();
        builder.with_single_cert(vec![self.certificate.der().clone()], key).unwrap()
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::new(self.server(None, rustls::ALL_VERSIONS)))
    }
}

#[cfg(feature = "aws-lc-rs")]
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

#[cfg(not(feature = "aws-lc-rs"))]
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// A server of a test: where it listens, and what it saw.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) connections: Arc<AtomicUsize>,
    pub(crate) heads: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Listens on a loopback address and gives every connection to the function.
    pub(crate) async fn start<F, Fut>(serve: F) -> Self
    where
        F: Fn(TcpStream, Arc<Mutex<Vec<String>>>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            connections: Arc::default(),
            heads: Arc::default(),
        };
        let (connections, heads) = (Arc::clone(&server.connections), Arc::clone(&server.heads));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(socket, Arc::clone(&heads)));
            }
        });
        server
    }

    /// Answers every request over TLS with this head and the body `ok`.
    pub(crate) async fn tls(acceptor: TlsAcceptor, head: &'static str) -> Self {
        Self::start(move |socket, heads| {
            let acceptor = acceptor.clone();
            async move {
                if let Ok(stream) = acceptor.accept(socket).await {
                    answer_all(stream, &heads, head).await;
                }
            }
        })
        .await
    }

    /// The same without TLS.
    pub(crate) async fn plain(head: impl Into<String>) -> Self {
        let head: Arc<str> = head.into().into();
        Self::start(move |socket, heads| {
            let head = Arc::clone(&head);
            async move { answer_all(socket, &heads, &head).await }
        })
        .await
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    pub(crate) fn https(&self) -> String {
        format!("https://{}/v2/", self.address)
    }

    pub(crate) fn http(&self) -> String {
        format!("http://{}/v2/", self.address)
    }
}

pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\n";

async fn answer_all<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    heads: &Mutex<Vec<String>>,
    head: &str,
) {
    while let Some(request) = read_head(&mut stream).await {
        heads.lock().unwrap().push(request);
        let answer = format!("{head}content-length: 2\r\n\r\nok");
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Reads up to the empty line; `None` at the end of the connection.
pub(crate) async fn read_head<S: AsyncRead + Unpin>(stream: &mut S) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8(head).unwrap())
}

/// A proxy that knows only `CONNECT`, resolves names by a table and may want a password.
#[derive(Clone)]
pub(crate) struct Tunnels {
    pub(crate) routes: HashMap<String, SocketAddr>,
    pub(crate) authorization: Option<&'static str>,
    pub(crate) tls: Option<TlsAcceptor>,
}

impl Tunnels {
    pub(crate) fn to(routes: &[(&str, SocketAddr)]) -> Self {
        let routes = routes.iter().map(|(name, to)| ((*name).to_owned(), *to));
        Self { routes: routes.collect(), authorization: None, tls: None }
    }

    pub(crate) async fn start(self) -> Server {
        Server::start(move |socket, heads| {
            let tunnels = self.clone();
            async move {
                match &tunnels.tls {
                    None => tunnels.serve(socket, &heads).await,
                    Some(acceptor) => {
                        if let Ok(stream) = acceptor.accept(socket).await {
                            tunnels.serve(stream, &heads).await;
                        }
                    }
                }
            }
        })
        .await
    }

    async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        mut stream: S,
        heads: &Mutex<Vec<String>>,
    ) {
        let Some(head) = read_head(&mut stream).await else {
            return;
        };
        heads.lock().unwrap().push(head.clone());
        let line = |text: &str| head.lines().any(|line| line.eq_ignore_ascii_case(text));
        let allowed =
            self.authorization.is_none_or(|value| line(&format!("proxy-authorization: {value}")));
        let target = head.strip_prefix("CONNECT ").and_then(|t| t.split(' ').next());
        let route = target.and_then(|target| self.routes.get(target));
        let (answer, route) = match (allowed, route) {
            (false, _) => (
                "HTTP/1.1 407 Who are you\r\nproxy-authenticate: Basic\r\ncontent-length: 5\r\n\r\nwhat?",
                None,
            ),
            (true, None) => ("HTTP/1.1 502 Bad Gateway\r\n\r\n", None),
            (true, Some(to)) => ("HTTP/1.1 200 Go\r\n\r\n", Some(*to)),
        };
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
        if let Some(to) = route {
            let mut origin = TcpStream::connect(to).await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut stream, &mut origin).await;
        }
    }
}

/// A GET that may be sent twice.
pub(crate) fn get(uri: &str) -> Request {
    RequestBuilder::to(Method::GET, uri.parse().unwrap()).effect(Effect::Read).build().unwrap()
}

/// A POST with this effect.
pub(crate) fn post(uri: &str, effect: Effect, body: impl Into<Body>) -> Request {
    RequestBuilder::to(Method::POST, uri.parse().unwrap())
        .effect(effect)
        .body(body)
        .build()
        .unwrap()
}

/// Everything an error can say, its sources included.
pub(crate) fn all_text(error: &acr_core::Error) -> String {
    let mut text = format!("{error} {error:?} {error:#?}");
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(&format!(" {cause} {cause:?}"));
        source = cause.source();
    }
    text
}
