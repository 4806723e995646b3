//! Rows of the guides for those who come from Python and Go that no other test holds.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop at the first surprise"
)]

use std::sync::{Arc, Mutex};

use acr_blob::{BlobClient, UploadCheckpoint};
use acr_core::{
    Digest, Endpoint, Error, Pipeline, Transport,
    http::{Body, Request},
};
use http::{Method, StatusCode, header};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

const GIB: u64 = 1 << 30;
const PLACE: &str = "/v2/a/blobs/uploads/1";

/// A registry with a session that holds so many bytes, and the places it was given others for.
fn holding(held: u64) -> (BlobClient, Arc<Mutex<Vec<String>>>) {
    let ranges = Arc::new(Mutex::new(Vec::new()));
    let (noted, held) = (Arc::clone(&ranges), Arc::new(Mutex::new(held)));
    let transport = Transport::new(tower::service_fn(move |request: Request| {
        let (noted, held) = (Arc::clone(&noted), Arc::clone(&held));
        async move {
            let (head, body) = request.into_parts();
            let len = body.bytes(1 << 20).await?.len() as u64;
            if let Some(range) = head.headers.get(header::CONTENT_RANGE) {
                noted.lock().unwrap().push(range.to_str().unwrap().to_owned());
            }
            let mut held = held.lock().unwrap();
            *held += len;
            let status = match head.method {
                Method::POST | Method::PATCH => StatusCode::ACCEPTED,
                Method::PUT => StatusCode::CREATED,
                _ => StatusCode::NO_CONTENT,
            };
            let mut answer = http::Response::builder().status(status);
            answer = answer.header(header::LOCATION, PLACE);
            if head.method != Method::POST {
                answer = answer.header(header::RANGE, format!("0-{}", *held - 1));
            }
            if let Some((_, digest)) = head.uri.query().unwrap_or("").split_once("digest=") {
                answer = answer.header("docker-content-digest", digest.replace("%3A", ":"));
            }
            Ok::<_, Error>(answer.body(Body::empty()).unwrap())
        }
    }));
    let pipeline = Pipeline::builder("r.azurecr.io".parse().unwrap()).transport(transport);
    (BlobClient::new(pipeline.build().unwrap(), "a".parse().unwrap()), ranges)
}

/// A checkpoint of the same session, as if so many bytes had been sent and hashed.
fn with_length(checkpoint: &UploadCheckpoint, len: u64) -> UploadCheckpoint {
    let mut value = serde_json::to_value(checkpoint).unwrap();
    value["confirmed"] = json!(len);
    value["digester"]["len"] = json!(len);
    // After the eight words of the hash, in hexadecimal, stands the count of its blocks.
    let state = value["digester"]["state"].as_str().unwrap();
    let blocks: String = (len / 64).to_le_bytes().iter().map(|b| format!("{b:02x}")).collect();
    let state = format!("{}{blocks}{}", &state[..64], &state[80..]);
    value["digester"]["state"] = json!(state);
    serde_json::from_value(value).unwrap()
}

#[tokio::test]
async fn g12_uploads_go_on_beyond_two_and_four_gib() {
    for held in [2 * GIB - 64, 2 * GIB, 4 * GIB - 64, 4 * GIB, 100 * GIB] {
        let (blobs, ranges) = holding(held);
        let session = blobs.start_upload().await.unwrap();
        let checkpoint = with_length(&session.checkpoint().unwrap(), held);
        let mut session = blobs.resume_upload(&checkpoint).await.unwrap();
        assert_eq!(session.offset(), held);
        for _ in 0..2 {
            session.write(vec![7; 100]).await.unwrap();
        }
        assert_eq!(session.offset(), held + 200);
        assert_eq!(session.complete("", None).await.unwrap().size, held + 200);
        let range = |first: u64| format!("{first}-{}", first + 99);
        assert_eq!(*ranges.lock().unwrap(), [range(held), range(held + 100)]);
    }
}

#[tokio::test]
async fn g12_a_dropped_reader_closes_its_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint::insecure_loopback(listener.local_addr().unwrap()).unwrap();
    // Sends a piece of a blob that is far longer, and ends when the other side hangs up.
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(socket.read_u8().await.unwrap());
        }
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n";
        socket.write_all(answer).await.unwrap();
        let piece = vec![7; 64 << 10];
        while socket.write_all(&piece).await.is_ok() {}
    });
    let pipeline = Pipeline::builder(endpoint).build().unwrap();
    let blobs = BlobClient::new(pipeline, "a".parse().unwrap());
    let mut reader = blobs.download(Digest::sha256(b"never to be known")).await.unwrap();
    assert!(reader.chunk().await.unwrap().is_some());
    drop(reader);
    // The server ends only if its connection does, and the client lives on.
    server.await.unwrap();
    drop(blobs);
}
