//! The certificate authority of `--cert-dir`.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::support::{Emulator, refused};

/// The certificate that the emulator shows to a client that trusts only this authority.
async fn shown(emulator: &Emulator, authority: &str) -> Result<Vec<u8>, std::io::Error> {
    let endpoint = emulator.ready["endpoint"].as_str().unwrap();
    let address: SocketAddr = endpoint.strip_prefix("https://").unwrap().parse().unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from(address.ip().to_string()).unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    Ok(stream.get_ref().1.peer_certificates().unwrap()[0].to_vec())
}

async fn on(folder: &Path) -> Emulator {
    let emulator = Emulator::start(&["--tls", "--cert-dir", folder.to_str().unwrap()]).await;
    assert_eq!(emulator.ready["ca"], folder.join("ca.pem").to_str().unwrap());
    emulator
}

#[tokio::test]
async fn e7_the_authority_of_a_folder_is_kept() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path().join("made");
    let emulator = on(&folder).await;
    let authority = fs::read_to_string(folder.join("ca.pem")).unwrap();
    let first = shown(&emulator, &authority).await.unwrap();
    // Also after a kill.
    emulator.kill().await;
    let emulator = on(&folder).await;
    assert_eq!(fs::read_to_string(folder.join("ca.pem")).unwrap(), authority);
    let second = shown(&emulator, &authority).await.unwrap();
    assert_ne!(first, second, "the server's own certificate is a new one");
    let mode = |name| fs::metadata(folder.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("ca-key.pem"), 0o600);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 2, "nothing else is left there");
    // A kill between the two files leaves a key that nobody trusts yet.
    emulator.stop().await;
    fs::remove_file(folder.join("ca.pem")).unwrap();
    let emulator = on(&folder).await;
    let authority = fs::read_to_string(folder.join("ca.pem")).unwrap();
    shown(&emulator, &authority).await.unwrap();
    emulator.stop().await;
}

#[tokio::test]
async fn e7_two_that_start_at_once_share_one_authority() {
    let folder = TempDir::new().unwrap();
    let (first, second) = tokio::join!(on(folder.path()), on(folder.path()));
    let authority = fs::read_to_string(folder.path().join("ca.pem")).unwrap();
    for emulator in [first, second] {
        shown(&emulator, &authority).await.unwrap();
    }
}

/// A certificate as the emulator makes it, but for what is changed.
fn certificate(key: &KeyPair, change: impl FnOnce(&mut CertificateParams)) -> String {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, "acr-testkit authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    change(&mut params);
    params.self_signed(key).unwrap().pem()
}

#[tokio::test]
async fn e7_an_authority_that_cannot_be_used_is_named_and_left_alone() {
    let folder = TempDir::new().unwrap();
    on(folder.path()).await.stop().await;
    let path = |name| folder.path().join(name);
    let read = |name| fs::read_to_string(path(name)).unwrap();
    let (good, good_key) = (read("ca.pem"), read("ca-key.pem"));
    let (own, other) = (KeyPair::from_pem(&good_key).unwrap(), KeyPair::generate().unwrap());
    let year = |from, to| {
        move |params: &mut CertificateParams| {
            params.not_before = date_time_ymd(from, 1, 1);
            params.not_after = date_time_ymd(to, 1, 1);
        }
    };
    let now = date_time_ymd(1970, 1, 1) + UNIX_EPOCH.elapsed().unwrap();
    let soon = |params: &mut CertificateParams| {
        params.not_after = now + Duration::from_secs(3 * 24 * 3600);
    };
    let cases = [
        ("ca-key.pem", "garbage".to_owned(), "ca-key.pem"),
        ("ca-key.pem", other.serialize_pem(), "is not the certificate of the key"),
        ("ca.pem", "garbage".to_owned(), "ca.pem"),
        ("ca.pem", certificate(&other, |_| {}), "is not the certificate of the key"),
        ("ca.pem", certificate(&own, year(2020, 2021)), "expires within a week"),
        ("ca.pem", certificate(&own, soon), "expires within a week"),
    ];
    for (name, text, told) in cases {
        fs::write(path("ca.pem"), &good).unwrap();
        fs::write(path("ca-key.pem"), &good_key).unwrap();
        fs::write(path(name), &text).unwrap();
        let error = refused(&["--tls", "--cert-dir", folder.path().to_str().unwrap()]).await;
        assert!(error.contains(told) && error.contains(name), "{error}");
        assert!(error.contains("remove") && !error.contains("PRIVATE"), "{error}");
        assert_eq!(read(name), text, "left alone");
    }
    // A certificate that clients may trust, and no key: a new one would be another authority.
    fs::write(path("ca.pem"), &good).unwrap();
    fs::remove_file(path("ca-key.pem")).unwrap();
    let error = refused(&["--tls", "--cert-dir", folder.path().to_str().unwrap()]).await;
    assert!(error.contains("without its key") && error.contains("ca-key.pem"), "{error}");
    // Something that cannot be read.
    fs::create_dir(path("ca-key.pem")).unwrap();
    let error = refused(&["--tls", "--cert-dir", folder.path().to_str().unwrap()]).await;
    assert!(error.contains("ca-key.pem") && !error.contains("put back"), "{error}");
    fs::remove_dir(path("ca-key.pem")).unwrap();
    fs::write(path("ca-key.pem"), &good_key).unwrap();
    shown(&on(folder.path()).await, &good).await.unwrap();
}
