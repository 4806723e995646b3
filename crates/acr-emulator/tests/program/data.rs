//! A registry in a folder outlives its process, killed or not.

use std::sync::Arc;

use acr_core::{Algorithm, Digest, Digester};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;

use crate::support::{Emulator, OCI_MANIFEST, refused};

#[tokio::test]
async fn everything_answered_is_there_after_a_kill() {
    let folder = TempDir::new().unwrap();
    let emulator = Emulator::on(folder.path()).await;
    let large = vec![7; 3_000_000];
    let digest = emulator.push_image("team/app", "v1", &large).await;
    let second = emulator.push_image("team/app", "v2", b"small").await;
    emulator.push_image("gone", "v1", b"small").await;
    for (line, body, status) in [
        ("PATCH /acr/v1/team/app/_tags/v1", r#"{"deleteEnabled":false}"#, 200),
        ("PATCH /acr/v1/team/app", r#"{"listEnabled":false}"#, 200),
        ("DELETE /acr/v1/gone", "", 202),
        ("DELETE /acr/v1/team/app/_tags/v2", "", 202),
    ] {
        assert_eq!(emulator.ask(line, body).await.status, status, "{line}");
    }
    let lines = [
        "GET /acr/v1/team/app".to_owned(),
        "GET /acr/v1/team/app/_tags".to_owned(),
        "GET /acr/v1/team/app/_tags?orderby=timedesc".to_owned(),
        "GET /acr/v1/team/app/_manifests".to_owned(),
        format!("GET /acr/v1/team/app/_manifests/{second}"),
        format!("GET /v2/team/app/manifests/{digest}"),
        "GET /acr/v1/_catalog".to_owned(),
        "GET /acr/v1/gone".to_owned(),
    ];
    let own_address = emulator.address().to_owned();
    let mut before = Vec::new();
    for line in &lines {
        before.push(String::from_utf8(emulator.ask(line, "").await.body).unwrap());
    }
    emulator.kill().await;

    let emulator = Emulator::on(folder.path()).await;
    for (line, before) in lines.iter().zip(before) {
        let body = String::from_utf8(emulator.ask(line, "").await.body).unwrap();
        assert_eq!(body.replace(emulator.address(), &own_address), before, "{line}");
    }
    let layer = Digest::sha256(&large);
    let got = emulator.ask(&format!("GET /v2/team/app/blobs/{layer}"), "").await;
    assert!(got.body == large);
    assert_eq!(emulator.ask("DELETE /acr/v1/team/app/_tags/v1", "").await.status, 405, "locked");
    emulator.stop().await;
}

#[tokio::test]
async fn a_kill_in_the_middle_of_a_push_leaves_what_was_answered_and_nothing_half_written() {
    let folder = TempDir::new().unwrap();
    let emulator = Emulator::on(folder.path()).await;
    let start = emulator.ask("POST /v2/a/blobs/uploads/", "").await;
    let (first, second) = (vec![1u8; 1_500_000], vec![2u8; 2_500_000]);
    let patch = format!("PATCH {}", start.header("location"));
    let got = emulator.ask(&patch, &first).await;
    assert_eq!((got.status, got.header("range")), (202, "0-1499999"));
    let location = got.header("location").to_owned();
    // The second chunk and a whole blob are on their way, each half sent, when the kill comes.
    let whole = Digest::sha256(&second);
    let mut streams = Vec::new();
    for line in [format!("PATCH {location}"), format!("POST /v2/a/blobs/uploads/?digest={whole}")] {
        let mut stream = emulator.connect().await;
        let head = emulator.head(&line, "", second.len());
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&second[..1_200_000]).await.unwrap();
        stream.flush().await.unwrap();
        streams.push(stream);
    }
    emulator.kill().await;

    let emulator = Emulator::on(folder.path()).await;
    let got = emulator.ask(&format!("HEAD /v2/a/blobs/{whole}"), "").await;
    assert_eq!(got.status, 404, "a blob that did not arrive");
    let got = emulator.ask(&format!("GET {location}"), "").await;
    assert_eq!((got.status, got.header("range")), (204, "0-1499999"));
    let got = emulator.ask(&format!("PATCH {}", got.header("location")), &second).await;
    assert_eq!(got.status, 202, "{got:?}");
    let content = [first, second].concat();
    let digest = Digest::sha256(&content);
    // The last answer of the session, and the blob, survive a kill as well.
    let location = got.header("location").to_owned();
    emulator.kill().await;
    let emulator = Emulator::on(folder.path()).await;
    let got = emulator.ask(&format!("PUT {location}&digest={digest}"), "").await;
    assert_eq!(got.status, 201, "{got:?}");
    emulator.kill().await;
    let emulator = Emulator::on(folder.path()).await;
    assert!(emulator.ask(&format!("GET /v2/a/blobs/{digest}"), "").await.body == content);
    assert_eq!(emulator.ask(&format!("GET {location}"), "").await.status, 404, "it is over");
    let files = std::fs::read_dir(folder.path().join("content")).unwrap().count();
    assert_eq!(files, 1, "only the blob is left");
}

#[tokio::test]
async fn a_kill_among_many_writers_loses_nothing_that_was_answered() {
    let folder = TempDir::new().unwrap();
    for round in 0..3 {
        let emulator = Arc::new(Emulator::on(folder.path()).await);
        let (answered, mut answers) = tokio::sync::mpsc::unbounded_channel();
        let writers: Vec<_> = (0..8)
            .map(|writer| {
                let (emulator, answered) = (Arc::clone(&emulator), answered.clone());
                tokio::spawn(async move {
                    for number in 0.. {
                        let content = format!("{round} {writer} {number}").repeat(100);
                        let line = "POST /v2/a/blobs/uploads/?digest=";
                        let digest = Digest::sha256(content.as_bytes());
                        let got = emulator.try_ask(&format!("{line}{digest}"), content).await;
                        match got {
                            Some(got) if got.status == 201 => answered.send(digest).unwrap(),
                            _ => return,
                        }
                    }
                })
            })
            .collect();
        let mut digests = Vec::new();
        for _ in 0..40 {
            digests.push(answers.recv().await.unwrap());
        }
        emulator.kill_now().await;
        for writer in writers {
            writer.await.unwrap();
        }
        while let Ok(digest) = answers.try_recv() {
            digests.push(digest);
        }
        let emulator = Emulator::on(folder.path()).await;
        for digest in digests {
            let got = emulator.ask(&format!("GET /v2/a/blobs/{digest}"), "").await;
            assert_eq!(got.status, 200, "{digest} was answered and is lost");
            assert_eq!(Digest::sha256(&got.body), digest);
        }
        emulator.stop().await;
    }
}

#[tokio::test]
async fn cancelled_deleted_and_mismatched_content_leaves_no_file() {
    let folder = TempDir::new().unwrap();
    let emulator = Emulator::on(folder.path()).await;
    let digest = emulator.push_blob("a", b"content").await;
    let again = emulator.push_blob("b", b"content").await;
    assert_eq!(digest, again);
    let files = || std::fs::read_dir(folder.path().join("content")).unwrap().count();
    assert_eq!(files(), 1, "one content has one file");
    let start = emulator.ask("POST /v2/a/blobs/uploads/", "").await;
    let got = emulator.ask(&format!("PATCH {}", start.header("location")), "chunk").await;
    assert_eq!(files(), 2);
    let location = got.header("location");
    assert_eq!(emulator.ask(&format!("DELETE {location}"), "").await.status, 204);
    let line = format!("POST /v2/a/blobs/uploads/?digest={digest}");
    assert_eq!(emulator.ask(&line, "other").await.status, 400);
    assert_eq!(files(), 1);
    for (name, left) in [("a", 1), ("b", 0)] {
        let line = format!("DELETE /v2/{name}/blobs/{digest}");
        assert_eq!(emulator.ask(&line, "").await.status, 202);
        assert_eq!(files(), left);
    }
    let start = emulator.ask("POST /v2/empty/blobs/uploads/", "").await;
    let location = start.header("location");
    let line = format!("PUT {location}&digest={}", Digest::sha256(b""));
    assert_eq!(emulator.ask(&line, "").await.status, 201);
    emulator.kill().await;
    let emulator = Emulator::on(folder.path()).await;
    assert_eq!(emulator.ask(&format!("GET {location}"), "").await.status, 404, "it is over");
    let line = format!("GET /v2/empty/blobs/{}", Digest::sha256(b""));
    assert_eq!(emulator.ask(&line, "").await.status, 200);
    assert_eq!(emulator.ask(&format!("GET /v2/a/blobs/{digest}"), "").await.status, 404);
}

#[tokio::test]
async fn what_only_the_specification_allows_survives_too() {
    let folder = TempDir::new().unwrap();
    let arguments = ["--profile", "oci", "--data", folder.path().to_str().unwrap()];
    let emulator = Emulator::start(&arguments).await;
    let digest = emulator.push_image("a", "v1", b"layer").await;
    let kind = format!("Content-Type: {OCI_MANIFEST}\r\n");
    let manifest = emulator.ask(&format!("GET /v2/a/manifests/{digest}"), "").await.body;
    let line = format!("PUT /v2/a/manifests/{digest}?tag=x&tag=y");
    assert_eq!(emulator.ask_with(&line, &kind, &manifest).await.status, 201);
    assert_eq!(emulator.ask("DELETE /v2/a/manifests/v1", "").await.status, 202);
    let config = Digest::sha256(b"{}");
    let null =
        format!(r#"{{"schemaVersion":2,"config":{{"digest":"{config}","size":2}},"layers":null}}"#);
    assert_eq!(emulator.ask_with("PUT /v2/a/manifests/null", &kind, &null).await.status, 201);
    let mount = format!("POST /v2/b/blobs/uploads/?mount={}", Digest::sha256(b"layer"));
    assert_eq!(emulator.ask(&mount, "").await.status, 201);
    let mut digester = Digester::new(Algorithm::Sha512);
    digester.update(b"other");
    let other = digester.finish();
    let files = || std::fs::read_dir(folder.path().join("content")).unwrap().count();
    let before = files();
    let line = format!("POST /v2/a/blobs/uploads/?digest={other}");
    assert_eq!(emulator.ask(&line, "another").await.status, 400);
    let start = emulator.ask("POST /v2/a/blobs/uploads/", "").await;
    let got = emulator.ask(&format!("PATCH {}", start.header("location")), "another").await;
    let location = got.header("location").to_owned();
    let got = emulator.ask(&format!("PUT {location}&digest={other}"), "").await;
    assert_eq!((got.status, files()), (400, before), "a mismatch leaves no file");
    assert_eq!(emulator.ask(&line, "other").await.status, 201);
    let quarantine = format!("PATCH /acr/v1/a/_manifests/{digest}");
    let got = emulator.ask(&quarantine, r#"{"quarantineState":"Failed"}"#).await;
    assert_eq!(got.status, 200);
    emulator.kill().await;

    let emulator = Emulator::start(&arguments).await;
    let tags = emulator.ask("GET /v2/a/tags/list", "").await.json()["tags"].clone();
    assert_eq!(tags, json!(["null", "x", "y"]));
    assert_eq!(emulator.ask("GET /v2/a/manifests/null", "").await.body, null.as_bytes());
    let layer = format!("GET /v2/b/blobs/{}", Digest::sha256(b"layer"));
    assert_eq!(emulator.ask(&layer, "").await.body, b"layer");
    assert_eq!(emulator.ask(&format!("GET /v2/a/blobs/{other}"), "").await.body, b"other");
    assert_eq!(emulator.ask(&format!("GET {location}"), "").await.status, 404, "it is over");
    assert_eq!(files(), before + 1);
    let tag = emulator.ask("GET /acr/v1/a/_tags/x", "").await.json()["tag"].clone();
    assert_eq!(tag["quarantineState"], "Failed");
    assert_eq!(emulator.ask("GET /v2/a/manifests/x", "").await.status, 404, "held back");
}

#[tokio::test]
async fn soft_deleted_manifests_survive_too() {
    let folder = TempDir::new().unwrap();
    let arguments = ["--soft-delete", "7", "--data", folder.path().to_str().unwrap()];
    let emulator = Emulator::start(&arguments).await;
    let digest = emulator.push_image("a", "v1", b"layer").await;
    assert_eq!(emulator.ask("DELETE /acr/v1/a", "").await.status, 202);
    let list = "GET /acr/v1/_deleted/a/_tags";
    let before = emulator.ask(list, "").await.json()["tags"].clone();
    emulator.kill().await;
    let emulator = Emulator::start(&arguments).await;
    assert_eq!(emulator.ask(list, "").await.json()["tags"], before);
    let line = format!("POST /acr/v1/_deleted/a/_manifests/{digest}");
    assert_eq!(emulator.ask(&line, r#"{"tag":"v1"}"#).await.status, 200);
    emulator.kill().await;
    let emulator = Emulator::start(&arguments).await;
    let accept = format!("Accept: {OCI_MANIFEST}\r\n");
    let got = emulator.ask_with("GET /v2/a/manifests/v1", &accept, "").await;
    assert_eq!(Digest::sha256(&got.body), digest);
    let layer = Digest::sha256(b"layer");
    assert_eq!(emulator.ask(&format!("GET /v2/a/blobs/{layer}"), "").await.body, b"layer");
}

#[tokio::test]
async fn one_folder_serves_one_process_and_damage_is_told() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().to_str().unwrap().to_owned();
    let emulator = Emulator::on(folder.path()).await;
    emulator.push_blob("a", b"content").await;
    let error = refused(&["--data", &path]).await;
    assert!(error.contains("in use by another registry") && error.contains(&path), "{error}");
    emulator.stop().await;
    let file = std::fs::read_dir(folder.path().join("content")).unwrap().next().unwrap().unwrap();
    std::fs::write(file.path(), "short").unwrap();
    let error = refused(&["--data", &path]).await;
    assert!(error.contains("5 bytes instead of 7"), "{error}");
    std::fs::write(folder.path().join("registry.redb"), "no database").unwrap();
    assert!(refused(&["--data", &path]).await.contains(&path));
}
