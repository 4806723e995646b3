//! A certificate authority that lives as long as one test.

use std::{fmt, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};

use crate::error::{Attempt as _, Result};

/// An authority with a key of its own; signs certificates for loopback and for token signers.
pub struct CertificateAuthority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its private key (PKCS #8).
pub(crate) struct Leaf {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) key: Vec<u8>,
}

impl CertificateAuthority {
    /// Makes an authority.
    ///
    /// # Errors
    ///
    /// When the cryptography library cannot make a key or sign.
    pub fn new(name: &str) -> Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().attempt(|| "make the authority's key")?;
        let pem = params.self_signed(&key).attempt(|| "sign the authority")?.pem();
        Ok(Self { issuer: Issuer::new(params, key), pem })
    }

    /// The authority's certificate as PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for these names, with an ECDSA P-256 key.
    pub(crate) fn issue(&self, names: &[&str]) -> Result<Leaf> {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let params = CertificateParams::new(names).attempt(|| "name a certificate")?;
        let key = KeyPair::generate().attempt(|| "make a certificate's key")?;
        let certificate =
            params.signed_by(&key, &self.issuer).attempt(|| "sign a certificate")?.der().clone();
        Ok(Leaf { certificate, key: key.serialize_der() })
    }

    /// The TLS settings of a server on loopback.
    pub(crate) fn server_config(&self) -> Result<ServerConfig> {
        let leaf = self.issue(&["localhost", "127.0.0.1"])?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(leaf.key));
        ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .attempt(|| "choose the TLS versions")?
            .with_no_client_auth()
            .with_single_cert(vec![leaf.certificate], key)
            .attempt(|| "use the server's certificate")
    }
}

impl fmt::Debug for CertificateAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateAuthority").finish_non_exhaustive()
    }
}
