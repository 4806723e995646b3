//! A client certificate is the registry's to see, and nobody else's: real handshakes with servers
//! that ask for one, in a process with an environment of its own, this test binary again.

#![cfg(all(feature = "entra", any(feature = "aws-lc-rs", feature = "ring")))]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests may stop at the first surprise"
)]

use std::{
    env,
    net::SocketAddr,
    process::Command,
    sync::{Arc, Mutex},
};

use acr_client::{Registry, RetryPolicy, TlsConfig, TransportBuilder, entra::Cloud};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{RootCertStore, ServerConfig, crypto::CryptoProvider, server::WebPkiClientVerifier};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

/// Set in the process that connects: how it is told of the certificate.
const CASE: &str = "ACR_TEST_CASE";

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: rcgen::Certificate,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    /// A certificate for a name, and its key.
    fn leaf(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }
}

/// A server that asks for a certificate and takes those without one, too.
struct Server {
    address: SocketAddr,
    /// Of each request its first line, and whether a certificate was shown.
    seen: Arc<Mutex<Vec<(String, bool)>>>,
}

impl Server {
    async fn start(authority: &Authority, name: &str, answer: &'static str) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(authority.certificate.der().clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
        let verifier = verifier.allow_unauthenticated().build().unwrap();
        let (certificate, key) = authority.leaf(name);
        let settings = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(
                vec![certificate.der().clone()],
                key.serialize_der().try_into().unwrap(),
            )
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(settings));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self { address: listener.local_addr().unwrap(), seen: Arc::default() };
        let seen = Arc::clone(&server.seen);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(socket).await else { continue };
                let is_shown = stream.get_ref().1.peer_certificates().is_some();
                let mut request = vec![0; 16_384];
                let read = stream.read(&mut request).await.unwrap_or(0);
                let request = String::from_utf8_lossy(&request[..read]).into_owned();
                let line = request.lines().next().unwrap_or_default().to_owned();
                seen.lock().unwrap().push((line, is_shown));
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        server
    }

    fn seen(&self) -> Vec<(String, bool)> {
        self.seen.lock().unwrap().clone()
    }
}

#[cfg(feature = "aws-lc-rs")]
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

#[cfg(not(feature = "aws-lc-rs"))]
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The registry's own answer does not matter: that it is asked with a token shows that the
/// authority gave one.
const REGISTRY: &str = "HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";

const AUTHORITY: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\
    content-length: 65\r\nconnection: close\r\n\r\n\
    {\"token_type\":\"Bearer\",\"expires_in\":3600,\"access_token\":\"canary\"}";

#[test]
fn only_the_registry_sees_the_certificate_and_not_the_authority() {
    for case in ["tls", "transport"] {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", "in_another_process", "--nocapture", "--test-threads=1"]);
        let identity = [
            ("AZURE_TENANT_ID", "contoso.example"),
            ("AZURE_CLIENT_ID", "client"),
            ("AZURE_CLIENT_SECRET", "secret"),
            ("AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential"),
        ];
        let output = command.env_clear().envs(identity).env(CASE, case).output().unwrap();
        assert!(output.status.success(), "{case}: {output:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("CONNECTED"), "{case}");
    }
}

/// Not a test of its own: what the other process does.
#[tokio::test]
async fn in_another_process() {
    let Ok(case) = env::var(CASE) else { return };
    let authority = Authority::new();
    let registry = Server::start(&authority, "localhost", REGISTRY).await;
    let login = Server::start(&authority, "127.0.0.1", AUTHORITY).await;
    let (certificate, key) = authority.leaf("client");
    let tls = TlsConfig::only_roots(authority.certificate.pem().as_bytes()).unwrap();
    let tls = tls.client_certificate(certificate.pem().as_bytes(), key.serialize_pem().as_bytes());
    let tls = tls.unwrap();
    let builder = Registry::builder(format!("localhost:{}", registry.address.port()))
        .trust_entra_for("localhost")
        .cloud(Cloud::custom(&format!("https://{}", login.address)).unwrap())
        .retry(RetryPolicy::default().retries(0));
    let builder = match case.as_str() {
        "tls" => builder.tls(tls).no_proxy(),
        _ => builder.transport(TransportBuilder::new().tls(tls).no_proxy().build().unwrap()),
    };
    let failed = builder.build().unwrap().list_repositories().try_next().await.unwrap_err();
    let asked = login.seen();
    assert!(!asked.is_empty(), "{failed}");
    for (line, is_shown) in asked {
        assert!(line.starts_with("POST /contoso.example/oauth2/"), "{line}");
        assert!(!is_shown, "the authority saw the certificate");
    }
    let asked = registry.seen();
    assert!(asked[0].0.starts_with("POST /oauth2/exchange"), "{asked:?}");
    assert!(asked.iter().all(|(_, is_shown)| *is_shown), "{asked:?}");
    println!("CONNECTED");
}
