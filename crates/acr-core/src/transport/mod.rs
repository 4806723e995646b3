//! What sends requests: any HTTP client, or the one on hyper-util and rustls.

#[cfg(feature = "_transport")]
mod address;
#[cfg(feature = "_transport")]
mod client;
#[cfg(feature = "_transport")]
mod connect_error;
#[cfg(feature = "_transport")]
mod connections;
#[cfg(feature = "_transport")]
mod connector;
mod erased;
#[cfg(feature = "_transport")]
mod no_proxy;
#[cfg(feature = "_transport")]
mod peer;
#[cfg(feature = "_transport")]
mod proxy;
#[cfg(feature = "_transport")]
mod stream;
#[cfg(feature = "_transport")]
mod tls;
#[cfg(feature = "_transport")]
mod tunnel;
#[cfg(feature = "_transport")]
mod watch;

pub use self::erased::Transport;
#[cfg(feature = "_transport")]
pub use self::{client::TransportBuilder, proxy::Proxy, tls::TlsConfig};
