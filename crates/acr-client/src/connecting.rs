//! The settings of a registry that are about connections.

use std::{path::PathBuf, time::Duration};

use acr_core::{Proxy, TlsConfig};

use crate::{builder::RegistryBuilder, connection::Roots};

/// Connections, where the transport is the default one.
impl RegistryBuilder {
    /// Trusts the authorities in this PEM file as well as those of the platform: a company's own,
    /// or that of a proxy that opens connections. Read by [`RegistryBuilder::build`]: a regular file of
    /// 1 MiB at most.
    ///
    /// ```no_run
    /// use acr_client::Registry;
    ///
    /// let registry = Registry::builder("myregistry.azurecr.io").ca_file("corp.pem").build()?;
    /// # drop(registry);
    /// # Ok::<(), acr_client::Error>(())
    /// ```
    pub fn ca_file(self, path: impl Into<PathBuf>) -> Self {
        self.connection(|connection| connection.roots.push(Roots::File(path.into())))
    }

    /// Trusts the authorities of this PEM text as well.
    ///
    /// ```
    /// use acr_client::Registry;
    ///
    /// let error = Registry::builder("myregistry.azurecr.io").ca_pem("no PEM").build().unwrap_err();
    /// assert!(error.to_string().contains("no root certificate"));
    /// ```
    pub fn ca_pem(self, pem: impl Into<Vec<u8>>) -> Self {
        self.connection(|connection| connection.roots.push(Roots::Pem(pem.into())))
    }

    /// Whom to trust and which certificate to show, in full; `ca_file` and `ca_pem` add to it. Only
    /// the registry is shown the certificate: no proxy, no storage, no authority of Entra.
    ///
    /// ```no_run
    /// use acr_client::{Registry, TlsConfig};
    ///
    /// let tls = TlsConfig::new()
    ///     .client_certificate(&std::fs::read("client.pem")?, &std::fs::read("client.key")?)?;
    /// let registry = Registry::builder("myregistry.azurecr.io").tls(tls).build()?;
    /// # drop(registry);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn tls(self, tls: TlsConfig) -> Self {
        self.connection(|connection| connection.tls = Some(tls))
    }

    /// Connects through this proxy, whatever the environment says.
    ///
    /// ```
    /// use acr_client::{Proxy, Registry};
    ///
    /// let registry = Registry::builder("myregistry.azurecr.io")
    ///     .proxy(Proxy::new("http://proxy.example:3128")?)
    ///     .build()?;
    /// # drop(registry);
    /// # Ok::<(), acr_client::Error>(())
    /// ```
    pub fn proxy(self, proxy: Proxy) -> Self {
        self.connection(|connection| connection.proxy = Some(proxy))
    }

    /// Connects directly, whatever the environment says.
    ///
    /// ```
    /// use acr_client::Registry;
    ///
    /// let registry = Registry::builder("myregistry.azurecr.io").no_proxy().build()?;
    /// # drop(registry);
    /// # Ok::<(), acr_client::Error>(())
    /// ```
    pub fn no_proxy(self) -> Self {
        self.proxy(Proxy::default())
    }

    /// How long each phase of connecting may take (default 10 s).
    ///
    /// ```
    /// use acr_client::Registry;
    /// use std::time::Duration;
    ///
    /// let registry = Registry::builder("myregistry.azurecr.io")
    ///     .connect_timeout(Duration::from_secs(3))
    ///     .build()?;
    /// # drop(registry);
    /// # Ok::<(), acr_client::Error>(())
    /// ```
    pub fn connect_timeout(self, limit: Duration) -> Self {
        self.connection(|connection| connection.connect_timeout = Some(limit))
    }

    /// Whether HTTP/2 is offered (default no).
    ///
    /// ```
    /// use acr_client::Registry;
    ///
    /// let registry = Registry::builder("myregistry.azurecr.io").http2(true).build()?;
    /// # drop(registry);
    /// # Ok::<(), acr_client::Error>(())
    /// ```
    #[cfg(feature = "http2")]
    #[cfg_attr(docsrs, doc(cfg(feature = "http2")))]
    pub fn http2(self, is_offered: bool) -> Self {
        self.connection(|connection| connection.offers_http2 = Some(is_offered))
    }
}
