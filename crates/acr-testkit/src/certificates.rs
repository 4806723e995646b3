//! A certificate authority, made at start or kept in a folder, and a certificate for this machine.

mod kept;

use std::{fmt, io, sync::Arc};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};

use crate::fault::TlsFault;

/// The authority that clients are told to trust.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    pub(crate) fn new() -> io::Result<Self> {
        Self::make(AUTHORITY).map_err(io::Error::other)
    }

    fn make(name: &str) -> Result<Self, rcgen::Error> {
        let authority = authority(name)?;
        let key = KeyPair::generate()?;
        let pem = authority.self_signed(&key)?.pem();
        Ok(Self { issuer: Issuer::new(authority, key), pem })
    }

    /// Its certificate as PEM.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// A TLS configuration with a new certificate for this machine.
    pub(crate) fn config(&self) -> io::Result<Arc<ServerConfig>> {
        let names = ["localhost", "127.0.0.1", "::1"];
        self.configure(&leaf(&names).map_err(io::Error::other)?)
    }

    /// The same with one thing wrong.
    pub(crate) fn bad_config(&self, fault: TlsFault) -> io::Result<Arc<ServerConfig>> {
        match fault {
            TlsFault::UnknownAuthority => {
                Self::make("nobody's authority").map_err(io::Error::other)?.config()
            }
            TlsFault::WrongName => {
                self.configure(&leaf(&["elsewhere.example"]).map_err(io::Error::other)?)
            }
            TlsFault::Expired => {
                let mut leaf =
                    leaf(&["localhost", "127.0.0.1", "::1"]).map_err(io::Error::other)?;
                leaf.not_before = date_time_ymd(2020, 1, 1);
                leaf.not_after = date_time_ymd(2021, 1, 1);
                self.configure(&leaf)
            }
            TlsFault::Garbage | TlsFault::Stall => self.config(),
        }
    }

    fn configure(&self, leaf: &CertificateParams) -> io::Result<Arc<ServerConfig>> {
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let leaf = leaf.signed_by(&key, &self.issuer).map_err(io::Error::other)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)
            .map_err(io::Error::other)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authority(…)")
    }
}

fn leaf(names: &[&str]) -> Result<CertificateParams, rcgen::Error> {
    let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
    let mut leaf = CertificateParams::new(names)?;
    leaf.distinguished_name.push(DnType::CommonName, "acr-testkit");
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.use_authority_key_identifier_extension = true;
    Ok(leaf)
}

fn authority(name: &str) -> Result<CertificateParams, rcgen::Error> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.distinguished_name.push(DnType::CommonName, name);
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(authority)
}

const AUTHORITY: &str = "acr-testkit authority";
