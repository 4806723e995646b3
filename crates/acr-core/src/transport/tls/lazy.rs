//! What TLS needs, made by the first connection that needs it: a client of plain HTTP opens no
//! file of the platform's trust store.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use rustls::ClientConfig;
use tokio::sync::watch;

use super::{ClientConfigs, TlsConfig, Unusable};

/// The settings of all connections of one transport.
pub(crate) struct LazyTls {
    settings: TlsConfig,
    offers_http2: bool,
    made: Mutex<Made>,
}

enum Made {
    /// Also after a failure: a trust store may be mounted later.
    No,
    /// On a thread of its own, that belongs to nobody who waits for it: a call that gives up, or is
    /// not polled any more, holds up no other, and the next one finds how far it got.
    Begun(watch::Receiver<Option<Outcome>>),
    Yes(Arc<ClientConfigs>),
}

type Outcome = Result<Arc<ClientConfigs>, Unusable>;

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

impl TlsConfig {
    /// For the connections of one transport.
    pub(crate) fn lazy(self, offers_http2: bool) -> LazyTls {
        LazyTls { settings: self, offers_http2, made: Mutex::new(Made::No) }
    }
}

impl LazyTls {
    /// Reads the trust store unless that was done. Connections that begin meanwhile wait for the same
    /// reading, and share its failure.
    pub(crate) async fn get(self: &Arc<Self>, to: To) -> Result<Pair, Unusable> {
        let configs = match self.begun() {
            Ok(configs) => configs,
            Err(mut begun) => match begun.wait_for(Option::is_some).await.as_deref() {
                Ok(Some(outcome)) => outcome.clone()?,
                // The runtime ends, or the reading panicked.
                _ => return Err(Unusable::ended()),
            },
        };
        let server = match to {
            To::Endpoint => &configs.endpoint,
            To::Foreign => &configs.foreign,
        };
        Ok(Pair { server: Arc::clone(server), proxy: Arc::clone(&configs.proxy) })
    }

    /// What is there, or else what will be.
    fn begun(self: &Arc<Self>) -> Result<Arc<ClientConfigs>, watch::Receiver<Option<Outcome>>> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        match &*made {
            Made::Yes(configs) => return Ok(Arc::clone(configs)),
            // One that ended without an outcome is begun anew.
            Made::Begun(outcome) if outcome.has_changed().is_ok() => return Err(outcome.clone()),
            Made::Begun(_) | Made::No => {}
        }
        let (tell, outcome) = watch::channel(None);
        *made = Made::Begun(outcome.clone());
        let this = Arc::clone(self);
        // A store has hundreds of files on some systems.
        tokio::task::spawn_blocking(move || {
            let outcome = this.settings.client_configs(this.offers_http2).map(Arc::new);
            let made = outcome.as_ref().map_or(Made::No, |made| Made::Yes(Arc::clone(made)));
            *this.made.lock().unwrap_or_else(PoisonError::into_inner) = made;
            tell.send_replace(Some(outcome));
        });
        Err(outcome)
    }

    fn is_made(&self) -> bool {
        matches!(*self.made.lock().unwrap_or_else(PoisonError::into_inner), Made::Yes(_))
    }
}

impl fmt::Debug for LazyTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LazyTls")
            .field("settings", &self.settings)
            .field("is_made", &self.is_made())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        task::{Context, Waker},
        time::Duration,
    };

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
        // Not every system that runs this has authorities of its own.
        let tls = Arc::new(TlsConfig::no_roots().lazy(false));

        connect(&tls, &format!("http://{address}/")).await.unwrap();
        assert!(!tls.is_made(), "plain HTTP has read the platform's trust store");

        for _ in 0..2 {
            // The server hangs up: no handshake comes to an end, and none is needed here.
            assert!(connect(&tls, &format!("https://{address}/")).await.is_err());
            assert!(tls.is_made());
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

    /// Whoever came first may be dropped, or wait in a `select!` for what comes after it.
    #[tokio::test]
    async fn who_is_not_polled_any_more_holds_up_nobody() {
        let tls = Arc::new(TlsConfig::no_roots().lazy(false));
        let mut first = Box::pin(tls.get(To::Endpoint));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(first.as_mut().poll(&mut cx).is_pending());
        let second = tls.get(To::Endpoint).await.unwrap();
        drop(tls.get(To::Endpoint));
        assert!(Arc::ptr_eq(&first.await.unwrap().server, &second.server));
    }

    #[test]
    fn a_reading_that_its_runtime_took_along_is_begun_anew() {
        let tls = Arc::new(TlsConfig::no_roots().lazy(false));
        let runtime = || tokio::runtime::Builder::new_multi_thread().build().unwrap();
        let short = runtime();
        let handle = short.handle().clone();
        short.shutdown_background();
        let begun = {
            let _entered = handle.enter();
            tls.begun().err().unwrap()
        };
        let is_told = runtime().block_on(async {
            let mut begun = begun;
            begun.wait_for(Option::is_some).await.is_ok()
        });
        assert!(!is_told && !tls.is_made());
        assert!(runtime().block_on(tls.get(To::Endpoint)).is_ok());
        assert!(tls.is_made());
    }
}
