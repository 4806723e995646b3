//! A same-origin façade: a token service and a registry behind one address.

use std::{
    fmt,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, Request, Response, StatusCode,
    header::{CONNECTION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE},
};
use http_body_util::{BodyExt as _, Either, Full, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::TlsAcceptor;

use crate::{
    certificates::CertificateAuthority,
    error::{Attempt as _, Error, Result},
    oauth::{Accounts, TokenCall, TokenService},
    token_signer::TokenSigner,
    upstream,
};

/// Whether the façade speaks TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsMode {
    /// Plain HTTP.
    Off,
    /// TLS with a certificate under an authority made for this façade.
    On,
}

/// A façade whose address is known but which does not serve yet.
///
/// The registry behind it must be told the façade's address before it starts,
/// and the façade the registry's address before it serves.
pub struct FacadeListener {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<Tls>,
}

/// A running façade; stops when dropped.
///
/// Answers `/oauth2/*` itself and streams everything else to the registry and back.
#[derive(Debug)]
pub struct Facade {
    origin: String,
    address: SocketAddr,
    ca_pem: Option<String>,
    state: Arc<State>,
    task: JoinHandle<()>,
}

/// What a façade has seen.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Counts {
    /// Entra tokens taken.
    pub exchanges: usize,
    /// Access tokens given, in order.
    pub token_calls: Vec<TokenCall>,
    /// `/oauth2` requests refused.
    pub refused: usize,
    /// Requests forwarded to the registry.
    pub forwarded: usize,
    /// Forwarded requests that the registry answered with 401.
    pub challenges: usize,
}

struct Tls {
    acceptor: TlsAcceptor,
    ca_pem: String,
}

#[derive(Debug)]
struct State {
    upstream: SocketAddr,
    tokens: TokenService,
    forwarded: AtomicUsize,
    challenges: AtomicUsize,
}

type Body = Either<Full<Bytes>, Incoming>;

impl FacadeListener {
    /// Takes a free loopback port.
    ///
    /// # Errors
    ///
    /// When no port is free or no certificate can be made.
    pub async fn bind(mode: TlsMode) -> Result<Self> {
        let tls = match mode {
            TlsMode::Off => None,
            TlsMode::On => Some(Tls::new()?),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.attempt(|| "bind the façade")?;
        let address = listener.local_addr().attempt(|| "read the façade's address")?;
        Ok(Self { listener, address, tls })
    }

    /// Host and port: the `service` of its tokens.
    pub fn authority(&self) -> String {
        self.address.to_string()
    }

    /// The URL at which it gives tokens by the Docker protocol.
    pub fn realm(&self) -> String {
        format!("{}/oauth2/token", self.origin())
    }

    /// Serves in front of a registry.
    pub fn serve(self, upstream: SocketAddr, accounts: Accounts, signer: TokenSigner) -> Facade {
        let origin = self.origin();
        let state = Arc::new(State {
            upstream,
            tokens: TokenService::new(self.authority(), accounts, signer),
            forwarded: AtomicUsize::new(0),
            challenges: AtomicUsize::new(0),
        });
        let Self { listener, address, tls } = self;
        let (acceptor, ca_pem) = tls.map(|tls| (tls.acceptor, tls.ca_pem)).unzip();
        let task = tokio::spawn(accept(listener, acceptor, Arc::clone(&state)));
        Facade { origin, address, ca_pem, state, task }
    }

    fn origin(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }
}

impl fmt::Debug for FacadeListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FacadeListener").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Facade {
    /// Scheme, host and port.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate to trust (PEM), if it speaks TLS.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// Who may ask for tokens.
    pub fn accounts(&self) -> &Accounts {
        self.state.tokens.accounts()
    }

    /// What it has seen so far.
    pub fn counts(&self) -> Counts {
        let journal = self.state.tokens.journal();
        Counts {
            exchanges: journal.exchanges,
            token_calls: journal.token_calls,
            refused: journal.refused,
            forwarded: self.state.forwarded.load(Ordering::SeqCst),
            challenges: self.state.challenges.load(Ordering::SeqCst),
        }
    }
}

impl Drop for Facade {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Tls {
    fn new() -> Result<Self> {
        let authority = CertificateAuthority::new("interop façade authority")?;
        let config = authority.server_config()?;
        let ca_pem = authority.pem().to_owned();
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), ca_pem })
    }
}

impl State {
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Body>> {
        if request.uri().path().starts_with("/oauth2/") {
            let (head, body) = request.into_parts();
            let body = Limited::new(body, FORM_LIMIT)
                .collect()
                .await
                .map_err(|source| Error::with_source("read a form", source))?
                .to_bytes();
            return Ok(self.tokens.answer(&head, &body)?.map(|body| Either::Left(body.into())));
        }
        self.forward(request).await
    }

    /// Streams a request to the registry and its answer back. `Host` stays the
    /// client's, so that the registry writes links to the façade and not around it.
    async fn forward(&self, mut request: Request<Incoming>) -> Result<Response<Body>> {
        self.forwarded.fetch_add(1, Ordering::SeqCst);
        remove_hop_headers(request.headers_mut());
        let mut response = upstream::send(self.upstream, request).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            self.challenges.fetch_add(1, Ordering::SeqCst);
        }
        remove_hop_headers(response.headers_mut());
        Ok(response.map(Either::Right))
    }
}

/// Accepts until the façade is dropped, which ends all its connections too.
async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, state: Arc<State>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, state) = (tls.clone(), Arc::clone(&state));
        connections.spawn(Box::pin(connection(stream, tls, state)));
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: TcpStream, tls: Option<TlsAcceptor>, state: Arc<State>) {
    match tls {
        None => serve(stream, state).await,
        Some(tls) => {
            // A failed handshake is a client that does not trust us; it knows why.
            if let Ok(stream) = tls.accept(stream).await {
                serve(stream, state).await;
            }
        }
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, state: Arc<State>) {
    let service = service_fn(move |request| {
        let state = Arc::clone(&state);
        async move { state.answer(request).await }
    });
    // An error here is the client hanging up or the registry going away: both
    // close the connection, which is how a proxy says it.
    let _ended = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

fn remove_hop_headers(headers: &mut HeaderMap) {
    for name in HOP_HEADERS {
        headers.remove(name);
    }
}

/// Headers that belong to one connection (RFC 9110, section 7.6.1).
const HOP_HEADERS: [HeaderName; 6] =
    [CONNECTION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, HeaderName::from_static("keep-alive")];

/// A form holds two tokens at most.
const FORM_LIMIT: usize = 64 * 1024;
