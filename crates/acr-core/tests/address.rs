//! Where a redirect may lead: the address guard, through the whole pipeline.

#![cfg(feature = "_transport")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests may stop at the first surprise"
)]

mod network;

use std::{net::SocketAddr, time::Duration};

use acr_core::{
    Endpoint, Error, ErrorKind, Pipeline, Proxy, TlsConfig, TransportBuilder,
    http::{Effect, Operation, RequestBuilder, Response},
    layer::RetryPolicy,
};
use http::Method;
use tower::ServiceExt as _;

use self::network::{Authority, OK, Server, Tunnels};

fn redirect_to(target: &str) -> String {
    format!("HTTP/1.1 307 Temporary Redirect\r\nlocation: {target}\r\n")
}

fn transport(authority: &Authority) -> TransportBuilder {
    TransportBuilder::new()
        .no_proxy()
        .tls(TlsConfig::only_roots(&authority.pem()).unwrap())
        .connect_timeout(Duration::from_secs(5))
}

async fn read_blob(endpoint: Endpoint, transport: TransportBuilder) -> Result<Response, Error> {
    let pipeline = Pipeline::builder(endpoint)
        .transport(transport.build().unwrap())
        .retry(RetryPolicy::default().retries(0))
        .build()
        .unwrap();
    let request = RequestBuilder::new(Method::GET, pipeline.endpoint(), &["v2", "a", "blobs", "b"])
        .operation(Operation::new("get_blob"))
        .effect(Effect::Read)
        .follow_redirects()
        .build()
        .unwrap();
    pipeline.send(request).await
}

/// A registry with a public name, behind a proxy that resolves it, that redirects to the target.
/// Names and addresses that the guard lets through end at `storage`.
async fn read_from_public_registry(
    target: &str,
    storage_host: &str,
    direct: &str,
) -> (Result<Response, Error>, Server, Server) {
    let authority = Authority::new();
    let head: &'static str = redirect_to(target).leak();
    let registry = Server::tls(authority.leaf("registry.invalid").acceptor(), head).await;
    let storage = Server::tls(authority.leaf(storage_host).acceptor(), OK).await;
    let everywhere = |host: &str| (format!("{host}:443"), storage.address);
    let (name, to) = everywhere(storage_host);
    let routes: [(&str, SocketAddr); 2] = [("registry.invalid:443", registry.address), (&name, to)];
    let tunnels = Tunnels::to(&routes).start().await;
    let proxy = Proxy::new(&tunnels.address.to_string()).unwrap().no_proxy(direct);
    let endpoint: Endpoint = "registry.invalid".parse().unwrap();
    let result = read_blob(endpoint, transport(&authority).proxy(proxy)).await;
    assert_eq!(registry.heads().len(), 1);
    (result, storage, tunnels)
}

#[tokio::test]
async fn a_registry_cannot_send_us_to_ourselves_or_to_the_clouds_host() {
    for target in [
        "https://127.0.0.1/x",
        "https://127.9.9.9:8443/x",
        "https://[::1]/x",
        "https://[::ffff:127.0.0.1]/x",
        "https://localhost/x",
        "https://a.localhost./x",
        "https://169.254.169.254/metadata/instance",
        "https://[::ffff:169.254.169.254]/metadata",
        "https://168.63.129.16/machine",
        "https://169.254.1.1/x",
        "https://[fe80::1]/x",
        "https://224.0.0.1/x",
        "https://[ff02::1]/x",
        "https://0.0.0.0/x",
        "https://[::]/x",
        "https://[2002:7f00:1::]/x",
        "https://[2002:a9fe:a9fe::]/x",
        "https://[64:ff9b::127.0.0.1]/x",
        "https://[64:ff9b:1::169.254.169.254]/x",
        "https://[::ffff:0:127.0.0.1]/x",
        "https://[::127.0.0.1]/x",
        "https://[2001:0:7f00:1::1]/x",
        "https://[fd00::5efe:127.0.0.1]/x",
    ] {
        for direct in ["", ".localhost, localhost, 0.0.0.0/1, 128.0.0.0/1, ::/1, 8000::/1"] {
            let (result, _, tunnels) = read_from_public_registry(target, "unused", direct).await;
            let error = result.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Policy, "{target}: {error}");
            assert!(!error.is_retryable());
            assert!(error.to_string().contains("redirect to a"), "{error}");
            assert_eq!(tunnels.connections(), 1, "{target}: something was dialled");
        }
    }
}

/// A proxy or a resolver reads these as addresses, so neither is asked.
#[tokio::test]
async fn d3_a_host_or_a_port_in_an_odd_form_is_never_asked_for() {
    for authority in [
        "127.1",
        "0x7f.0.0.1",
        "0x7f000001",
        "2130706433",
        "0177.0.0.1",
        "127.0.0.1.",
        "localhost..",
        "storage.invalid:99999",
        "storage.invalid:0",
        "storage.invalid:",
    ] {
        let target = format!("https://{authority}/x");
        for direct in ["", authority] {
            let (result, _, tunnels) =
                read_from_public_registry(&target, "storage.invalid", direct).await;
            let error = result.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Policy, "{target}: {error}");
            assert!(!error.is_retryable());
            assert_eq!(tunnels.connections(), 1, "{target}");
        }
    }
}

/// The transport judges by itself as well, whoever made the request.
#[tokio::test]
async fn d3_a_port_that_is_none_is_not_dialled_at_the_default() {
    let transport = transport(&Authority::new()).no_proxy().build().unwrap();
    for uri in ["https://127.0.0.1:99999/", "http://127.0.0.1:99999/", "https://127.0.0.1:0/"] {
        let error = transport.clone().oneshot(network::get(uri)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connect);
        assert!(error.to_string().contains("no usable host or port"), "{error}");
        assert!(!error.is_retryable());
    }
}

#[tokio::test]
async fn private_networks_stay_reachable() {
    for host in ["10.1.2.3", "192.168.1.4", "172.16.0.9", "storage.invalid"] {
        let target = format!("https://{host}/x");
        let (result, storage, _) = read_from_public_registry(&target, host, "").await;
        assert_eq!(result.unwrap().status(), 200, "{host}");
        assert_eq!(storage.heads().len(), 1);
    }
}

#[tokio::test]
async fn an_emulators_registry_may_name_its_storage() {
    let authority = Authority::new();
    let storage = Server::plain(OK).await;
    let registry = Server::plain(redirect_to(&storage.http())).await;
    let endpoint = Endpoint::insecure_loopback(registry.address).unwrap();
    let response = read_blob(endpoint, transport(&authority)).await.unwrap();
    assert_eq!(response.status(), 200);

    let storage = Server::tls(authority.leaf("127.0.0.1").acceptor(), OK).await;
    let head: &'static str = redirect_to(&storage.https()).leak();
    let registry = Server::tls(authority.leaf("127.0.0.1").acceptor(), head).await;
    let endpoint: Endpoint = registry.address.to_string().parse().unwrap();
    let response = read_blob(endpoint, transport(&authority)).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(storage.heads().len(), 1);
}

#[tokio::test]
async fn an_emulators_registry_may_not_name_the_clouds_host() {
    for target in ["https://169.254.169.254/x", "https://168.63.129.16/x", "https://0.0.0.0/x"] {
        let registry = Server::plain(redirect_to(target)).await;
        let endpoint = Endpoint::insecure_loopback(registry.address).unwrap();
        let result = read_blob(endpoint, transport(&Authority::new())).await;
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Policy, "{target}");
    }
}

/// The class is that of the configured registry, not of the hop before.
#[tokio::test]
async fn a_chain_of_redirects_does_not_open_the_guard() {
    let authority = Authority::new();
    let second: &'static str = redirect_to("https://127.0.0.1/x").leak();
    let storage = Server::tls(authority.leaf("10.0.0.9").acceptor(), second).await;
    let first: &'static str = redirect_to("https://10.0.0.9/y").leak();
    let registry = Server::tls(authority.leaf("registry.invalid").acceptor(), first).await;
    let tunnels = Tunnels::to(&[
        ("registry.invalid:443", registry.address),
        ("10.0.0.9:443", storage.address),
    ])
    .start()
    .await;
    let proxy = Proxy::new(&tunnels.address.to_string()).unwrap();
    let endpoint: Endpoint = "registry.invalid".parse().unwrap();
    let error = read_blob(endpoint, transport(&authority).proxy(proxy)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Policy, "{error}");
    assert_eq!(storage.heads().len(), 1);
}

/// What the caller names is the caller's business.
#[tokio::test]
async fn a_configured_endpoint_may_be_anywhere() {
    let authority = Authority::new();
    let registry = Server::tls(authority.leaf("localhost").acceptor(), OK).await;
    let endpoint = format!("localhost:{}", registry.address.port());
    let response = read_blob(endpoint.parse().unwrap(), transport(&authority)).await.unwrap();
    assert_eq!(response.status(), 200);
}
