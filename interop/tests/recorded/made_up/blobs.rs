//! Blobs: downloads, parts, uploads.

use serde_json::json;

use super::{Made, challenge, digest, fails, holds, made, sign_in};

const STORAGE: &str = "anything77.blob.core.windows.net";

fn redirect(request: &str) -> Made {
    let query = "sig=a%2Bb&se=1";
    made(request, 307)
        .header("Location", &format!("https://{STORAGE}/x//docker/blobs/data?{query}"))
        .answers_text("<a href=\"\">Temporary Redirect</a>.\n\n")
}

fn stored(status: u16) -> Made {
    made("GET /x//docker/blobs/data?sig=a%2Bb&se=1", status)
        .at(STORAGE)
        .field("operation", json!("GET storage:{blob}"))
}

#[tokio::test]
async fn blobs_are_got_whole_and_in_parts_from_here_and_from_elsewhere() {
    let d = digest("content");
    let get = format!("GET /v2/a/b/blobs/{d}");
    let head = format!("HEAD /v2/a/b/blobs/{d}");
    let part = |made: Made| made.request_header("Range", "bytes=2-4");
    let scope = "repository:a/b:pull";
    let [exchange, token] = sign_in(scope);
    let table = holds(
        2 + 2 + 2 + 3 + 5,
        [
            challenge(&get, scope),
            exchange,
            token,
            redirect(&get),
            stored(200).answers_text("content"),
            part(redirect(&get)),
            part(stored(206)).header("Content-Range", "bytes 2-4/7").answers_text("nte"),
            made(&get, 200).answers_text("content"),
            part(made(&get, 206)).header("Content-Range", "bytes 2-4/7").answers_bytes(b"nte"),
            part(made(&get, 200)).header("Content-Length", "7").answers_text("content"),
            made(&head, 200).header("Content-Length", "7"),
            part(made(&head, 200)).header("Content-Length", "7"),
            part(made(&head, 200)).header("Content-Length", "3"),
            part(made(&head, 404)),
            made(&format!("DELETE /v2/a/b/blobs/{d}"), 404).fails("BLOB_UNKNOWN", "no"),
        ],
    )
    .await;
    assert_eq!(table.challenges, 1);
    // It ends where it was sent elsewhere.
    holds(1, [redirect(&get)]).await;
    fails(
        "failed",
        [part(made(&get, 206)).header("Content-Range", "bytes 3-5/7").answers_text("ten")],
    )
    .await;
}

fn step(method: &str, session: &str, state: u8, status: u16) -> Made {
    made(
        &format!("{method} /v2/a/blobs/uploads/{session}?_nouploadcache=false&_state={state}%3D"),
        status,
    )
}

fn goes_on(made: Made, session: &str, state: u8, range: &str) -> Made {
    let place = format!("/v2/a/blobs/uploads/{session}?_nouploadcache=false&_state={state}%3D");
    made.header("Location", &place).header("Range", range)
}

fn start(session: &str) -> Made {
    goes_on(made("POST /v2/a/blobs/uploads/", 202), session, 0, "0-0")
}

fn close(session: &str, state: u8, digest: &str, status: u16) -> Made {
    let digest = digest.replace(':', "%3A");
    made(
        &format!(
            "PUT /v2/a/blobs/uploads/{session}?_nouploadcache=false&_state={state}%3D&digest={digest}"
        ),
        status,
    )
}

#[tokio::test]
async fn an_upload_is_made_step_by_step_with_its_refusals_on_the_way() {
    let d = digest("hello world");
    let push = "repository:a:pull,push";
    let [exchange, token] = sign_in(push);
    let patch = |state, status| step("PATCH", "s1", state, status);
    let table = holds(
        2 + 4,
        [
            challenge("POST /v2/a/blobs/uploads/", push),
            exchange,
            token,
            start("s1"),
            challenge("PATCH /v2/a/blobs/uploads/s1?_nouploadcache=false&_state=0%3D", push)
                .sends_bytes(b"hello "),
            goes_on(patch(0, 202).sends_bytes(b"hello "), "s1", 1, "0-5")
                .request_header("Content-Range", "0-5"),
            goes_on(patch(1, 202).sends_bytes(b"world"), "s1", 2, "0-10"),
            close("s1", 2, &d, 201).header("Docker-Content-Digest", &d),
        ],
    )
    .await;
    assert_eq!(table.challenges, 2);
}

#[tokio::test]
async fn sessions_are_asked_cancelled_and_told_apart() {
    holds(
        7,
        [
            start("s1"),
            start("s2"),
            goes_on(step("GET", "s1", 0, 204), "s1", 1, "0-0"),
            goes_on(step("PATCH", "s2", 0, 202).sends_bytes(b"abc"), "s2", 1, "0-2"),
            step("DELETE", "s1", 1, 204),
            close("s2", 1, &digest("abc"), 201).header("Docker-Content-Digest", &digest("abc")),
            made("POST /v2/a/blobs/uploads/", 404).fails("NAME_UNKNOWN", "no"),
        ],
    )
    .await;
    // The whole blob in the closing request; a session that was opened elsewhere.
    let d = digest("whole");
    let table = holds(
        4,
        [
            start("s3"),
            close("s3", 0, &d, 201).sends_bytes(b"whole").header("Docker-Content-Digest", &d),
            goes_on(step("PATCH", "s4", 3, 202).sends_bytes(b"xy"), "s4", 4, "0-1"),
            close("s4", 4, "sha256_encoded_stream", 201)
                .header("Docker-Content-Digest", "sha256_encoded_stream"),
        ],
    )
    .await;
    assert_eq!(table.implied, 1, "the start of the second");
}

#[tokio::test]
async fn a_chunk_out_of_step_is_sent_again_or_ends_the_upload() {
    let d = digest("hello world");
    let patch = |state, status| step("PATCH", "s", state, status);
    let refused = || {
        patch(1, 416)
            .sends_bytes(b"world")
            .request_header("Content-Range", "-1--1")
            .fails("BLOB_UPLOAD_RANGE_INVALID", "blob upload range invalid")
    };
    let first = || goes_on(patch(0, 202).sends_bytes(b"hello "), "s", 1, "0-5");
    let table = holds(
        5,
        [
            start("s"),
            first(),
            refused(),
            goes_on(patch(1, 202).sends_bytes(b"world"), "s", 2, "0-10"),
            close("s", 2, &d, 201).header("Docker-Content-Digest", &d),
        ],
    )
    .await;
    assert_eq!(table.implied, 1, "how far it got");
    holds(3, [start("s"), first(), refused()]).await;
    holds(
        3,
        [start("s"), first(), patch(1, 404).sends_bytes(b"x").fails("BLOB_UPLOAD_UNKNOWN", "no")],
    )
    .await;
    let wrong = close("s", 1, "sha256:00000000", 400).fails("DIGEST_INVALID", "did not match");
    holds(3, [start("s"), first(), wrong]).await;
}

#[tokio::test]
async fn a_blob_is_mounted_or_becomes_an_upload() {
    let d = digest("content").replace(':', "%3A");
    let mount = format!("POST /v2/a/blobs/uploads/?from=b%2Fc&mount={d}");
    let scopes = "repository:b/c:pull repository:a:push,pull";
    let [exchange, token] = sign_in(scopes);
    let table = holds(
        2 + 1 + 2,
        [
            challenge(&mount, scopes),
            exchange,
            token,
            made(&mount, 201).header("Docker-Content-Digest", &digest("content")),
            goes_on(made(&mount, 202), "s", 0, "0-0"),
            step("DELETE", "s", 0, 204),
            made("POST /v2/a/blobs/uploads/?from=b&mount=none", 404)
                .answers_text("404 page not found\n"),
        ],
    )
    .await;
    assert_eq!((table.refused, table.challenges), (1, 1));
}

#[tokio::test]
async fn an_upload_that_is_not_the_recorded_one_fails() {
    let d = digest("abc");
    let first = || goes_on(step("PATCH", "s", 0, 202).sends_bytes(b"abc"), "s", 1, "0-2");
    let wrong_type = first().request_header("Content-Type", "text/plain");
    fails("content-type", [start("s"), wrong_type]).await;
    // A success that does not name the digest is looked at, and nobody recorded that.
    fails("not to the location", [start("s"), first(), close("s", 1, &d, 200)]).await;
    let elsewhere = made("POST /v2/a/blobs/uploads/", 202)
        .header("Location", "https://evil.example/v2/a/blobs/uploads/s?_state=0");
    fails("failed", [elsewhere]).await;
    fails("unknown operation", [start("s"), step("TRACE", "s", 0, 204)]).await;
}
