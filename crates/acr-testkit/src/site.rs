//! Under which names the registry is known.

#[cfg(feature = "serve")]
use std::net::SocketAddr;

use http::{HeaderMap, header};

/// Under which addresses the registry and its storage are reached.
#[derive(Debug)]
pub(crate) struct Site {
    scheme: &'static str,
    authority: String,
    /// For clients that know the registry by an address.
    storage: String,
    /// For clients that know it by name.
    storage_by_address: String,
}

impl Site {
    pub(crate) const IN_PROCESS_HOST: &'static str = "fakeregistry.azurecr.io";
    pub(crate) const IN_PROCESS_STORAGE: &'static str = "fakestorage.blob.core.windows.net";

    pub(crate) fn in_process() -> Self {
        let storage = format!("https://{}", Self::IN_PROCESS_STORAGE);
        let (authority, storage_by_address) = (Self::IN_PROCESS_HOST.to_owned(), storage.clone());
        Self { scheme: "https", authority, storage, storage_by_address }
    }

    /// On loopback the storage has another host than the registry, as the real one has: clients
    /// send a credential along to the same host whatever its port, which storage refuses. Its
    /// host is a name, because some clients refuse redirects to the address of another host.
    #[cfg(feature = "serve")]
    pub(crate) fn on_loopback(
        scheme: &'static str,
        registry: SocketAddr,
        storage: SocketAddr,
    ) -> Self {
        Self {
            scheme,
            authority: registry.to_string(),
            storage: format!("{scheme}://localhost:{}", storage.port()),
            storage_by_address: format!("{scheme}://{storage}"),
        }
    }

    /// Scheme and host of the storage, for a client that knows the registry as `authority`.
    pub(crate) fn storage(&self, authority: &str) -> &str {
        match authority.split(':').next() {
            Some("localhost") => &self.storage_by_address,
            _ => &self.storage,
        }
    }

    pub(crate) fn is_https(&self) -> bool {
        self.scheme == "https"
    }

    pub(crate) fn realm(&self, authority: &str) -> String {
        format!("{}://{authority}/oauth2/token", self.scheme)
    }

    /// The host the client used, if it is another name of this machine with the same port.
    pub(crate) fn authority<'a>(&'a self, headers: &'a HeaderMap) -> &'a str {
        let named = headers.get(header::HOST).and_then(|value| value.to_str().ok());
        let port = |text: &'a str| text.rsplit_once(':').map(|(_, port)| port);
        match named.and_then(|named| named.rsplit_once(':').map(|(host, p)| (named, host, p))) {
            Some((named, "localhost" | "127.0.0.1" | "[::1]", p))
                if port(&self.authority) == Some(p) =>
            {
                named
            }
            _ => &self.authority,
        }
    }
}
