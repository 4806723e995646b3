//! How the default transport connects: certificates, proxy, time to connect.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
    time::Duration,
};

use acr_core::{Error, ErrorKind, Proxy, Result, TlsConfig, Transport, TransportBuilder};

/// The settings, as they were given.
#[derive(Debug, Default)]
pub(crate) struct Connection {
    pub(crate) tls: Option<TlsConfig>,
    pub(crate) roots: Vec<Roots>,
    pub(crate) proxy: Option<Proxy>,
    pub(crate) connect_timeout: Option<Duration>,
    #[cfg(feature = "http2")]
    pub(crate) offers_http2: Option<bool>,
}

/// Authorities to trust beside those of the platform.
#[derive(Debug)]
pub(crate) enum Roots {
    File(PathBuf),
    Pem(Vec<u8>),
}

impl Connection {
    pub(crate) fn transport(self) -> Result<Transport> {
        let mut tls = self.tls.unwrap_or_default();
        for roots in self.roots {
            tls = roots.add_to(tls)?;
        }
        let mut builder = TransportBuilder::new().tls(tls);
        if let Some(proxy) = self.proxy {
            builder = builder.proxy(proxy);
        }
        if let Some(limit) = self.connect_timeout {
            builder = builder.connect_timeout(limit);
        }
        #[cfg(feature = "http2")]
        if let Some(is_offered) = self.offers_http2 {
            builder = builder.http2(is_offered);
        }
        builder.build()
    }

    /// Refuses what would do nothing beside a transport.
    pub(crate) fn refuse_settings(&self) -> Result<()> {
        let settings = [
            ("tls", self.tls.is_some()),
            ("ca_file` or `ca_pem", !self.roots.is_empty()),
            ("proxy` or `no_proxy", self.proxy.is_some()),
            ("connect_timeout", self.connect_timeout.is_some()),
            #[cfg(feature = "http2")]
            ("http2", self.offers_http2.is_some()),
        ];
        match settings.into_iter().find(|(_, is_set)| *is_set) {
            None => Ok(()),
            Some((setting, _)) => {
                let text = format!("`{setting}` does nothing beside `transport`: set it there");
                Err(Error::new(ErrorKind::InvalidInput, text))
            }
        }
    }
}

impl Roots {
    fn add_to(&self, tls: TlsConfig) -> Result<TlsConfig> {
        let path = match self {
            Self::Pem(pem) => return tls.add_roots(pem),
            Self::File(path) => path,
        };
        let name = path.display();
        let pem = contents(path).map_err(|why| {
            let text = match &why {
                Unread::Failed(error) => error.kind().to_string(),
                Unread::Odd(why) => (*why).to_owned(),
            };
            let text = format!(
                "cannot read the certificates in `{name}` ({text}): name a readable PEM file"
            );
            let error = Error::new(ErrorKind::InvalidInput, text);
            match why {
                Unread::Failed(source) => error.with_source(source),
                Unread::Odd(_) => error,
            }
        })?;
        tls.add_roots(&pem).map_err(|error| {
            let found =
                if pem.is_empty() { "is empty" } else { "holds no certificate in PEM form" };
            let text = format!(
                "`{name}` {found}: it must have one `-----BEGIN CERTIFICATE-----` or more \
                 (`openssl x509 -inform der` makes PEM of DER)"
            );
            Error::new(ErrorKind::InvalidInput, text).with_source(error)
        })
    }
}

/// Why a file was not read.
enum Unread {
    Failed(io::Error),
    Odd(&'static str),
}

impl From<io::Error> for Unread {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

/// A small file. A pipe or a device could block for ever, or have no end.
fn contents(path: &Path) -> Result<Vec<u8>, Unread> {
    let data = fs::metadata(path)?;
    if !data.is_file() {
        return Err(Unread::Odd("no regular file"));
    }
    let mut pem = Vec::new();
    File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut pem)?;
    if pem.len() as u64 > MAX_FILE {
        return Err(Unread::Odd("larger than 1 MiB"));
    }
    Ok(pem)
}

/// Four times the authorities that a browser trusts.
const MAX_FILE: u64 = 1024 * 1024;
