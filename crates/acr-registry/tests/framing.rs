//! Answers over a socket whose end nothing tells, or whose end comes too early.

#![cfg(any(feature = "aws-lc-rs", feature = "ring"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may stop at the first surprise")]

use acr_core::{Digest, Endpoint, ErrorKind, Pipeline, layer::RetryPolicy};
use acr_registry::{RegistryClient, RepositoryClient};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

const MANIFEST: &str =
    r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;

/// The whole, and what is left of it when the connection closes before its end.
const STUMP: usize = 40;

/// A repository on a server that writes these bytes to every connection and closes it.
async fn server(answer: String) -> RepositoryClient {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint::insecure_loopback(listener.local_addr().unwrap()).unwrap();
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(socket.read_u8().await.unwrap());
            }
            socket.write_all(answer.as_bytes()).await.unwrap();
            socket.shutdown().await.unwrap();
        }
    });
    let pipeline = Pipeline::builder(endpoint).retry(RetryPolicy::default().retries(0));
    RegistryClient::new(pipeline.build().unwrap()).repository("library/app").unwrap()
}

fn answer(version: &str, headers: &[&str], body: &str) -> String {
    let mut head = format!("HTTP/{version} 200 OK\r\n");
    for header in headers {
        head.push_str(header);
        head.push_str("\r\n");
    }
    format!("{head}\r\n{body}")
}

fn chunks(body: &str, is_whole: bool) -> String {
    let end = if is_whole { "0\r\n\r\n" } else { "" };
    format!("{:x}\r\n{body}\r\n{end}", body.len())
}

#[tokio::test]
async fn a5_a_manifest_by_tag_is_whole_or_an_error() {
    let digest = Digest::sha256(MANIFEST.as_bytes());
    let named = format!("docker-content-digest: {digest}");
    let length = format!("content-length: {}", MANIFEST.len());
    let chunked = "transfer-encoding: chunked";
    let stump = &MANIFEST[..STUMP];
    for version in ["1.0", "1.1"] {
        for (answer, expected) in [
            // Whole, but nothing tells.
            (answer(version, &[], MANIFEST), Some(ErrorKind::Protocol)),
            (answer(version, &["connection: close"], stump), Some(ErrorKind::Protocol)),
            (answer(version, &["connection: close"], ""), Some(ErrorKind::Protocol)),
            // The digest tells.
            (answer(version, &[&named], MANIFEST), None),
            (answer(version, &[&named], stump), Some(ErrorKind::Integrity)),
            // The length tells.
            (answer(version, &[&length], MANIFEST), None),
            (answer(version, &[&length], stump), Some(ErrorKind::Transport)),
            (answer(version, &[&length, &named], MANIFEST), None),
        ] {
            let result = server(answer.clone()).await.get_manifest(tag()).allow_ambiguous().await;
            match (result, expected) {
                (Ok(manifest), None) => assert_eq!(manifest.digest, digest),
                (Err(error), Some(kind)) => assert_eq!(error.kind(), kind, "{answer}: {error}"),
                (result, _) => panic!("{answer}: {result:?}"),
            }
        }
    }
    // The chunks tell.
    let whole = server(answer("1.1", &[chunked], &chunks(MANIFEST, true))).await;
    assert_eq!(whole.get_manifest(tag()).await.unwrap().digest, digest);
    let cut = server(answer("1.1", &[chunked], &chunks(stump, false))).await;
    let error = cut.get_manifest(tag()).allow_ambiguous().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport);
    // The digest asked for tells.
    let by_digest = server(answer("1.0", &[], MANIFEST)).await;
    assert_eq!(by_digest.get_manifest(digest.clone()).await.unwrap().digest, digest);
    let by_digest = server(answer("1.0", &[], stump)).await;
    let error = by_digest.get_manifest(digest).allow_ambiguous().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity);
}

#[tokio::test]
async fn a5_properties_and_lists_are_whole_or_an_error() {
    // JSON after which nothing needs to follow, so that only the framing can tell.
    let tags = r#"{"registry":"r","imageName":"library/app","tags":[]}"#;
    let length = format!("content-length: {}", tags.len());
    for version in ["1.0", "1.1"] {
        let unframed = server(answer(version, &[], tags)).await;
        let error = unframed.list_tags().try_next().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
        assert!(error.to_string().contains("neither a length nor chunks"), "{error}");
        let framed = server(answer(version, &[&length], tags)).await;
        assert!(framed.list_tags().try_next().await.unwrap().is_none());
    }
}

fn tag() -> acr_core::Tag {
    "v1".parse().unwrap()
}
