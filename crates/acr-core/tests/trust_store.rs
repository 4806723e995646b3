//! When the platform's trust store is read: by the first connection with TLS, once.
// `SSL_CERT_FILE` names the trusted authorities on Linux only.
#![cfg(all(feature = "_transport", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests may stop at the first surprise")]

mod network;

use std::{env, path::Path, process::Command};

use acr_core::{
    Endpoint, Error, ErrorKind, Pipeline, Transport, TransportBuilder,
    http::{Effect, Operation, RequestBuilder},
};
use http::Method;

use self::network::{Authority, OK, Server};

async fn ask(transport: &Transport, endpoint: Endpoint) -> Result<u16, Error> {
    let pipeline = Pipeline::builder(endpoint).transport(transport.clone()).build()?;
    let request = RequestBuilder::new(Method::GET, pipeline.endpoint(), &["v2", ""])
        .operation(Operation::new("ping"))
        .effect(Effect::Read)
        .build()?;
    Ok(pipeline.send(request).await?.status().as_u16())
}

fn https(server: &Server) -> Endpoint {
    server.address.to_string().parse().unwrap()
}

/// Runs as a program of its own, with `SSL_CERT_FILE` at a file that is not there yet.
async fn program(store: &Path) {
    let authority = Authority::new();
    let plain = Server::plain(OK).await;
    let server = Server::tls(authority.leaf("127.0.0.1").acceptor(), OK).await;
    let transport = TransportBuilder::new().no_proxy().build().unwrap();

    let status = ask(&transport, Endpoint::insecure_loopback(plain.address).unwrap()).await;
    assert_eq!(status.unwrap(), 200, "nobody who speaks no TLS needs a trust store");

    for _ in 0..2 {
        let error = ask(&transport, https(&server)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let text = error.to_string();
        let words = format!("no connection to `{}`: the platform's trust store", server.address);
        assert!(text.contains(&words) && text.contains("`TlsConfig::only_roots`"), "{text}");
        assert!(error.is_unsent() && !error.is_retryable());
        assert_eq!((error.attempts(), server.connections()), (1, 0));
    }

    // The store is mounted now: the failure was not kept.
    std::fs::write(store, authority.pem()).unwrap();
    assert_eq!(ask(&transport, https(&server)).await.unwrap(), 200);
    assert_eq!(server.connections(), 1);

    // And it is not read again: neither by these connections nor by those of other hosts.
    std::fs::remove_file(store).unwrap();
    let other = Server::tls(authority.leaf("127.0.0.1").acceptor(), OK).await;
    for transport in [transport.without_client_certificate(), transport] {
        assert_eq!(ask(&transport, https(&other)).await.unwrap(), 200);
    }
    assert_eq!(other.connections(), 2);
}

#[tokio::test]
async fn the_trust_store_is_read_once_by_the_first_connection_with_tls() {
    if let Some(store) = env::var_os(STORE) {
        return program(Path::new(&store)).await;
    }
    let folder = env::temp_dir().join(format!("acr-trust-store-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let store = folder.join("authorities.pem");
    let mut command = Command::new(env::current_exe().unwrap());
    let name = "the_trust_store_is_read_once_by_the_first_connection_with_tls";
    command.args(["--exact", "--nocapture", name]).env_clear();
    command.env(STORE, &store).env("SSL_CERT_FILE", &store);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    let text = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

/// Tells the program that it is one, and where its store will be.
const STORE: &str = "ACR_TEST_TRUST_STORE";
