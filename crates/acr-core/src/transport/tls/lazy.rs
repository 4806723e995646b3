//! What TLS needs, made by the first connection that needs it: a client of plain HTTP opens no
//! file of the platform's trust store.

use std::{fmt, io, sync::Arc};

use rustls::ClientConfig;
use tokio::sync::OnceCell;

use super::{ClientConfigs, TlsConfig, Unusable};

/// The settings of all connections of one transport.
pub(crate) struct LazyTls {
    settings: TlsConfig,
    offers_http2: bool,
    /// Empty after a failure: a trust store may be mounted later.
    made: OnceCell<ClientConfigs>,
}

/// Whom a connection goes to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum To {
    /// The host that the caller named.
    Endpoint,
    /// Any other host.
    Foreign,
}

/// For one connection: its server's, and a proxy's on the way to it.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) server: Arc<ClientConfig>,
    pub(crate) proxy: Arc<ClientConfig>,
}

/// Why there is none.
#[derive(Debug)]
pub(crate) enum NotMade {
    Unusable(Unusable),
    /// The runtime ends.
    Stopped(io::Error),
}

impl TlsConfig {
    /// For the connections of one transport.
    pub(crate) fn lazy(self, offers_http2: bool) -> LazyTls {
        LazyTls { settings: self, offers_http2, made: OnceCell::new() }
    }
}

impl LazyTls {
    /// Reads the trust store unless that was done. Connections that begin at once wait for one
    /// reading; if the one that reads is dropped, the next reads.
    pub(crate) async fn get(&self, to: To) -> Result<Pair, NotMade> {
        let configs = self.made.get_or_try_init(|| self.make()).await?;
        let server = match to {
            To::Endpoint => &configs.endpoint,
            To::Foreign => &configs.foreign,
        };
        Ok(Pair { server: Arc::clone(server), proxy: Arc::clone(&configs.proxy) })
    }

    /// On a thread that may block: a store has hundreds of files on some systems.
    async fn make(&self) -> Result<ClientConfigs, NotMade> {
        let (settings, offers_http2) = (self.settings.clone(), self.offers_http2);
        tokio::task::spawn_blocking(move || settings.client_configs(offers_http2))
            .await
            .map_err(|error| NotMade::Stopped(io::Error::other(error)))?
            .map_err(NotMade::Unusable)
    }
}

impl fmt::Debug for LazyTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LazyTls")
            .field("settings", &self.settings)
            .field("is_made", &self.made.initialized())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hyper_util::rt::TokioIo;
    use tokio::net::TcpListener;
    use tower_service::Service as _;

    use super::*;
    use crate::transport::{
        address::Guard, connect_error::ConnectError, connector::Connector, stream::Stream,
    };

    fn connector(tls: &Arc<LazyTls>) -> Connector {
        Connector {
            tls: Arc::clone(tls),
            to: To::Endpoint,
            proxy: None,
            guard: Guard::Off,
            timeout: Duration::from_secs(10),
        }
    }

    async fn connect(tls: &Arc<LazyTls>, uri: &str) -> Result<TokioIo<Stream>, ConnectError> {
        connector(tls).call(uri.parse().unwrap()).await
    }

    #[tokio::test]
    async fn a_connection_without_tls_needs_no_trust_store_and_the_first_with_tls_makes_it_once() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap();
        tokio::spawn(async move { while server.accept().await.is_ok() {} });
        let tls = Arc::new(TlsConfig::new().lazy(false));

        connect(&tls, &format!("http://{address}/")).await.unwrap();
        assert!(!tls.made.initialized(), "plain HTTP has read the platform's trust store");

        for _ in 0..2 {
            // The server hangs up: no handshake comes to an end, and none is needed here.
            assert!(connect(&tls, &format!("https://{address}/")).await.is_err());
            assert!(tls.made.initialized());
        }
        let (one, other) = tokio::join!(tls.get(To::Endpoint), tls.get(To::Endpoint));
        assert!(Arc::ptr_eq(&one.unwrap().server, &other.unwrap().server));
    }

    #[tokio::test]
    async fn many_first_connections_share_one_reading() {
        let tls = Arc::new(TlsConfig::no_roots().lazy(false));
        let (a, b, c) =
            tokio::join!(tls.get(To::Foreign), tls.get(To::Foreign), tls.get(To::Foreign));
        let [a, b, c] = [a, b, c].map(|pair| pair.unwrap().server);
        assert!(Arc::ptr_eq(&a, &b) && Arc::ptr_eq(&b, &c));
    }
}
