//! What the README shows first, as a program of its own: it knows the name of a registry,
//! and all else it has from its environment, as on a machine behind a proxy.

// `SSL_CERT_FILE` names the trusted authorities on Linux only.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests may stop at the first surprise"
)]

use std::{
    net::SocketAddr,
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
};

use acr_auth::{AccessToken, AuthLayer, Credential, credential_fn};
use acr_core::{Digest, Pipeline, Result, Transport, http::Body};
use acr_examples::push_samples;
use acr_registry::RegistryClient;
use acr_testkit::{Anonymous, FakeIdentityService, FakeRegistry, Kind};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{ServerConfig, crypto::aws_lc_rs, pki_types::PrivateKeyDer};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

const REGISTRY: &str = "fakeregistry.azurecr.io";
const STORAGE: &str = "fakestorage.blob.core.windows.net";

/// Set in the program that a test starts: itself.
const FOLDER: &str = "ACR_TEST_FOLDER";

/// The program of the README, but for the name of its registry; and a blob to and fro.
async fn program(folder: &Path) -> Result<()> {
    let registry = acr_client::Registry::connect(REGISTRY)?;
    let repo = registry.repository("library/hello-world")?;
    let mut tags = repo.list_tags();
    while let Some(tag) = tags.try_next().await? {
        println!("{} {}", tag.name, tag.digest);
    }

    let layer = repo.upload("sample layer").await?;
    repo.download(&layer.digest).to_file(folder.join("layer.bin")).await?;
    Ok(())
}

/// The same for whoever has no identity.
async fn anonymous() -> Result<()> {
    let pipeline = acr_auth::connect_anonymous(REGISTRY)?;
    let repo = RegistryClient::new(pipeline).repository("library/hello-world")?;
    let mut tags = repo.list_tags();
    while let Some(tag) = tags.try_next().await? {
        println!("{} {}", tag.name, tag.digest);
    }
    Ok(())
}

/// A proxy behind which the registry and its storage stand, with their own certificates.
struct Network {
    address: SocketAddr,
    authority: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Network {
    async fn start(registry: &FakeRegistry) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let authority = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        let key = KeyPair::generate().unwrap();
        let names = vec![REGISTRY.to_owned(), STORAGE.to_owned()];
        let leaf = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (noted, behind) = (Arc::clone(&asked), registry.transport());
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let noted = Arc::clone(&noted);
                tokio::spawn(tunnel(socket, acceptor.clone(), behind.clone(), noted));
            }
        });
        Self { address, authority, asked }
    }
}

/// Opens a tunnel to a host, and is that host.
async fn tunnel(
    mut socket: TcpStream,
    acceptor: TlsAcceptor,
    behind: Transport,
    noted: Arc<Mutex<Vec<String>>>,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let target = head.split(' ').nth(1).unwrap().to_owned();
    noted.lock().unwrap().push(target.clone());
    let host = target.strip_suffix(":443").unwrap_or_default().to_owned();
    if !head.starts_with("CONNECT ") || ![REGISTRY, STORAGE].contains(&host.as_str()) {
        let _ = socket.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n").await;
        return;
    }
    socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    let stream = acceptor.accept(socket).await.unwrap();
    let service = service_fn(move |request: http::Request<Incoming>| {
        let mut request = request.map(Body::stream);
        let path = request.uri().path_and_query().unwrap().as_str();
        *request.uri_mut() = format!("https://{host}{path}").parse().unwrap();
        behind.clone().oneshot(request)
    });
    // Ends with the program, in whatever way that hangs up.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn seed(registry: &FakeRegistry) -> Digest {
    let token = registry.entra_token();
    let source = credential_fn(move |_| {
        let later = std::time::SystemTime::now() + std::time::Duration::from_secs(3600);
        let token = AccessToken::new(token.clone(), later);
        async move { Ok(token) }
    });
    let auth = AuthLayer::new(&registry.endpoint(), Credential::entra(source));
    let pipeline = Pipeline::builder(registry.endpoint()).transport(registry.transport());
    let pipeline = pipeline.layer_per_hop(auth).build().unwrap();
    let repo = RegistryClient::new(pipeline).repository("library/hello-world").unwrap();
    let digests = push_samples(&repo, &["v1"]).await.unwrap();
    registry.journal().clear();
    digests.first().unwrap().clone()
}

/// Runs a test of this file as a program with nothing in its environment but this.
async fn run(
    test: &'static str,
    network: &Network,
    folder: &Path,
    more: &[(&str, String)],
) -> String {
    let file = folder.join("authority.pem");
    std::fs::write(&file, &network.authority).unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "--nocapture", test]).env_clear();
    command.env(FOLDER, folder).env("SSL_CERT_FILE", file);
    command.env("HTTPS_PROXY", format!("http://{}", network.address));
    command.envs(more.iter().map(|(name, value)| (name, value)));
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let text = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
    assert!(output.status.success(), "{text}");
    text
}

#[tokio::test]
async fn g11_what_the_readme_shows_first_works_from_the_environment_to_the_file() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return program(Path::new(&folder)).await.unwrap();
    }
    let registry = FakeRegistry::new();
    let digest = seed(&registry).await;
    let network = Network::start(&registry).await;
    let identity = FakeIdentityService::app_service("header").token(registry.entra_token()).serve();
    let identity = identity.await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let name = "g11_what_the_readme_shows_first_works_from_the_environment_to_the_file";
    let variables =
        [("IDENTITY_ENDPOINT", identity.url()), ("IDENTITY_HEADER", "header".to_owned())];
    let text = run(name, &network, folder.path(), &variables).await;
    assert!(text.contains(&format!("v1 {digest}")), "{text}");
    assert_eq!(std::fs::read(folder.path().join("layer.bin")).unwrap(), b"sample layer");
    assert_eq!(identity.calls(), 1);
    let journal = registry.journal();
    assert_eq!((journal.count(Kind::Exchange), journal.count(Kind::Challenge)), (1, 0));
    let asked = network.asked.lock().unwrap();
    let (registry, storage) = (format!("{REGISTRY}:443"), format!("{STORAGE}:443"));
    assert!(asked.contains(&registry) && asked.contains(&storage), "{asked:?}");
    assert!(asked.iter().all(|host| [&registry, &storage].contains(&host)), "{asked:?}");
}

#[tokio::test]
async fn g11_whoever_is_nobody_connects_too() {
    if std::env::var_os(FOLDER).is_some() {
        return anonymous().await.unwrap();
    }
    let registry = FakeRegistry::builder().anonymous(Anonymous::Pull).build();
    let digest = seed(&registry).await;
    let network = Network::start(&registry).await;
    let folder = tempfile::tempdir().unwrap();
    let text = run("g11_whoever_is_nobody_connects_too", &network, folder.path(), &[]).await;
    assert!(text.contains(&format!("v1 {digest}")), "{text}");
    let journal = registry.journal();
    assert_eq!((journal.count(Kind::Exchange), journal.count(Kind::Challenge)), (0, 0));
}
