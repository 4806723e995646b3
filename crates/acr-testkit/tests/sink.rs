//! The sink, asked by our own transport: what it sends, what it counts.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use acr_core::{
    Digest, Endpoint, TlsConfig, Transport, TransportBuilder,
    http::{Body, Request, Response},
};
use acr_testkit::{Sink, SinkBuilder, Tls, sink_content};
use bytes::Bytes;
use http::Method;
use tower::ServiceExt as _;

fn transport(sink: &Sink) -> Transport {
    let tls = match sink.ca_pem() {
        Some(pem) => TlsConfig::only_roots(pem.as_bytes()).unwrap(),
        None => TlsConfig::no_roots(),
    };
    TransportBuilder::new().tls(tls).no_proxy().build().unwrap()
}

fn request(method: Method, endpoint: &Endpoint, path: &str, body: impl Into<Body>) -> Request {
    let request = http::Request::builder().method(method).uri(endpoint.uri(path).unwrap());
    request.body(body.into()).unwrap()
}

async fn get(sink: &Sink, transport: &Transport, path: &str) -> (Response, Bytes) {
    let asked = request(Method::GET, &sink.endpoint(), path, Body::empty());
    let answer = transport.clone().oneshot(asked).await.unwrap();
    let (head, body) = answer.into_parts();
    let body = body.bytes(64 << 20).await.unwrap();
    (Response::from_parts(head, Body::empty()), body)
}

#[tokio::test]
async fn a_blob_is_the_content_repeated_as_often_as_its_name_says() {
    for tls in [Tls::Off, Tls::On] {
        let sink = SinkBuilder::new().serve(tls).await.unwrap();
        let transport = transport(&sink);
        let content = sink_content();
        let whole = content.repeat(3);
        let digest = Digest::sha256(&whole);
        let len = whole.len();
        let path = format!("/v2/bench/{len}/blobs/{digest}");
        let (head, body) = get(&sink, &transport, &path).await;
        assert_eq!((head.status().as_u16(), body.len()), (200, len));
        assert_eq!(Digest::sha256(&body), digest);
        let mut part = request(Method::GET, &sink.endpoint(), &path, Body::empty());
        part.headers_mut().insert("range", "bytes=262143-262150".parse().unwrap());
        let answer = transport.clone().oneshot(part).await.unwrap();
        assert_eq!(answer.status(), 206);
        assert_eq!(answer.headers()["content-range"], format!("bytes 262143-262150/{len}"));
        assert_eq!(answer.into_body().bytes(100).await.unwrap(), whole[262_143..=262_150]);
    }
}

#[tokio::test]
async fn what_was_uploaded_has_its_length_and_everything_is_counted() {
    let sink = SinkBuilder::new().serve(Tls::Off).await.unwrap();
    let transport = transport(&sink);
    let send = async |method: Method, path: &str, body: &'static str| {
        let asked = request(method, &sink.endpoint(), path, body);
        let answer = transport.clone().oneshot(asked).await.unwrap();
        let place =
            answer.headers().get("location").map(|place| place.to_str().unwrap().to_owned());
        (answer.status().as_u16(), place.unwrap_or_default())
    };
    let (status, place) = send(Method::POST, "/v2/a/blobs/uploads/", "").await;
    assert_eq!(status, 202);
    let (status, place) = send(Method::PATCH, &place, "hello ").await;
    assert_eq!((status, place.as_str()), (202, "/v2/a/blobs/uploads/6"));
    let digest = Digest::sha256(b"hello world");
    let (status, place) = send(Method::PUT, &format!("{place}?digest={digest}"), "world").await;
    assert_eq!((status, place), (201, format!("/v2/a/blobs/{digest}")));
    let (_, body) = get(&sink, &transport, &format!("/v2/a/blobs/{digest}")).await;
    assert_eq!(body, sink_content()[..11]);

    let stats = sink.stats();
    assert_eq!((stats.received, stats.sent), (11, 11));
    assert_eq!((stats.connections, stats.most_open), (1, 1));
    let requests: Vec<_> = stats.requests.iter().map(|(name, n)| (name.as_str(), *n)).collect();
    let expected = ["GET blob", "PATCH upload", "POST upload", "PUT upload"];
    assert_eq!(requests, expected.map(|name| (name, 1)));
    let (_, told) = get(&sink, &transport, "/_sink/stats").await;
    let told: serde_json::Value = serde_json::from_slice(&told).unwrap();
    assert_eq!((&told["received"], &told["requests"]["PUT upload"]), (&11.into(), &1.into()));
    sink.forget();
    assert_eq!(sink.stats().requests_in_all(), 0);
}

#[tokio::test]
async fn whoever_brings_no_credential_is_challenged_if_that_was_asked_for() {
    let sink = SinkBuilder::new().challenges().serve(Tls::Off).await.unwrap();
    let transport = transport(&sink);
    let (head, _) = get(&sink, &transport, "/acr/v1/a/b/_tags").await;
    assert_eq!(head.status(), 401);
    let challenge = head.headers()["www-authenticate"].to_str().unwrap();
    let origin = sink.endpoint().to_string();
    assert!(challenge.contains(&format!(r#"realm="{origin}/oauth2/token""#)), "{challenge}");
    assert!(challenge.ends_with(r#"scope="repository:a/b:metadata_read""#), "{challenge}");
    let mut asked = request(Method::GET, &sink.endpoint(), "/acr/v1/a/b/_tags", Body::empty());
    asked.headers_mut().insert("authorization", "Bearer any".parse().unwrap());
    assert_eq!(transport.oneshot(asked).await.unwrap().status(), 200);
}
