//! Registries that keep their uploads elsewhere than Azure's.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may stop at the first surprise")]

use std::sync::{Arc, Mutex, PoisonError};

use acr_blob::{BlobClient, Content};
use acr_core::{
    Digest, Error, ErrorKind, Pipeline, Transport,
    http::{BoxError, Request, Response},
};
use bytes::Bytes;
use futures_util::stream;
use http::{Method, StatusCode};

const CHUNK: usize = 1_000;

/// A registry of one repository whose sessions have the address `place` and a number, which
/// changes with each request.
#[derive(Clone)]
struct Registry {
    place: &'static str,
    held: Arc<Mutex<Held>>,
}

#[derive(Default)]
struct Held {
    bytes: Vec<u8>,
    number: usize,
    committed: Option<String>,
    /// Requests to an address that was never given out.
    strays: Vec<String>,
}

impl Registry {
    fn client(&self, endpoint: &str) -> BlobClient {
        let registry = self.clone();
        let transport = Transport::new(tower::service_fn(move |request: Request| {
            let registry = registry.clone();
            async move { registry.answer(request).await }
        }));
        let pipeline =
            Pipeline::builder(endpoint.parse().unwrap()).transport(transport).build().unwrap();
        BlobClient::new(pipeline, "library/x".parse().unwrap())
    }

    async fn answer(&self, request: Request) -> Result<Response, Error> {
        let (parts, body) = request.into_parts();
        let body = body.bytes(1 << 20).await?;
        let target = parts.uri.path_and_query().unwrap().as_str();
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let session = format!("{}{}", self.place, held.number);
        let answer = http::Response::builder();
        if parts.method == Method::POST && target == "/v2/library/x/blobs/uploads/" {
            let answer = answer.status(StatusCode::ACCEPTED).header("location", session);
            return Ok(answer.body(Bytes::new().into()).unwrap());
        }
        let digest = target.strip_prefix(session.as_str()).and_then(|rest| {
            rest.strip_prefix(['?', '&'])?.strip_prefix("digest=").map(|d| d.replace("%3A", ":"))
        });
        if target != session && digest.is_none() {
            held.strays.push(format!("{} {target}", parts.method));
            return Ok(answer.status(404).body(Bytes::new().into()).unwrap());
        }
        held.bytes.extend_from_slice(&body);
        held.number += 1;
        let next = format!("https://REGISTRY.example:443{}{}", self.place, held.number);
        let answer = match (parts.method, digest) {
            (Method::PATCH, None) => answer
                .status(StatusCode::ACCEPTED)
                .header("location", next)
                .header("range", format!("0-{}", held.bytes.len() - 1)),
            (Method::PUT, Some(digest)) => {
                held.committed = Some(digest.clone());
                answer.status(StatusCode::CREATED).header("docker-content-digest", digest)
            }
            _ => answer.status(StatusCode::METHOD_NOT_ALLOWED),
        };
        Ok(answer.body(Bytes::new().into()).unwrap())
    }
}

fn content() -> Bytes {
    Bytes::from_iter((0..3 * CHUNK + 1).map(|n| u8::try_from(n % 251).unwrap()))
}

fn pieces() -> Content {
    let pieces: Vec<Result<Bytes, BoxError>> =
        content().chunks(700).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    Content::stream(stream::iter(pieces))
}

#[tokio::test]
async fn b7_uploads_follow_the_registry_to_wherever_it_keeps_them() {
    for place in [
        "/v2/library/x/blobs/uploads/",
        "/v2/library/x/blobs/upload/",
        "/artifacts-uploads/namespaces/n/repositories/r/uploads/AF2xA%3D?_state=a%2Bb%3D&n=",
        "/u?",
    ] {
        for in_chunks in [false, true] {
            let registry = Registry { place, held: Arc::default() };
            let blobs = registry.client("registry.example");
            let upload = match in_chunks {
                true => blobs.upload(pieces()).chunk_size(CHUNK),
                false => blobs.upload(content()),
            };
            let info = upload.await.unwrap_or_else(|e| panic!("{place} {in_chunks}: {e}"));
            let held = registry.held.lock().unwrap();
            assert_eq!(info.digest, Digest::sha256(&content()), "{place}");
            assert_eq!(held.committed, Some(info.digest.to_string()), "{place}");
            assert!(held.bytes == content(), "{place}");
            assert!(held.strays.is_empty(), "{place}: {:?}", held.strays);
        }
    }
}

/// Neither another origin nor a way upwards, nor an Azure registry that leaves its place.
#[tokio::test]
async fn b7_what_stays_refused_is_not_asked_for() {
    for (endpoint, place) in [
        ("registry.example", "https://evil.example/u/"),
        ("registry.example", "http://registry.example/u/"),
        ("registry.example", "https://user@registry.example/u/"),
        ("registry.example", "/u/../v2/other/blobs/uploads/"),
        ("registry.example", "/u/%2e%2e/"),
        ("r.azurecr.io", "/v2/library/x/blobs/upload/"),
        ("r.azurecr.io", "/artifacts-uploads/"),
        ("r.azurecr.io", "/v2/library/y/blobs/uploads/"),
    ] {
        let registry = Registry { place, held: Arc::default() };
        let error = registry.client(endpoint).upload(content()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Policy, "{endpoint} {place}: {error}");
        let held = registry.held.lock().unwrap();
        assert!(held.bytes.is_empty() && held.strays.is_empty(), "{place}: {:?}", held.strays);
    }
}
