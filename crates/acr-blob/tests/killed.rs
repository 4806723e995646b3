//! A process that is killed half-way, and another one that goes on.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests may stop at the first surprise"
)]

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use acr_blob::{BlobClient, Content, DownloadCheckpoint};
use acr_core::{Digest, Endpoint, Pipeline, Transport, TransportBuilder, http::Request};
use acr_testkit::{FakeRegistry, Operation, Tls};
use http::{HeaderValue, header};
use tower::ServiceExt as _;

const SIZE: u64 = 256 << 20;
const CHUNK: u64 = 8 << 20;

/// Set in the children: what to do, with which folder and which registry.
const TASK: &str = "ACR_BLOB_TEST_TASK";

fn client(address: &str) -> BlobClient {
    let endpoint = Endpoint::insecure_loopback(address.parse().unwrap()).unwrap();
    let transport = TransportBuilder::new().build().unwrap();
    let transport = Transport::new(tower::service_fn(move |mut request: Request| {
        if request.uri().path().starts_with("/v2/") {
            let basic = HeaderValue::from_static("Basic dXNlcjpwYXNzd29yZA==");
            request.headers_mut().insert(header::AUTHORIZATION, basic);
        }
        transport.clone().oneshot(request)
    }));
    let pipeline = Pipeline::builder(endpoint).transport(transport).build().unwrap();
    BlobClient::new(pipeline, "a".parse().unwrap())
}

/// Replaces a file at once, so that a kill leaves the old or the new one.
fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(&new, path).unwrap();
}

fn saved(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok()
}

/// Tells the parent how far it is; it is killed when the parent likes.
fn tell(bytes: u64) {
    let mut out = std::io::stderr().lock();
    writeln!(out, "at {bytes}").unwrap();
}

async fn upload(folder: &Path, address: &str) {
    let place = folder.join("upload.json");
    let content = Content::file(folder.join("source")).await.unwrap();
    let blobs = client(address);
    let mut upload = blobs.upload(content);
    if let Some(text) = saved(&place) {
        upload = upload.resume(serde_json::from_str(&text).unwrap());
    }
    let info = upload
        .on_checkpoint(move |checkpoint| {
            replace(&place, &serde_json::to_string(checkpoint).unwrap());
            tell(checkpoint.confirmed());
        })
        .await
        .unwrap();
    replace(&folder.join("digest"), info.digest.as_str());
}

async fn download(folder: &Path, address: &str) {
    let place = folder.join("download.json");
    let target = folder.join("target");
    let digest: Digest = saved(&folder.join("digest")).unwrap().parse().unwrap();
    let blobs = client(address);
    let mut download = blobs.download(&digest);
    let checkpoint: Option<DownloadCheckpoint> =
        saved(&place).map(|text| serde_json::from_str(&text).unwrap());
    let written = checkpoint.as_ref().map_or(0, DownloadCheckpoint::delivered);
    let mut file = match checkpoint {
        None => fs::File::create(&target).unwrap(),
        Some(checkpoint) => {
            let file = checkpoint.reopen(&target).await.unwrap();
            download = download.resume(checkpoint);
            file
        }
    };
    let mut reader = download.await.unwrap();
    let mut noted = written;
    while let Some(piece) = reader.chunk().await.unwrap() {
        file.write_all(&piece).unwrap();
        let checkpoint = reader.checkpoint();
        if checkpoint.delivered() - noted >= CHUNK {
            noted = checkpoint.delivered();
            replace(&place, &serde_json::to_string(&checkpoint).unwrap());
            tell(noted);
        }
    }
}

/// The children: this test binary once more. Without the variable there is nothing to do.
#[test]
fn child() {
    let Ok(task) = std::env::var(TASK) else {
        return;
    };
    let [name, folder, address] = task.split('|').collect::<Vec<_>>()[..] else { panic!("{task}") };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let folder = PathBuf::from(folder);
    match name {
        "upload" => runtime.block_on(upload(&folder, address)),
        "download" => runtime.block_on(download(&folder, address)),
        other => panic!("{other}"),
    }
}

/// Runs a child; kills it when it has got so far.
fn run_child(name: &str, folder: &Path, address: &str, kill_at: Option<u64>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--nocapture", "--test-threads=1"])
        .env(TASK, format!("{name}|{}|{address}", folder.display()))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    for line in lines {
        let at = line.strip_prefix("at ").and_then(|text| text.parse::<u64>().ok());
        if kill_at.zip(at).is_some_and(|(kill, at)| at >= kill) {
            // SIGKILL on Unix.
            child.kill().unwrap();
        }
    }
    let status = child.wait().unwrap();
    assert_eq!(status.success(), kill_at.is_none(), "{name}: {status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_costs_at_most_one_chunk() {
    let registry = FakeRegistry::builder().user("user", "password").build();
    let server = registry.serve(Tls::Off).await.unwrap();
    let address = server.endpoint().authority().to_owned();
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    let mut file = fs::File::create(&source).unwrap();
    for number in 0..SIZE / CHUNK {
        file.write_all(&vec![number as u8 + 1; CHUNK as usize]).unwrap();
    }
    drop(file);

    let run = |name: &'static str, kill_at| {
        let (folder, address) = (folder.path().to_owned(), address.clone());
        tokio::task::spawn_blocking(move || run_child(name, &folder, &address, kill_at))
    };
    run("upload", Some(SIZE / 2)).await.unwrap();
    run("upload", None).await.unwrap();
    let received: u64 = registry.journal().entries().iter().map(|e| e.body_bytes).sum();
    assert!(received <= SIZE + CHUNK, "{received}");
    assert_eq!(registry.journal().count_of(Operation::StartUpload), 1);
    assert_eq!(registry.open_uploads(), 0);

    run("download", Some(SIZE / 2)).await.unwrap();
    let first = fs::read_to_string(folder.path().join("download.json")).unwrap();
    let first: DownloadCheckpoint = serde_json::from_str(&first).unwrap();
    // Killed in the middle, and what was written after the checkpoint is less than a chunk.
    assert!((SIZE / 2..SIZE).contains(&first.delivered()));
    let written = fs::metadata(folder.path().join("target")).unwrap().len();
    assert!(written - first.delivered() <= CHUNK);
    registry.journal().clear();
    run("download", None).await.unwrap();
    assert_eq!(registry.journal().count_of(Operation::DownloadBlob), 1);
    assert!(fs::read(folder.path().join("target")).unwrap() == fs::read(&source).unwrap());
    server.shutdown().await;
}
