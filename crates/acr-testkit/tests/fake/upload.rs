//! Uploads are strict.

use acr_core::{Digest, http::Body};
use acr_testkit::{FakeRegistry, Operation};

use crate::support::{Client, Got};

async fn client() -> Client {
    Client::full(&FakeRegistry::new()).await
}

async fn patch(client: &Client, location: &str, range: Option<&str>, body: &'static str) -> Got {
    let headers: Vec<_> = range.iter().map(|range| ("content-range", *range)).collect();
    client.send("PATCH", location, &headers, body).await
}

#[tokio::test]
async fn a_session_from_start_to_end() {
    let client = client().await;
    let got = client.send("POST", "/v2/a/b/blobs/uploads/", &[], "").await;
    assert_eq!((got.status, got.header("range"), got.header("content-length")), (202, "0-0", "0"));
    let id = got.header("docker-upload-uuid").to_owned();
    let first = got.location();
    let prefix = format!("/v2/a/b/blobs/uploads/{id}?_nouploadcache=false&_state=canarystate-");
    assert!(first.starts_with(&prefix), "{first}");
    assert_eq!(client.registry.open_uploads(), 1);

    let got = client.send("GET", &first, &[], "").await;
    assert_eq!((got.status, got.header("range")), (204, "0-0"));
    assert!(!got.headers.contains_key("content-length"));

    let got = patch(&client, &first, Some("0-4"), "hello").await;
    assert_eq!((got.status, got.header("range")), (202, "0-4"));
    let second = got.location();
    assert_ne!(first, second, "the location moves on");
    let got = patch(&client, &second, None, " world").await;
    assert_eq!((got.status, got.header("range")), (202, "0-10"));

    let digest = Digest::sha256(b"hello world");
    let target = format!("{}&digest={}", got.location(), digest.as_str().replace(':', "%3A"));
    let got = client.send("PUT", &target, &[], "").await;
    assert_eq!((got.status, got.header("content-length")), (201, "0"));
    assert_eq!(got.header("docker-content-digest"), digest.as_str());
    assert_eq!(got.location(), format!("/v2/a/b/blobs/{digest}"));
    assert_eq!(client.registry.open_uploads(), 0);
    let got = client.send("PUT", &target, &[], "").await;
    assert_eq!((got.status, got.code().as_str()), (404, "BLOB_UPLOAD_UNKNOWN"));
}

#[tokio::test]
async fn the_first_chunk_must_start_at_zero() {
    let client = client().await;
    let location = client.start("a").await;
    let got = patch(&client, &location, Some("22-41"), "12345678901234567890").await;
    assert_eq!(got.status, 416);
    assert_eq!(
        got.text(),
        "{\"errors\":[{\"code\":\"BLOB_UPLOAD_RANGE_INVALID\",\"message\":\"blob upload range invalid\",\"detail\":{\"Range\":\"22-41\",\"Reason\":\"out of order chunk: content range should start at 0\"}}]}\n"
    );
    assert!(!got.headers.contains_key("location"));
    assert_eq!(patch(&client, &location, Some("0-1"), "ab").await.status, 202);
}

#[tokio::test]
async fn a_malformed_range_leaves_the_session_alive() {
    let client = client().await;
    let location = client.start("a").await;
    for range in ["-1--1", "bytes 0-1/*", "1-0"] {
        let got = patch(&client, &location, Some(range), "ab").await;
        assert_eq!((got.status, got.code().as_str()), (416, "BLOB_UPLOAD_RANGE_INVALID"));
        let detail = got.json()["errors"][0]["detail"].clone();
        assert_eq!(detail["Range"], range);
        assert_eq!(detail["Reason"], "the Content-Range header format is invalid");
    }
    assert_eq!(patch(&client, &location, None, "ab").await.status, 202);
}

#[tokio::test]
async fn a_repeated_chunk_is_refused_with_the_place_to_go_on() {
    let client = client().await;
    let first = client.start("a").await;
    assert_eq!(patch(&client, &first, Some("0-1"), "ab").await.status, 202);
    for range in ["0-1", "5-6"] {
        let got = patch(&client, &first, Some(range), "ab").await;
        assert_eq!((got.status, got.body.len(), got.header("content-length")), (416, 0, "0"));
        assert_eq!(got.header("range"), "0-1");
        assert!(got.headers.contains_key("docker-upload-uuid"));
        let next = got.location();
        assert_eq!(client.send("GET", &next, &[], "").await.header("range"), "0-1");
    }
    // Without a range there is nothing to go on with.
    let got = patch(&client, &first, None, "ab").await;
    assert_eq!((got.status, got.code().as_str()), (404, "BLOB_UPLOAD_INVALID"));
    let next = client.send("GET", &first, &[], "").await.location();
    assert_eq!(patch(&client, &next, Some("2-3"), "cd").await.header("range"), "0-3");
}

#[tokio::test]
async fn a_chunk_of_another_length_than_declared_leaves_nothing() {
    let client = client().await;
    let location = client.start("a").await;
    for (body, declared) in [("abc", "0-1"), ("a", "0-1")] {
        let got = patch(&client, &location, Some(declared), body).await;
        assert_eq!((got.status, got.code().as_str()), (400, "SIZE_INVALID"));
        assert_eq!(client.send("GET", &location, &[], "").await.header("range"), "0-0");
    }
    let got = client.push_blob("a", "abc").await;
    assert_eq!(got, Digest::sha256(b"abc"));
}

#[tokio::test]
async fn a_state_that_was_tampered_with_is_no_session() {
    let client = client().await;
    let location = client.start("a").await;
    let other = client.start("a").await;
    let (path, _) = location.split_once('?').unwrap();
    let (_, other_query) = other.split_once('?').unwrap();
    let tampered = location.replacen("_state=canarystate-", "_state=canarystate-A", 1);
    for target in [
        tampered,
        path.to_owned(),
        format!("{path}?{other_query}"),
        location.replacen("/v2/a/", "/v2/b/", 1),
        format!("{path}?_state=%3D%3D"),
    ] {
        for method in ["PATCH", "GET", "PUT", "DELETE"] {
            let got = client.send(method, &target, &[], "").await;
            assert_eq!((got.status, got.code().as_str()), (404, "BLOB_UPLOAD_INVALID"), "{target}");
        }
    }
    assert_eq!(client.registry.open_uploads(), 2);
}

#[tokio::test]
async fn digests_are_checked_at_the_end() {
    let client = client().await;
    let location = client.start("a").await;
    let location = patch(&client, &location, None, "hello").await.location();
    let sha512 = format!("&digest=sha512:{}", "a".repeat(128));
    for (query, detail) in [
        ("", "digest missing"),
        ("&digest=", "digest missing"),
        ("&digest=sha256:x", "digest parsing failed"),
        (sha512.as_str(), "digest parsing failed"),
    ] {
        let got = client.send("PUT", &format!("{location}{query}"), &[], "").await;
        assert_eq!((got.status, got.code().as_str()), (400, "DIGEST_INVALID"));
        let error = got.json()["errors"][0].clone();
        assert_eq!(error["detail"], detail);
        assert_eq!(error["message"], "provided digest did not match uploaded content");
    }
    assert_eq!(client.registry.open_uploads(), 1, "the session lives on");
    let wrong = Digest::sha256(b"other");
    let got = client.send("PUT", &format!("{location}&digest={wrong}"), &[], "").await;
    assert_eq!((got.status, got.code().as_str()), (400, "DIGEST_INVALID"));
    assert_eq!(client.registry.open_uploads(), 0, "a mismatch ends the session");
    let got = client.send("HEAD", &format!("/v2/a/blobs/{wrong}"), &[], "").await;
    assert_eq!((got.status, got.header("content-length")), (404, "157"));
}

#[tokio::test]
async fn one_request_is_enough() {
    let client = client().await;
    let digest = Digest::sha256(b"hello world");
    let target = format!("/v2/a/blobs/uploads/?digest={digest}");
    let got = client.send("POST", &target, &[], "hello world").await;
    assert_eq!((got.status, got.header("docker-content-digest")), (201, digest.as_str()));
    let got = client.send("POST", &target, &[], "something else").await;
    assert_eq!((got.status, got.code().as_str()), (400, "DIGEST_INVALID"));
    assert_eq!(client.registry.open_uploads(), 0);
    let got =
        client.send("HEAD", &format!("/v2/a/blobs/{digest}"), &[("range", "bytes=0-1")], "").await;
    assert_eq!((got.status, got.header("content-length")), (200, "11"), "HEAD ignores the range");
}

#[tokio::test]
async fn cancelled_sessions_are_unknown() {
    let client = client().await;
    let location = client.start("a").await;
    let later = patch(&client, &location, None, "x").await.location();
    let got = client.send("DELETE", &location, &[], "").await;
    assert_eq!(got.status, 204, "an older state will do");
    assert!(!got.headers.contains_key("content-length"));
    for method in ["DELETE", "PATCH", "GET"] {
        let got = client.send(method, &later, &[], "").await;
        assert_eq!((got.status, got.code().as_str()), (404, "BLOB_UPLOAD_UNKNOWN"));
    }
    assert_eq!(client.registry.open_uploads(), 0);
}

#[tokio::test]
async fn rights_differ_by_step() {
    let client = client().await;
    let location = client.start("a").await;
    let pusher = Client::with_scope(&client.registry, "repository:a:pull,push").await;
    assert_eq!(pusher.send("GET", &location, &[], "").await.status, 204);
    assert_eq!(pusher.send("DELETE", &location, &[], "").await.status, 401);
    let puller = Client::with_scope(&client.registry, "repository:a:pull").await;
    let got = patch(&puller, &location, None, "must not be applied").await;
    assert_eq!(got.status, 401);
    assert_eq!(client.send("GET", &location, &[], "").await.header("range"), "0-0");
    let entry = client
        .registry
        .journal()
        .entries()
        .into_iter()
        .find(|e| e.operation == Some(Operation::UploadChunk));
    assert_eq!(entry.unwrap().body_bytes, 19, "the body was read before the answer");
}

#[tokio::test]
async fn mounts() {
    let client = client().await;
    let digest = client.push_blob("source", "hello world").await;
    let target = format!("/v2/target/blobs/uploads/?mount={digest}&from=source");
    let got = client.send("POST", &target, &[], "").await;
    assert_eq!((got.status, got.header("docker-content-digest")), (201, digest.as_str()));
    assert_eq!(got.location(), format!("/v2/target/blobs/{digest}"));
    assert!(!got.headers.contains_key("docker-upload-uuid"));

    let narrow = Client::with_scope(&client.registry, "repository:target:pull,push").await;
    assert_eq!(narrow.send("POST", &target, &[], "").await.status, 202, "no right on the source");
    let missing = target.replace("source", "nobody");
    assert_eq!(client.send("POST", &missing, &[], "").await.status, 202);
    let half = format!("/v2/target/blobs/uploads/?mount={digest}");
    let got = client.send("POST", &half, &[], "").await;
    assert!(got.status == 202 && got.headers.contains_key("docker-upload-uuid"));
    assert_eq!(client.registry.open_uploads(), 3);
    let got = client.send("POST", "/v2/target/blobs/uploads/?mount=x&from=source", &[], "").await;
    assert_eq!(got.text(), "404 page not found\n");
}

#[tokio::test]
async fn a_broken_body_leaves_what_arrived_and_says_so() {
    struct Breaking(u8);
    impl http_body::Body for Breaking {
        type Data = bytes::Bytes;
        type Error = std::io::Error;
        fn poll_frame(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<std::io::Result<http_body::Frame<bytes::Bytes>>>> {
            self.0 += 1;
            std::task::Poll::Ready(Some(match self.0 {
                1 => Ok(http_body::Frame::data(bytes::Bytes::from_static(b"hello"))),
                _ => Err(std::io::ErrorKind::BrokenPipe.into()),
            }))
        }
    }
    let client = client().await;
    let location = client.start("a").await;
    let result = client.try_send("PATCH", &location, &[], Body::stream(Breaking(0))).await;
    assert!(result.is_err());
    let got = client.send("GET", &location, &[], "").await;
    assert_eq!((got.status, got.header("range")), (204, "0-4"));
    let digest = Digest::sha256(b"hello");
    let got = client.send("PUT", &format!("{}&digest={digest}", got.location()), &[], "").await;
    assert_eq!(got.status, 201);
}

#[tokio::test]
async fn large_chunks_pass_through_the_disk() {
    let client = client().await;
    let chunk = bytes::Bytes::from(vec![42u8; 900_000]);
    let mut location = client.start("a").await;
    for i in 0..3u64 {
        let range = format!("{}-{}", i * 900_000, (i + 1) * 900_000 - 1);
        let got =
            client.send("PATCH", &location, &[("content-range", &range)], chunk.clone()).await;
        assert_eq!(got.status, 202);
        location = got.location();
    }
    let digest = Digest::sha256(&vec![42u8; 2_700_000]);
    let got = client.send("PUT", &format!("{location}&digest={digest}"), &[], "").await;
    assert_eq!(got.status, 201);
    let link = client.get(&format!("/v2/a/blobs/{digest}")).await.location();
    let got = Client::bare(&client.registry).get(&link).await;
    assert_eq!(Digest::sha256(&got.body), digest);
}

#[tokio::test]
async fn open_uploads_have_a_bound_and_one_that_is_over_makes_room() {
    let client = client().await;
    let mut last = String::new();
    for _ in 0..2_000 {
        last = client.start("a").await;
    }
    let got = client.send("POST", "/v2/a/blobs/uploads/", &[], "").await;
    assert_eq!((got.status, got.code().as_str()), (429, "TOOMANYREQUESTS"));
    assert_eq!(client.send("DELETE", &last, &[], "").await.status, 204);
    client.start("a").await;
    assert_eq!(client.registry.open_uploads(), 2_000);
}
