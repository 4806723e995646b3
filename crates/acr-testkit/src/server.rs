//! The registry and its storage on two loopback sockets.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use acr_core::{Endpoint, http::Body};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::TlsAcceptor;

use crate::{
    certificates::Authority,
    fault::{CutEnd, Effect, Seen, TlsFault},
    journal::Origin,
    operation::Operation,
    service,
    shared::Shared,
    site::Site,
    sync::lock,
    wire::{self, Line, Socket, Wire},
};

/// Whether a [`Server`] speaks TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tls {
    /// Plain HTTP.
    #[default]
    Off,
    /// HTTPS with a certificate for `localhost`, `127.0.0.1` and `::1`, signed by an authority:
    /// [`Server::ca_pem`]. It is made for this server, or kept in a folder with
    /// [`FakeRegistryBuilder::authority`](crate::FakeRegistryBuilder::authority).
    On,
}

/// A registry on loopback; it stops when it is dropped.
///
/// ```
/// use acr_testkit::{FakeRegistry, Tls};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let registry = FakeRegistry::new();
/// let server = registry.serve(Tls::On).await?;
/// assert!(server.endpoint().is_https());
/// assert!(server.ca_pem().is_some());
/// server.shutdown().await;
/// # Ok::<_, std::io::Error>(()) }).unwrap();
/// ```
#[must_use = "the server stops when it is dropped"]
pub struct Server {
    endpoint: Endpoint,
    storage: Endpoint,
    storage_url: String,
    ca_pem: Option<String>,
    tasks: Vec<JoinHandle<()>>,
}

impl Server {
    /// The address of the registry.
    pub fn endpoint(&self) -> Endpoint {
        self.endpoint.clone()
    }

    /// The address of the storage that downloads are redirected to.
    pub fn storage_endpoint(&self) -> Endpoint {
        self.storage.clone()
    }

    /// Scheme, host and port of the storage as links name it: by the name `localhost`, so that
    /// its host is another than the registry's. Clients that know the registry as `localhost`
    /// get links with an address instead.
    pub fn storage_url(&self) -> &str {
        &self.storage_url
    }

    /// The certificate of the authority to trust, as PEM; `None` without TLS.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// Closes the sockets and breaks all connections.
    ///
    /// # Cancellation
    ///
    /// The server stops all the same.
    pub async fn shutdown(mut self) {
        self.stop();
        for task in std::mem::take(&mut self.tasks) {
            // Aborted on purpose: the error says only that.
            let _ = task.await;
        }
    }

    fn stop(&self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("endpoint", &self.endpoint)
            .field("storage", &self.storage)
            .finish_non_exhaustive()
    }
}

pub(crate) async fn start(
    shared: Arc<Shared>,
    address: SocketAddr,
    storage: SocketAddr,
    tls: Tls,
) -> io::Result<Server> {
    for address in [address, storage] {
        if !address.ip().is_loopback() {
            let text = format!("`{address}` is not a loopback address");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
    }
    let security = match tls {
        Tls::Off => None,
        Tls::On => {
            let authority = match shared.settings.authority.clone() {
                None => Authority::new()?,
                Some(folder) => {
                    tokio::task::spawn_blocking(move || Authority::open(&folder)).await??
                }
            };
            let acceptor = TlsAcceptor::from(authority.config()?);
            Some(Security { acceptor, authority: Arc::new(authority) })
        }
    };
    let ca_pem = security.as_ref().map(|security| security.authority.pem().to_owned());
    let (registry, storage) = (bind(address).await?, bind(storage).await?);
    let (registry_address, storage_address) = (registry.local_addr()?, storage.local_addr()?);
    let scheme = if security.is_some() { "https" } else { "http" };
    let site = Arc::new(Site::on_loopback(scheme, registry_address, storage_address));
    // The storage goes by the name `localhost`, which may stand for either address.
    let other: IpAddr = match storage_address.ip() {
        IpAddr::V4(_) => Ipv6Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv4Addr::LOCALHOST.into(),
    };
    // A machine may lack the other one, and then its names do not lead there.
    let other = TcpListener::bind((other, storage_address.port())).await.ok();
    let mut sockets = vec![(registry, Origin::Registry), (storage, Origin::Storage)];
    sockets.extend(other.map(|other| (other, Origin::Storage)));
    let tasks = sockets
        .into_iter()
        .map(|(socket, origin)| {
            let desk = Desk {
                shared: Arc::clone(&shared),
                site: Arc::clone(&site),
                origin,
                security: security.clone(),
            };
            tokio::spawn(accept(socket, desk))
        })
        .collect();
    Ok(Server {
        endpoint: endpoint(registry_address, tls)?,
        storage: endpoint(storage_address, tls)?,
        storage_url: site.storage("").to_owned(),
        ca_pem,
        tasks,
    })
}

async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        io::Error::new(error.kind(), format!("cannot listen on `{address}`: {error}"))
    })
}

/// What a connection needs to be served.
#[derive(Clone)]
struct Desk {
    shared: Arc<Shared>,
    site: Arc<Site>,
    origin: Origin,
    security: Option<Security>,
}

/// How to speak TLS, rightly and wrongly.
#[derive(Clone)]
struct Security {
    acceptor: TlsAcceptor,
    authority: Arc<Authority>,
}

/// Accepts connections until aborted, which drops and so aborts all connections.
async fn accept(socket: TcpListener, desk: Desk) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = patiently(|| socket.accept()).await;
        while connections.try_join_next().is_some() {}
        connections.spawn(connection(stream, desk.clone()));
    }
}

/// Tries until it works, and waits longer after each failure: without descriptors every try
/// fails at once, and only time lets others give theirs back.
async fn patiently<T, F: Future<Output = io::Result<T>>>(mut attempt: impl FnMut() -> F) -> T {
    let mut pause = SHORTEST_PAUSE;
    loop {
        match attempt().await {
            Ok(value) => return value,
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

async fn connection(stream: TcpStream, desk: Desk) {
    // Latency only; a socket without the option works too.
    let _ = stream.set_nodelay(true);
    if let Err(error) = Box::pin(greet(stream, desk)).await {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Lets faults have the connection, else serves it.
async fn greet(mut stream: TcpStream, mut desk: Desk) -> io::Result<()> {
    let seen =
        Seen { operation: Operation::Connect, repository: "", item: "", path: "", headers: None };
    let effects = lock(&desk.shared.faults).strike(seen);
    for effect in effects {
        match effect {
            Effect::Refuse | Effect::UnknownHost | Effect::DropRequest => {
                return wire::end_with(stream, CutEnd::Reset).await;
            }
            Effect::Stall | Effect::TlsFailure(TlsFault::Stall) => {
                return wire::end_with(stream, CutEnd::Stall).await;
            }
            Effect::Delay { time } => tokio::time::sleep(time).await,
            Effect::TlsFailure(TlsFault::Garbage) => {
                stream.write_all(b"220 this is no TLS\r\n").await?;
                return wire::end_with(stream, CutEnd::Fin).await;
            }
            Effect::TlsFailure(kind) => {
                if let Some(security) = &mut desk.security {
                    let config = security.authority.bad_config(kind)?;
                    security.acceptor = TlsAcceptor::from(config);
                }
            }
            _ => {}
        }
    }
    match desk.security.clone() {
        None => Box::pin(serve(stream, desk)).await,
        Some(security) => {
            let stream = security.acceptor.accept(stream).await?;
            Box::pin(serve(stream, desk)).await
        }
    }
}

async fn serve<S: Socket>(stream: S, desk: Desk) -> io::Result<()> {
    let wire = Wire::default();
    let (line, stream) = Line::new(stream, wire.clone());
    let on_wire = wire.clone();
    let service = service_fn(move |request: http::Request<Incoming>| {
        let Desk { shared, site, origin, .. } = desk.clone();
        let wire = on_wire.clone();
        Box::pin(async move {
            service::answer(shared, site, origin, &wire, request.map(Body::stream)).await
        })
    });
    let served = http1::Builder::new()
        .title_case_headers(true)
        .max_buf_size(MAX_BUFFER)
        .serve_connection(TokioIo::new(line), service)
        .await;
    wire::finish(stream, &wire).await?;
    served.map_err(io::Error::other)
}

fn endpoint(address: SocketAddr, tls: Tls) -> io::Result<Endpoint> {
    match tls {
        Tls::Off => Endpoint::insecure_loopback(address),
        Tls::On => address.to_string().parse(),
    }
    .map_err(io::Error::other)
}

/// For each connection; large enough for speed, small enough to serve many.
const MAX_BUFFER: usize = 96 * 1024;

const SHORTEST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn e6_without_descriptors_it_waits_and_then_goes_on() {
        let mut tries = 0;
        let start = tokio::time::Instant::now();
        let value = patiently(|| {
            tries += 1;
            let is_over = start.elapsed() >= Duration::from_secs(60);
            // What the kernel says when the process has no descriptor left.
            async move { if is_over { Ok(7) } else { Err(io::Error::from_raw_os_error(24)) } }
        });
        assert_eq!(value.await, 7);
        assert!((60..200).contains(&tries), "{tries} tries in a minute");
    }
}
