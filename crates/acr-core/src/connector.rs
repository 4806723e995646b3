//! Opens connections: TCP, then TLS where the URL says https. Names the phase that failed.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::{
    client::legacy::connect::{Connected, Connection, HttpConnector},
    rt::TokioIo,
};
use rustls::{ClientConfig, pki_types::ServerName};
use thiserror::Error as ThisError;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tower_service::Service;

use crate::error::BoxError;

#[derive(Clone)]
pub(crate) struct Connector {
    tcp: HttpConnector,
    tls: TlsConnector,
    timeout: Duration,
}

/// Why there is no connection.
#[derive(Debug, ThisError)]
pub(crate) enum ConnectError {
    #[error("no connection to `{host}`: name resolution or TCP failed")]
    Tcp { host: String, source: BoxError },
    #[error("no connection to `{host}`: TLS failed")]
    Tls { host: String, source: io::Error },
    #[error("no connection to `{host}`: {phase} took longer than {limit:?}")]
    Timeout {
        host: String,
        phase: &'static str,
        limit: Duration,
    },
    #[error("no connection: the URL has no usable host")]
    Host,
}

/// A plain or an encrypted connection.
pub(crate) enum Stream {
    Plain(TokioIo<TcpStream>),
    Tls(Box<TokioIo<TlsStream<TcpStream>>>),
}

impl Connector {
    pub(crate) fn new(config: Arc<ClientConfig>, timeout: Duration) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        Self {
            tcp,
            tls: TlsConnector::from(config),
            timeout,
        }
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        // HttpConnector is always ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let Self {
            mut tcp,
            tls,
            timeout,
        } = self.clone();
        Box::pin(async move {
            let host = uri.host().ok_or(ConnectError::Host)?.to_owned();
            let is_tls = uri.scheme_str() == Some("https");
            let late = |phase| ConnectError::Timeout {
                host: host.clone(),
                phase,
                limit: timeout,
            };
            let tcp = tokio::time::timeout(timeout, tcp.call(uri))
                .await
                .map_err(|_| late("name resolution and TCP"))?
                .map_err(|source| ConnectError::Tcp {
                    host: host.clone(),
                    source: source.into(),
                })?;
            if !is_tls {
                return Ok(Stream::Plain(tcp));
            }
            let name = host
                .trim_start_matches('[')
                .trim_end_matches(']')
                .to_owned();
            let name = ServerName::try_from(name).map_err(|_| ConnectError::Host)?;
            let tls = tokio::time::timeout(timeout, tls.connect(name, tcp.into_inner()))
                .await
                .map_err(|_| late("TLS"))?
                .map_err(|source| ConnectError::Tls {
                    host: host.clone(),
                    source,
                })?;
            Ok(Stream::Tls(Box::new(TokioIo::new(tls))))
        })
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(io) => Pin::new(io).poll_read(cx, buffer),
            Self::Tls(io) => Pin::new(io).poll_read(cx, buffer),
        }
    }
}

impl Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Plain(io) => Pin::new(io).poll_write(cx, buffer),
            Self::Tls(io) => Pin::new(io).poll_write(cx, buffer),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(io) => Pin::new(io).poll_flush(cx),
            Self::Tls(io) => Pin::new(io).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(io) => Pin::new(io).poll_shutdown(cx),
            Self::Tls(io) => Pin::new(io).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Plain(io) => Pin::new(io).poll_write_vectored(cx, buffers),
            Self::Tls(io) => Pin::new(io).poll_write_vectored(cx, buffers),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(io) => io.is_write_vectored(),
            Self::Tls(io) => io.is_write_vectored(),
        }
    }
}
