//! A registry on loopback.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use super::FakeRegistry;
use crate::server::{self, Server, Tls};

/// With the feature `serve`.
impl FakeRegistry {
    /// Serves the registry and its storage on two free ports of `127.0.0.1`.
    ///
    /// # Errors
    ///
    /// When the sockets cannot be opened or the certificates cannot be made.
    pub async fn serve(&self, tls: Tls) -> io::Result<Server> {
        self.serve_on((Ipv4Addr::LOCALHOST, 0).into(), tls).await
    }

    /// Serves the registry on a loopback address, and its storage on a free port beside it.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] for any address that is not loopback, else as
    /// [`FakeRegistry::serve`].
    pub async fn serve_on(&self, address: SocketAddr, tls: Tls) -> io::Result<Server> {
        self.serve_with_storage(address, SocketAddr::new(address.ip(), 0), tls).await
    }

    /// Serves the registry and its storage, each on a loopback address.
    ///
    /// # Errors
    ///
    /// As [`FakeRegistry::serve_on`]; an address that is taken is named.
    pub async fn serve_with_storage(
        &self,
        address: SocketAddr,
        storage: SocketAddr,
        tls: Tls,
    ) -> io::Result<Server> {
        server::start(Arc::clone(&self.0), address, storage, tls).await
    }
}
