//! The proxy of `embed_in_service`, asked by hyper alone.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop at the first surprise"
)]

#[path = "../embed_in_service.rs"]
#[allow(dead_code, unreachable_pub, reason = "its main function is not called here")]
mod embed_in_service;
mod support;

use std::{
    net::{Ipv4Addr, SocketAddr},
    process::Command,
};

use acr_core::Pipeline;
use acr_examples::{Registry, Wire, connect};
use acr_testkit::{FakeRegistry, Fault, Operation};
use embed_in_service::{Artifact, fetch, serve};
use http::{Method, StatusCode};
use support::{Emulator, Proxy};
use tokio::net::TcpListener;

/// An emulator with an artifact, and a proxy in front of it.
struct Setup {
    fake: FakeRegistry,
    artifact: Artifact,
    address: SocketAddr,
    _registry: Registry,
}

impl Setup {
    async fn start() -> Self {
        let fake = FakeRegistry::new();
        let registry = Registry::emulator(&fake).await.unwrap();
        let pipeline: Pipeline = connect(&registry, &Wire::default()).unwrap();
        let artifact = Artifact::push(&pipeline).await.unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, pipeline));
        fake.journal().clear();
        Self { fake, artifact, address, _registry: registry }
    }

    async fn ask(&self, method: Method, path: &str) -> (StatusCode, http::HeaderMap, String) {
        let (head, body) = fetch(self.address, method, path).await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        (head.status, head.headers, body)
    }

    fn manifest(&self) -> String {
        format!("/v2/embed/artifact/manifests/{}", self.artifact.manifest)
    }

    fn blob(&self) -> String {
        format!("/v2/embed/artifact/blobs/{}", self.artifact.layer)
    }
}

#[tokio::test]
async fn what_a_digest_names_is_fetched_once() {
    let setup = Setup::start().await;
    for path in [setup.manifest(), setup.blob()] {
        let (status, head, body) = setup.ask(Method::GET, &path).await;
        assert_eq!(status, StatusCode::OK);
        let asked = setup.fake.journal().entries().len();
        let (_, again, same) = setup.ask(Method::GET, &path).await;
        assert_eq!(same, body);
        let (_, only_head, nothing) = setup.ask(Method::HEAD, &path).await;
        assert!(nothing.is_empty());
        for name in ["content-length", "content-type", "docker-content-digest"] {
            assert!(head.contains_key(name), "{name}");
            assert_eq!(head.get(name), again.get(name));
            assert_eq!(head.get(name), only_head.get(name));
        }
        assert_eq!(head["content-length"], body.len().to_string());
        assert_eq!(setup.fake.journal().entries().len(), asked);
    }
}

#[tokio::test]
async fn tags_and_the_ping_are_asked_for_each_time_and_the_head_is_a_head() {
    let setup = Setup::start().await;
    for (method, path, operation) in [
        (Method::GET, "/v2/", Operation::Ping),
        (Method::GET, "/v2/embed/artifact/tags/list?n=5", Operation::ListTagNames),
        (Method::GET, "/v2/embed/artifact/manifests/v1", Operation::GetManifest),
        (Method::HEAD, "/v2/embed/artifact/manifests/v1", Operation::Resolve),
    ] {
        for count in 1..=2 {
            let (status, _, body) = setup.ask(method.clone(), path).await;
            assert_eq!(status, StatusCode::OK, "{path}: {body}");
            assert_eq!(setup.fake.journal().count_of(operation), count, "{path}");
        }
    }
    let (_, _, tags) = setup.ask(Method::GET, "/v2/embed/artifact/tags/list").await;
    assert!(tags.contains(r#""v1""#), "{tags}");
}

#[tokio::test]
async fn everything_but_reading_is_refused_without_asking_the_registry() {
    let setup = Setup::start().await;
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        let (status, head, body) = setup.ask(method, &setup.manifest()).await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(head["allow"], "GET, HEAD");
        assert!(body.starts_with(r#"{"errors":[{"code":"UNSUPPORTED""#), "{body}");
    }
    for (path, expected) in [
        ("/", StatusCode::NOT_FOUND),
        ("/oauth2/token", StatusCode::NOT_FOUND),
        ("/v2/_catalog", StatusCode::NOT_FOUND),
        ("/v2/../acr/v1/_catalog/tags/list", StatusCode::BAD_REQUEST),
        ("/v2/a%2F..%2Fb/manifests/v1", StatusCode::BAD_REQUEST),
        ("/v2/a/blobs/sha256:12", StatusCode::BAD_REQUEST),
        ("/v2/UPPER/tags/list", StatusCode::BAD_REQUEST),
    ] {
        let (status, _, body) = setup.ask(Method::GET, path).await;
        assert_eq!(status, expected, "{path}");
        assert!(body.starts_with(r#"{"errors":[{"code":""#), "{body}");
    }
    assert_eq!(setup.fake.journal().entries().len(), 0);
}

#[tokio::test]
async fn errors_keep_the_code_of_the_registry_and_what_is_ours_is_a_gateways() {
    let setup = Setup::start().await;
    let unknown = "/v2/embed/artifact/manifests/no-such-tag";
    let (status, _, body) = setup.ask(Method::GET, unknown).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(body.contains(r#""code":"MANIFEST_UNKNOWN""#), "{body}");

    setup.fake.inject(Fault::status(Operation::GetManifest, 1, 401).times(2));
    let (status, head, body) = setup.ask(Method::GET, &setup.manifest()).await;
    assert_eq!(status, StatusCode::BAD_GATEWAY, "{body}");
    assert!(!head.contains_key("www-authenticate"));
    assert!(body.contains(r#""code":"UNAVAILABLE""#), "{body}");
}

#[tokio::test]
async fn a_wrong_byte_never_arrives_whole_and_is_not_kept() {
    let setup = Setup::start().await;
    setup.fake.inject(Fault::corrupt(Operation::GetManifest, 5));
    let (status, _, body) = setup.ask(Method::GET, &setup.manifest()).await;
    assert_eq!(status, StatusCode::BAD_GATEWAY, "{body}");

    setup.fake.inject(Fault::corrupt(Operation::GetStorage, 5));
    // The head is sent by then: the connection breaks before the last piece.
    assert!(fetch(setup.address, Method::GET, &setup.blob()).await.is_err());

    for path in [setup.manifest(), setup.blob()] {
        let (status, _, body) = setup.ask(Method::GET, &path).await;
        assert_eq!(status, StatusCode::OK, "{body}");
    }
}

#[tokio::test]
async fn the_program_serves_until_it_is_told_to_stop() {
    let emulator = Emulator::start(&[]);
    let mut proxy = Proxy::start(emulator.environment());
    let (head, _) = fetch(proxy.address, Method::GET, "/v2/").await.unwrap();
    assert_eq!(head.status, StatusCode::OK);

    let kill = Command::new("kill").arg(proxy.id()).status();
    assert!(kill.expect("kill runs").success());
    assert!(proxy.wait().success());
}
