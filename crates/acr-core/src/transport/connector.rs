//! Opens connections: name resolution, TCP, a proxy's tunnel where one is set, TLS where
//! the URL says https. Names the phase that failed.

use std::{
    convert::Infallible,
    future::{Future, Ready, ready},
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
    vec,
};

use http::{
    Uri,
    uri::{PathAndQuery, Scheme},
};
use hyper_util::{
    client::legacy::connect::{HttpConnector, dns::Name},
    rt::TokioIo,
};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tower_service::Service;

use crate::{
    http::error::BoxError,
    transport::{
        address::{self, Guard, ResolveError},
        connect_error::{ConnectError, TlsFailure},
        proxy::{Proxy, Server},
        stream::{Io, Stream},
        tls::{LazyTls, Pair, To, Unusable},
        tunnel::{self, TunnelError},
    },
    value::host::{self, Class, without_brackets},
};

#[derive(Clone)]
pub(crate) struct Connector {
    pub(crate) tls: Arc<LazyTls>,
    pub(crate) to: To,
    pub(crate) proxy: Option<Arc<Proxy>>,
    pub(crate) guard: Guard,
    /// Of each phase.
    pub(crate) timeout: Duration,
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move { connector.connect(&uri).await.map(TokioIo::new) })
    }
}

impl Connector {
    async fn connect(&self, uri: &Uri) -> Result<Stream, ConnectError> {
        let is_tls = uri.scheme() == Some(&Scheme::HTTPS);
        let host = without_brackets(uri.host().ok_or(ConnectError::Host)?);
        let port = host::port(uri).ok_or(ConnectError::Host)?;
        // Before anything is sent: a proxy need not hear of a name that TLS cannot check.
        let name = match is_tls {
            true => Some(ServerName::try_from(host.to_owned()).map_err(|_| ConnectError::Host)?),
            false => None,
        };
        if self.guard == Guard::On {
            // Also what is not resolved here: IP addresses, and names for a proxy.
            if let Some(class) = Class::of_host(host) {
                return Err(ConnectError::forbidden(host, class));
            }
        }
        let peer = format!("`{}`", address::authority(host, port));
        let Some(name) = name else {
            let io = self.tcp(&peer, host, port, self.guard).await?;
            return Ok(Stream::new(Box::new(io), false));
        };
        // Before anybody is connected to: without it nobody can be trusted.
        let tls = self.settings_of_tls(&peer).await?;
        let io: Io = match self.proxy.as_ref().and_then(|proxy| proxy.server_for(host)) {
            Some(Ok(server)) => self.tunnel(server, &tls.proxy, host, port).await?,
            Some(Err(why)) => return Err(ConnectError::UnusableProxy { peer, why }),
            None => Box::new(self.tcp(&peer, host, port, self.guard).await?),
        };
        let tls = self.handshake(&tls.server, &peer, name, io).await?;
        let is_h2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok(Stream::new(Box::new(tls), is_h2))
    }

    async fn tcp(
        &self,
        peer: &str,
        host: &str,
        port: u16,
        guard: Guard,
    ) -> Result<TcpStream, ConnectError> {
        let addresses = self
            .timed(peer, "name resolution", address::resolve(host, port, guard))
            .await?
            .map_err(|error| match error {
                ResolveError::Io(source) => ConnectError::Dns { peer: peer.to_owned(), source },
                ResolveError::Forbidden(class) => ConnectError::forbidden(host, class),
            })?;
        let dial = dial(host, port, addresses);
        self.timed(peer, "TCP", dial)
            .await?
            .map_err(|source| ConnectError::Tcp { peer: peer.to_owned(), source })
    }

    async fn tunnel(
        &self,
        server: &Server,
        tls: &Arc<ClientConfig>,
        host: &str,
        port: u16,
    ) -> Result<Io, ConnectError> {
        let peer = format!("the proxy `{server}`");
        // The caller named the proxy, so it may be anywhere.
        let tcp = self.tcp(&peer, &server.host, server.port, Guard::Off);
        let mut io: Io = Box::new(tcp.await?);
        if server.is_tls {
            let name = ServerName::try_from(server.host.clone()).map_err(|_| ConnectError::Host)?;
            io = Box::new(self.handshake(tls, &peer, name, io).await?);
        }
        let mut interim = None;
        let authorization = server.authorization.as_ref();
        let open = tunnel::open(&mut io, host, port, authorization, &mut interim);
        let result = self.timed(&peer, "the tunnel", open).await;
        // A proxy that promised an answer and sent none is none of those that are just slow.
        let unfinished = || interim.map(|status| ConnectError::refused(&peer, status));
        match result {
            Err(timeout) => Err(unfinished().unwrap_or(timeout)),
            Ok(Err(TunnelError::Io(source))) => {
                Err(unfinished()
                    .unwrap_or_else(|| ConnectError::Tunnel { peer: peer.clone(), source }))
            }
            Ok(Err(TunnelError::Refused(status))) => Err(ConnectError::refused(&peer, status)),
            Ok(Err(TunnelError::Malformed(hint))) => Err(ConnectError::NoProxy { peer, hint }),
            Ok(Ok(())) => Ok(io),
        }
    }

    async fn settings_of_tls(&self, peer: &str) -> Result<Pair, ConnectError> {
        let made = self.timed(peer, "reading the trust store", self.tls.get(self.to)).await?;
        made.map_err(|Unusable { text, source }| ConnectError::UnusableTls {
            peer: peer.to_owned(),
            text,
            source,
        })
    }

    async fn handshake(
        &self,
        config: &Arc<ClientConfig>,
        peer: &str,
        name: ServerName<'static>,
        io: Io,
    ) -> Result<TlsStream<Io>, ConnectError> {
        let handshake = TlsConnector::from(Arc::clone(config)).connect(name, io);
        self.timed(peer, "TLS", handshake).await?.map_err(|source| ConnectError::Tls {
            peer: peer.to_owned(),
            failure: TlsFailure::of(&source),
            source,
        })
    }

    async fn timed<F: Future>(
        &self,
        peer: &str,
        phase: &'static str,
        work: F,
    ) -> Result<F::Output, ConnectError> {
        tokio::time::timeout(self.timeout, work).await.map_err(|_| ConnectError::Timeout {
            peer: peer.to_owned(),
            phase,
            limit: self.timeout,
        })
    }
}

/// TCP by hyper-util's connector, which tries IPv6 and IPv4 side by side, to addresses
/// that are known already.
async fn dial(host: &str, port: u16, addresses: Vec<SocketAddr>) -> Result<TcpStream, BoxError> {
    let uri = Uri::builder()
        .scheme(Scheme::HTTP)
        .authority(address::authority(host, port))
        .path_and_query(PathAndQuery::from_static("/"))
        .build()?;
    let mut tcp = HttpConnector::new_with_resolver(Known(addresses));
    tcp.set_nodelay(true);
    Ok(tcp.call(uri).await?.into_inner())
}

/// A resolver that knows the answer.
#[derive(Clone)]
struct Known(Vec<SocketAddr>);

impl Service<Name> for Known {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Name) -> Self::Future {
        ready(Ok(self.0.clone().into_iter()))
    }
}
