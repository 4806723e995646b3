//! A registry for measurements: it takes everything, keeps nothing, hashes nothing.

mod answer;
mod counters;
mod line;
mod pages;
mod pattern;
mod route;

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroU64,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use acr_core::Endpoint;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::TlsAcceptor;

use self::{answer::Desk, counters::Visit, line::Line};
pub use self::{counters::SinkStats, pattern::sink_content};
use crate::{certificates::Authority, server::Tls};

/// Builds a [`Sink`].
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use acr_testkit::{SinkBuilder, Tls};
///
/// // Each request waits for 5 ms, as those to a registry nearby do.
/// let sink = SinkBuilder::new().latency(std::time::Duration::from_millis(5)).serve(Tls::Off).await?;
/// assert_eq!(sink.stats().requests_in_all(), 0);
/// # Ok::<_, std::io::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is served yet"]
pub struct SinkBuilder {
    latency: Duration,
    rate: Option<NonZeroU64>,
    items: u32,
    challenges: bool,
    authority: Option<PathBuf>,
}

/// A registry on loopback that a client can be measured against: what it costs itself is a small
/// part of what a client costs.
///
/// It answers what uploads, downloads, manifests and lists send, and **proves nothing**: it lets
/// everybody in, takes any chunk in any order, and whatever a client sends is counted and
/// forgotten. To test a client, take [`FakeRegistry`](crate::FakeRegistry).
///
/// | asked for | answered with |
/// |---|---|
/// | a blob | [`sink_content`] of the length that the repository's last segment names (`bench/1073741824`), or that was uploaded under this digest, or else of 16 KiB; ranges too |
/// | a manifest | an empty index |
/// | lists | as many items as were set, in pages that are made once |
/// | an upload | 202 and 201, whatever it holds; an upload's address is the count of its bytes |
/// | a token | one that lives for ever |
///
/// It stops when it is dropped.
#[must_use = "the server stops when it is dropped"]
pub struct Sink {
    endpoint: Endpoint,
    ca_pem: Option<String>,
    desk: Arc<Desk>,
    task: JoinHandle<()>,
}

impl SinkBuilder {
    /// No latency, no limit, 10,000 items in each list.
    pub fn new() -> Self {
        Self {
            latency: Duration::ZERO,
            rate: None,
            items: ITEMS,
            challenges: false,
            authority: None,
        }
    }

    /// Lets each answer wait that long, after the request was read.
    pub fn latency(mut self, time: Duration) -> Self {
        self.latency = time;
        self
    }

    /// Takes and sends that many bytes a second on each connection, each way.
    pub fn rate(mut self, bytes_per_second: NonZeroU64) -> Self {
        self.rate = Some(bytes_per_second);
        self
    }

    /// How many items each list has.
    pub fn items(mut self, count: u32) -> Self {
        self.items = count;
        self
    }

    /// Answers a request without a credential with a challenge, as a registry does that lets nobody
    /// in unasked. There are clients that upload nothing where they are not challenged.
    pub fn challenges(mut self) -> Self {
        self.challenges = true;
        self
    }

    /// Keeps the certificate authority in a folder, as
    /// [`FakeRegistryBuilder::authority`](crate::FakeRegistryBuilder::authority) does.
    pub fn authority(mut self, folder: impl Into<PathBuf>) -> Self {
        self.authority = Some(folder.into());
        self
    }

    /// Serves on a free port of `127.0.0.1`.
    ///
    /// # Errors
    ///
    /// As [`SinkBuilder::serve_on`].
    pub async fn serve(self, tls: Tls) -> io::Result<Sink> {
        self.serve_on((Ipv4Addr::LOCALHOST, 0).into(), tls).await
    }

    /// Serves on a loopback address.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] for an address that is not loopback; when the socket cannot be
    /// opened, or the certificate cannot be made.
    pub async fn serve_on(self, address: SocketAddr, tls: Tls) -> io::Result<Sink> {
        if !address.ip().is_loopback() {
            let text = format!("`{address}` is not a loopback address");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let authority = match tls {
            Tls::Off => None,
            Tls::On => Some(match self.authority {
                None => Authority::new()?,
                Some(folder) => {
                    tokio::task::spawn_blocking(move || Authority::open(&folder)).await??
                }
            }),
        };
        let acceptor = match &authority {
            Some(authority) => Some(TlsAcceptor::from(authority.config()?)),
            None => None,
        };
        let socket = TcpListener::bind(address).await.map_err(|error| {
            io::Error::new(error.kind(), format!("cannot listen on `{address}`: {error}"))
        })?;
        let address = socket.local_addr()?;
        let endpoint = match tls {
            Tls::Off => Endpoint::insecure_loopback(address),
            Tls::On => address.to_string().parse(),
        };
        let endpoint = endpoint.map_err(io::Error::other)?;
        let desk = Desk::new(&endpoint, self.latency, self.items, self.challenges);
        let desk = Arc::new(desk);
        let task = tokio::spawn(accept(socket, Arc::clone(&desk), acceptor, self.rate));
        let ca_pem = authority.map(|authority| authority.pem().to_owned());
        Ok(Sink { endpoint, ca_pem, desk, task })
    }
}

impl Default for SinkBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl Sink {
    /// Where it is.
    pub fn endpoint(&self) -> Endpoint {
        self.endpoint.clone()
    }

    /// The certificate to trust, as PEM, with TLS.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// What was counted since the start, or since [`Sink::forget`]. `GET /_sink/stats` tells the same
    /// to another process, as JSON; that request is not counted.
    pub fn stats(&self) -> SinkStats {
        self.desk.counters.read()
    }

    /// Counts anew, from what is open now. `DELETE /_sink/stats` does the same.
    pub fn forget(&self) {
        self.desk.counters.forget();
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// Serves connections until it is dropped, which ends them all.
async fn accept(
    socket: TcpListener,
    desk: Arc<Desk>,
    tls: Option<TlsAcceptor>,
    rate: Option<NonZeroU64>,
) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        match socket.accept().await {
            Ok((stream, _)) => {
                let (desk, tls) = (Arc::clone(&desk), tls.clone());
                connections.spawn(connection(stream, desk, tls, rate));
            }
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    desk: Arc<Desk>,
    tls: Option<TlsAcceptor>,
    rate: Option<NonZeroU64>,
) {
    // Latency only; a socket without the option works too.
    let _ = stream.set_nodelay(true);
    match (tls, rate) {
        (None, None) => Box::pin(serve(stream, desk)).await,
        (None, Some(rate)) => Box::pin(serve(Line::new(stream, rate), desk)).await,
        (Some(tls), None) => {
            if let Ok(stream) = tls.accept(stream).await {
                Box::pin(serve(stream, desk)).await;
            }
        }
        (Some(tls), Some(rate)) => {
            if let Ok(stream) = tls.accept(Line::new(stream, rate)).await {
                Box::pin(serve(stream, desk)).await;
            }
        }
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S, desk: Arc<Desk>) {
    let visit = Arc::new(Visit::default());
    let service = service_fn(|request| {
        let (desk, visit) = (Arc::clone(&desk), Arc::clone(&visit));
        async move { desk.answer(request, &visit).await }
    });
    let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended early");
    }
    desk.counters.leave(&visit);
}

const ITEMS: u32 = 10_000;

/// Without descriptors there is nothing to do but to wait.
const PAUSE: Duration = Duration::from_millis(20);
