//! A fake on a free port of loopback, and the same without a socket.

use std::{
    convert::Infallible,
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use acr_core::{Body, Error, ErrorKind, Request, Transport};
use bytes::Bytes;
use http::{Response, request::Parts};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::TlsAcceptor;

/// What answers: head and body in, answer out.
pub(crate) trait Desk: Send + Sync + 'static {
    fn answer(&self, head: &Parts, body: &[u8]) -> Response<Bytes>;
}

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

/// A transport to one fake that needs no socket; every other address is an unknown host.
pub(crate) fn in_process(desk: Arc<dyn Desk>, origin: String) -> Transport {
    Transport::new(InProcess { desk, origin: origin.into() })
}

#[derive(Clone)]
struct InProcess {
    desk: Arc<dyn Desk>,
    origin: Arc<str>,
}

impl tower_service::Service<Request> for InProcess {
    type Response = Response<Body>;
    type Error = Error;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Response<Body>, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Error>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let Self { desk, origin } = self.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let scheme = head.uri.scheme_str().unwrap_or_default();
            let authority = head.uri.authority().map_or("", |a| a.as_str());
            if format!("{scheme}://{authority}") != *origin {
                let text = format!("no connection to the server: `{authority}` is unknown");
                return Err(Error::new(ErrorKind::Connect, text));
            }
            let body = body.bytes(MAX_BODY).await?;
            Ok(desk.answer(&head, &body).map(Body::from))
        })
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

/// Assertions are a few thousand bytes.
const MAX_BODY: usize = 64 * 1024;
