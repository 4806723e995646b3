//! Under which names the registry is known.

use http::{HeaderMap, header};

/// Under which addresses the registry and its storage are reached.
#[derive(Debug)]
pub(crate) struct Site {
    scheme: &'static str,
    authority: String,
    storage: String,
}

impl Site {
    pub(crate) const IN_PROCESS_HOST: &'static str = "fakeregistry.azurecr.io";
    pub(crate) const IN_PROCESS_STORAGE: &'static str = "fakestorage.blob.core.windows.net";

    pub(crate) fn in_process() -> Self {
        Self::new("https", Self::IN_PROCESS_HOST.into(), Self::IN_PROCESS_STORAGE)
    }

    pub(crate) fn new(scheme: &'static str, authority: String, storage: &str) -> Self {
        Self { scheme, authority, storage: format!("{scheme}://{storage}") }
    }

    /// Scheme and host of the storage.
    pub(crate) fn storage(&self) -> &str {
        &self.storage
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
