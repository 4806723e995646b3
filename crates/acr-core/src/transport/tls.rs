//! Whom to trust and who we are: the settings of TLS. rustls stands in no signature.

mod lazy;

use std::{fmt, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    client::Resumption,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    sign::{CertifiedKey, SingleCertAndKey},
};
use rustls_platform_verifier::Verifier;

use crate::http::error::{Error, ErrorKind, Result};

pub(crate) use self::lazy::{LazyTls, Pair, To};

/// Whom to trust, and the certificate to show.
///
/// By default the platform's trust store, and none. Verification cannot be switched off.
/// TLS 1.2 and 1.3.
///
/// What is given is checked when it is given. The platform's store is read once for each transport,
/// when its first connection with TLS needs it: without TLS, never.
///
/// ```no_run
/// use acr_core::{TlsConfig, TransportBuilder};
///
/// let tls = TlsConfig::new()
///     .add_roots(&std::fs::read("company-ca.pem")?)?
///     .client_certificate(&std::fs::read("client.pem")?, &std::fs::read("client.key")?)?;
/// let transport = TransportBuilder::new().tls(tls).build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct TlsConfig {
    base: Roots,
    extra: Vec<CertificateDer<'static>>,
    identity: Option<Arc<CertifiedKey>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Roots {
    #[default]
    Platform,
    #[cfg(feature = "webpki-roots")]
    Webpki,
    None,
}

/// One setting each for those we connect to.
struct ClientConfigs {
    /// The host that the caller named.
    endpoint: Arc<ClientConfig>,
    /// Any other host: sees no client certificate.
    foreign: Arc<ClientConfig>,
    /// A proxy that speaks TLS itself: no client certificate, no HTTP/2.
    proxy: Arc<ClientConfig>,
}

/// What the platform or the provider lacks.
#[derive(Clone, Debug)]
pub(crate) struct Unusable {
    pub(crate) text: &'static str,
    pub(crate) source: rustls::Error,
}

impl Unusable {
    fn ended() -> Self {
        let text = "the reading of the platform's trust store ended before its time";
        Self { text, source: rustls::Error::General("no settings of TLS were made".to_owned()) }
    }
}

impl TlsConfig {
    /// Trusts the platform's authorities, as they are when the first connection with TLS is made.
    ///
    /// ```
    /// use acr_core::TlsConfig;
    ///
    /// assert!(format!("{:?}", TlsConfig::new()).contains("Platform"));
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts these authorities (PEM, one or more certificates) and no others.
    ///
    /// ```
    /// use acr_core::TlsConfig;
    ///
    /// # let made = rcgen::generate_simple_self_signed(["ca.example".to_owned()]).unwrap();
    /// # let pem = made.cert.pem();
    /// let tls = TlsConfig::only_roots(pem.as_bytes())?;
    /// assert!(TlsConfig::only_roots(b"no certificate").is_err());
    /// # let _ = tls;
    /// # Ok::<_, acr_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] when the text holds no certificate, or one that cannot
    /// be an authority's.
    pub fn only_roots(pem: &[u8]) -> Result<Self> {
        let config = Self { base: Roots::None, ..Self::default() };
        config.add_roots(pem)
    }

    /// Trusts nobody, so that every connection with TLS fails. For services of this machine
    /// that are reached without TLS: no trust store is needed then.
    ///
    /// ```
    /// use acr_core::{TlsConfig, TransportBuilder};
    ///
    /// assert!(TransportBuilder::new().tls(TlsConfig::no_roots()).build().is_ok());
    /// ```
    pub fn no_roots() -> Self {
        Self { base: Roots::None, ..Self::default() }
    }

    /// Trusts Mozilla's authorities as they were when this library was built, for machines
    /// without a trust store such as minimal containers.
    ///
    /// ```
    /// use acr_core::{TlsConfig, TransportBuilder};
    ///
    /// assert!(TransportBuilder::new().tls(TlsConfig::webpki_roots()).build().is_ok());
    /// ```
    #[cfg(feature = "webpki-roots")]
    #[cfg_attr(docsrs, doc(cfg(feature = "webpki-roots")))]
    pub fn webpki_roots() -> Self {
        Self { base: Roots::Webpki, ..Self::default() }
    }

    /// Trusts these authorities (PEM, one or more certificates) as well.
    ///
    /// ```
    /// use acr_core::TlsConfig;
    ///
    /// # let made = rcgen::generate_simple_self_signed(["ca.example".to_owned()]).unwrap();
    /// # let pem = made.cert.pem();
    /// // The platform's authorities, and that of the company.
    /// let tls = TlsConfig::new().add_roots(pem.as_bytes())?;
    /// # let _ = tls;
    /// # Ok::<_, acr_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`TlsConfig::only_roots`].
    pub fn add_roots(mut self, pem: &[u8]) -> Result<Self> {
        let roots = certificates(pem, "no root certificate in the PEM text")?;
        for root in &roots {
            RootCertStore::empty()
                .add(root.clone())
                .map_err(|e| invalid(MALFORMED_ROOT).with_source(e))?;
        }
        self.extra.extend(roots);
        Ok(self)
    }

    /// Shows this certificate to a server that asks for one (mutual TLS): the chain as PEM,
    /// the client's own certificate first, and its private key as PEM (PKCS #8, PKCS #1 or
    /// SEC 1, not encrypted).
    ///
    /// Only the registry sees it: neither a proxy, nor a host that a redirect names, nor the
    /// authority that gives Entra tokens. (What you send through the transport yourself counts as
    /// sent to the registry: see [`Transport::without_client_certificate`](crate::Transport).)
    ///
    /// ```
    /// use acr_core::TlsConfig;
    ///
    /// # let made = rcgen::generate_simple_self_signed(["ca.example".to_owned()]).unwrap();
    /// # let pem = made.cert.pem();
    /// # let key = made.signing_key.serialize_pem();
    /// let tls = TlsConfig::new().client_certificate(pem.as_bytes(), key.as_bytes())?;
    /// assert!(!format!("{tls:?}").contains("PRIVATE KEY"));
    /// # Ok::<_, acr_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] when the texts hold no certificate or no key, when the key
    /// has an unknown form, or when it is another certificate's key.
    pub fn client_certificate(mut self, chain_pem: &[u8], key_pem: &[u8]) -> Result<Self> {
        let chain = certificates(chain_pem, "no client certificate in the PEM text")?;
        // The source is left out: it may quote the text.
        let key = PrivateKeyDer::from_pem_slice(key_pem)
            .map_err(|_| invalid("no private key in the PEM text"))?;
        let identity = CertifiedKey::from_der(chain, key, &provider()).map_err(|e| {
            invalid("the client certificate and its key cannot be used").with_source(e)
        })?;
        self.identity = Some(Arc::new(identity));
        Ok(self)
    }

    fn client_configs(&self, offers_http2: bool) -> Result<ClientConfigs, Unusable> {
        let proxy = self.anonymous()?;
        let mut foreign = proxy.clone();
        if offers_http2 {
            foreign.alpn_protocols.insert(0, b"h2".to_vec());
        }
        let mut endpoint = foreign.clone();
        if let Some(identity) = &self.identity {
            let identity = SingleCertAndKey::from(Arc::clone(identity));
            endpoint.client_auth_cert_resolver = Arc::new(identity);
            // A session in which the certificate was shown must not be resumed elsewhere.
            endpoint.resumption = Resumption::default();
        }
        Ok(ClientConfigs {
            endpoint: Arc::new(endpoint),
            foreign: Arc::new(foreign),
            proxy: Arc::new(proxy),
        })
    }

    /// HTTP/1.1 and no client certificate.
    fn anonymous(&self) -> Result<ClientConfig, Unusable> {
        let provider = Arc::new(provider());
        // The provider is passed explicitly: a process-wide default would be global state.
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(unusable("unusable TLS setting: protocol versions"))?;
        let builder = match self.base {
            Roots::Platform => {
                let verifier = Verifier::new_with_extra_roots(self.extra.iter().cloned(), provider)
                    .map_err(unusable(NO_TRUST_STORE))?;
                // rustls' name for every verifier that is not its own; this one is by its
                // authors and asks the platform.
                builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
            }
            _ => builder.with_root_certificates(self.store()?),
        };
        let mut config = builder.with_no_client_auth();
        config.alpn_protocols.push(b"http/1.1".to_vec());
        Ok(config)
    }

    fn store(&self) -> Result<RootCertStore, Unusable> {
        let mut store = RootCertStore::empty();
        #[cfg(feature = "webpki-roots")]
        if self.base == Roots::Webpki {
            store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        for root in &self.extra {
            store.add(root.clone()).map_err(unusable(MALFORMED_ROOT))?;
        }
        Ok(store)
    }
}

impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConfig")
            .field("roots", &self.base)
            .field("further_roots", &self.extra.len())
            .field("client_certificate", &self.identity.is_some())
            .finish()
    }
}

fn certificates(pem: &[u8], none: &str) -> Result<Vec<CertificateDer<'static>>> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|e| invalid(none).with_source(e))?;
    if found.is_empty() { Err(invalid(none)) } else { Ok(found) }
}

fn invalid(text: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, text)
}

fn unusable(text: &'static str) -> impl FnOnce(rustls::Error) -> Unusable {
    move |source| Unusable { text, source }
}

#[cfg(feature = "aws-lc-rs")]
fn provider() -> CryptoProvider {
    rustls::crypto::aws_lc_rs::default_provider()
}

#[cfg(all(feature = "ring", not(feature = "aws-lc-rs")))]
fn provider() -> CryptoProvider {
    rustls::crypto::ring::default_provider()
}

#[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
compile_error!("the transport needs a provider: enable `aws-lc-rs` or `ring`");

const MALFORMED_ROOT: &str = "a root certificate is malformed";

/// Minimal containers have none.
const NO_TRUST_STORE: &str = "the platform's trust store cannot be used; give certificates with \
    `TlsConfig::only_roots`, or enable the feature `webpki-roots` and use `TlsConfig::webpki_roots`";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_endpoint_sees_the_client_certificate() {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["client".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        let settings = TlsConfig::only_roots(certificate.as_bytes())
            .unwrap()
            .client_certificate(certificate.as_bytes(), key.serialize_pem().as_bytes())
            .unwrap();
        let config = settings.client_configs(false).unwrap();
        assert!(config.endpoint.client_auth_cert_resolver.has_certs());
        assert!(!config.foreign.client_auth_cert_resolver.has_certs());
        assert!(!config.proxy.client_auth_cert_resolver.has_certs());
        assert_eq!(config.proxy.alpn_protocols, [b"http/1.1"]);
        assert_eq!(config.endpoint.alpn_protocols, [b"http/1.1"]);

        // Never to a proxy: the tunnel is HTTP/1.1.
        let config = settings.client_configs(true).unwrap();
        for offered in [&config.endpoint, &config.foreign] {
            assert_eq!(offered.alpn_protocols, [&b"h2"[..], b"http/1.1"]);
        }
        assert_eq!(config.proxy.alpn_protocols, [b"http/1.1"]);
    }
}
