//! A fake on a free port of loopback.

use std::{
    convert::Infallible,
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use acr_core::http::Body;
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::TlsAcceptor;

use super::desk::{Desk, MAX_BODY};

/// A listening fake; it stops when it is dropped.
pub(crate) struct Listener {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Listener {
    pub(crate) async fn start(desk: Arc<dyn Desk>, tls: Option<TlsAcceptor>) -> io::Result<Self> {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = socket.local_addr()?;
        Ok(Self { address, task: tokio::spawn(accept(socket, desk, tls)) })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Accepts connections until aborted, which drops and so aborts all connections.
async fn accept(socket: TcpListener, desk: Arc<dyn Desk>, tls: Option<TlsAcceptor>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = socket.accept().await else {
            // Out of file descriptors, or the like: others may be freed meanwhile.
            tokio::task::yield_now().await;
            continue;
        };
        while connections.try_join_next().is_some() {}
        connections.spawn(connection(stream, Arc::clone(&desk), tls.clone()));
    }
}

async fn connection(stream: TcpStream, desk: Arc<dyn Desk>, tls: Option<TlsAcceptor>) {
    let result = match tls {
        None => serve(stream, desk).await,
        Some(acceptor) => match acceptor.accept(stream).await {
            Ok(stream) => serve(stream, desk).await,
            Err(error) => {
                tracing::debug!(%error, "the TLS handshake failed");
                return;
            }
        },
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection ended early");
    }
}

async fn serve<S>(stream: S, desk: Arc<dyn Desk>) -> hyper::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: http::Request<Incoming>| {
        let desk = Arc::clone(&desk);
        async move {
            let (head, body) = request.map(Body::stream).into_parts();
            // What is too large or breaks off is no form, and refused as such.
            let body = body.bytes(MAX_BODY).await.unwrap_or_default();
            Ok::<_, Infallible>(desk.answer(&head, &body).map(Full::new))
        }
    });
    http1::Builder::new().serve_connection(TokioIo::new(stream), service).await
}
