//! A lock that was acknowledged holds, also against a request that was admitted before.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use acr_core::{Digest, http::Body};
use acr_testkit::{FakeRegistry, Profile};
use bytes::Bytes;
use http_body::Frame;
use tokio::sync::oneshot;

use crate::support::{Client, Got, OCI_MANIFEST, image};

const WRITE_LOCK: &str = r#"{"writeEnabled":false}"#;
const CONFIG: &str = r#"{"architecture":"arm64","os":"linux"}"#;

/// A body of which a half comes at once. It tells when the rest is asked for, which is after all
/// early checks, and that comes when told.
struct Held {
    first: Option<Bytes>,
    asked: Option<oneshot::Sender<()>>,
    released: oneshot::Receiver<()>,
    content: Option<Bytes>,
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        if self.content.is_none() {
            return Poll::Ready(None);
        }
        if let Some(asked) = self.asked.take() {
            asked.send(()).unwrap();
        }
        ready!(Pin::new(&mut self.released).poll(cx)).unwrap();
        Poll::Ready(self.content.take().map(|content| Ok(Frame::data(content))))
    }
}

/// Sends a request, changes something while its body is still to come, and gives its answer.
pub(crate) async fn overtaken(
    client: &Client,
    (method, target): (&str, &str),
    content: impl Into<Bytes>,
    meanwhile: impl AsyncFnOnce(),
) -> Got {
    let (asked, is_asked) = oneshot::channel();
    let (release, released) = oneshot::channel();
    let mut content = content.into();
    let first = Some(content.split_to(content.len() / 2));
    let held = Held { first, asked: Some(asked), released, content: Some(content) };
    let headers = [("content-type", OCI_MANIFEST)];
    let headers: &[_] = if target.contains("/manifests/") { &headers } else { &[] };
    let sent = client.send(method, target, headers, Body::stream(held));
    let change = async {
        is_asked.await.unwrap();
        meanwhile().await;
        release.send(()).unwrap();
    };
    tokio::join!(sent, change).0
}

async fn patch(client: &Client, path: &str, attributes: &'static str) {
    let got = client.send("PATCH", path, &[], attributes).await;
    assert_eq!(got.status, 200, "{got:?}");
}

fn assert_locked(got: &Got) {
    assert_eq!((got.status, got.code().as_str()), (405, "REGISTRY_DISALLOWED_OPERATION"));
}

/// Where the tag `v1` points.
async fn tagged(client: &Client) -> String {
    let got = client.get("/acr/v1/a/_tags/v1").await;
    got.json()["tag"]["digest"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn e3_a_push_whose_body_still_arrives_does_not_move_what_was_locked_meanwhile() {
    for profile in [Profile::Acr, Profile::Oci] {
        let client = Client::full(&FakeRegistry::builder().profile(profile).build()).await;
        let first = client.push_image("a", "v1", "first").await;
        client.push_blob("a", "second").await;
        let second = image(CONFIG, "second");
        let by_digest = format!("/v2/a/manifests/{}", Digest::sha256(second.as_bytes()));
        for (target, locked) in [
            ("/v2/a/manifests/v1", "/acr/v1/a/_tags/v1"),
            ("/v2/a/manifests/v1", "/acr/v1/a"),
            ("/v2/a/manifests/v2", "/acr/v1/a"),
            (by_digest.as_str(), "/acr/v1/a"),
        ] {
            let lock = async || patch(&client, locked, WRITE_LOCK).await;
            let got = overtaken(&client, ("PUT", target), second.clone(), lock).await;
            assert_locked(&got);
            assert_eq!(tagged(&client).await, first.as_str(), "{target} {locked}");
            let left = client.get("/acr/v1/a").await.json();
            assert_eq!((&left["manifestCount"], &left["tagCount"]), (&1.into(), &1.into()));
            patch(&client, locked, r#"{"writeEnabled":true}"#).await;
        }
        let got = client.put_manifest("a", "v1", OCI_MANIFEST, &second).await;
        assert_eq!(got.status, 201, "unlocked again: {got:?}");
    }
}

#[tokio::test]
async fn e3_an_upload_whose_body_still_arrives_adds_nothing_to_what_was_locked_meanwhile() {
    let client = Client::full(&FakeRegistry::new()).await;
    client.push_image("a", "v1", "layer").await;
    let digest = Digest::sha256(b"late");
    let location = client.start("a").await;
    for (method, target) in [
        ("POST", format!("/v2/a/blobs/uploads/?digest={digest}")),
        ("PUT", format!("{location}&digest={digest}")),
    ] {
        let lock = async || patch(&client, "/acr/v1/a", WRITE_LOCK).await;
        let got = overtaken(&client, (method, &target), "late", lock).await;
        assert_locked(&got);
        let got = client.send("HEAD", &format!("/v2/a/blobs/{digest}"), &[], "").await;
        assert_eq!(got.status, 404, "{method}");
        patch(&client, "/acr/v1/a", r#"{"writeEnabled":true}"#).await;
    }
    assert_eq!(client.registry.open_uploads(), 0, "a refused upload is over");
}

#[tokio::test]
async fn e3_locked_tags_stay_under_every_form_of_the_specification() {
    let client = Client::full(&FakeRegistry::builder().profile(Profile::Oci).build()).await;
    let first = client.push_image("a", "v1", "first").await;
    client.push_blob("a", "second").await;
    let second = image(CONFIG, "second");
    let digest = Digest::sha256(second.as_bytes());
    patch(&client, "/acr/v1/a/_tags/v1", WRITE_LOCK).await;
    for reference in [format!("{digest}?tag=v1"), format!("{digest}?tag=free&tag=v1")] {
        assert_locked(&client.put_manifest("a", &reference, OCI_MANIFEST, &second).await);
    }
    assert_locked(&client.send("DELETE", "/v2/a/manifests/v1", &[], "").await);
    patch(&client, "/acr/v1/a/_tags/v1", r#"{"writeEnabled":true,"deleteEnabled":false}"#).await;
    assert_locked(&client.send("DELETE", "/v2/a/manifests/v1", &[], "").await);
    assert_eq!(tagged(&client).await, first.as_str());
    let tags = client.get("/v2/a/tags/list").await.json()["tags"].clone();
    assert_eq!(tags, serde_json::json!(["v1"]), "all of a push or nothing");
    let reference = format!("{digest}?tag=free&tag=v1");
    let got = client.put_manifest("a", &reference, OCI_MANIFEST, &second).await;
    assert_eq!(got.status, 201, "only deleting is locked: {got:?}");
    assert_eq!(tagged(&client).await, digest.as_str());
}

#[tokio::test]
async fn e3_restoring_moves_no_locked_tag() {
    let registry = FakeRegistry::builder().soft_delete(Duration::from_secs(7 * 86_400)).build();
    let client = Client::full(&registry).await;
    let old = client.push_image("a", "v1", "old").await;
    assert_eq!(client.send("DELETE", "/acr/v1/a/_tags/v1", &[], "").await.status, 202);
    let new = client.push_image("a", "v1", "new").await;
    let restore = format!("/acr/v1/_deleted/a/_manifests/{old}?force=true");
    for locked in ["/acr/v1/a/_tags/v1", "/acr/v1/a"] {
        let lock = async || patch(&client, locked, WRITE_LOCK).await;
        assert_locked(&overtaken(&client, ("POST", &restore), r#"{"tag":"v1"}"#, lock).await);
        assert_eq!(tagged(&client).await, new.as_str());
        patch(&client, locked, r#"{"writeEnabled":true}"#).await;
    }
    assert_eq!(client.send("POST", &restore, &[], r#"{"tag":"v1"}"#).await.status, 200);
    assert_eq!(tagged(&client).await, old.as_str());
}

#[tokio::test]
async fn e3_what_may_not_be_read_is_not_mounted() {
    for profile in [Profile::Acr, Profile::Oci] {
        let client = Client::full(&FakeRegistry::builder().profile(profile).build()).await;
        client.push_image("a", "v1", "layer").await;
        let layer = Digest::sha256(b"layer");
        patch(&client, "/acr/v1/a", r#"{"readEnabled":false}"#).await;
        for query in [format!("mount={layer}&from=a"), format!("mount={layer}")] {
            let path = format!("/v2/b/blobs/uploads/?{query}");
            assert_eq!(
                client.send("POST", &path, &[], "").await.status,
                202,
                "{profile:?} {query}"
            );
        }
        let got = client.send("HEAD", &format!("/v2/b/blobs/{layer}"), &[], "").await;
        assert_eq!(got.status, 404);
    }
}

#[tokio::test]
async fn e7_a_mount_without_a_source_asks_for_rights_too() {
    let registry = FakeRegistry::builder().profile(Profile::Oci).build();
    let all = Client::full(&registry).await;
    all.push_image("a", "v1", "layer").await;
    let path = format!("/v2/b/blobs/uploads/?mount={}", Digest::sha256(b"layer"));
    let some = Client::with_scope(&registry, "repository:b:pull,push").await;
    assert_eq!(some.send("POST", &path, &[], "").await.status, 202, "an upload, not a mount");
    let more = Client::with_scope(&registry, "repository:b:pull,push repository:a:pull").await;
    assert_eq!(more.send("POST", &path, &[], "").await.status, 201);
}
