//! What a client may send at its worst: memory stays bounded, and every refusal has a reason.

use std::{ops::Range, path::Path, time::Duration};

use acr_core::Digest;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
    task::JoinSet,
};

use crate::support::{Emulator, Kept, OCI_MANIFEST, command, refused};

/// How much memory a process has resident, in KiB.
fn resident(emulator: &Emulator) -> u64 {
    let path = format!("/proc/{}/status", emulator.ready["pid"]);
    let text = std::fs::read_to_string(path).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// One request of each hostile kind.
async fn attack(emulator: &mut Kept, number: usize) {
    let long = format!("{number:0>60000}");
    let body = long.as_bytes();
    let manifest = format!("Content-Type: {OCI_MANIFEST}\r\n");
    let index = "Content-Type: application/vnd.oci.image.index.v1+json\r\n";
    let (line, headers, body) = match number % 10 {
        0 => (format!("GET /{long}"), "", &b""[..]),
        1 => (format!("GET /v2/{long}/tags/list"), "", &b""[..]),
        2 => (format!("GET /v2/?{long}&{}", "x&".repeat(2_000)), "", &b""[..]),
        3 => {
            let form = "Content-Type: application/x-www-form-urlencoded\r\n";
            ("POST /oauth2/token".to_owned(), form, body)
        }
        4 => (format!("PUT /v2/a/manifests/t{number}"), manifest.as_str(), body),
        5 => {
            let valid =
                format!(r#"{{"schemaVersion":2,"manifests":[],"annotations":{{"n":"{long}"}}}}"#);
            let line = format!("PUT /v2/a/manifests/t{number}");
            let got = emulator.ask(&line, index, valid.as_bytes()).await;
            assert!(matches!(got.status, 201 | 507), "{got:?}");
            return;
        }
        6 => {
            let got = emulator.ask("POST /v2/a/blobs/uploads/", "", b"").await;
            assert!(matches!(got.status, 202 | 429), "{got:?}");
            if got.status == 202 {
                let line = format!("PATCH {}", got.header("location"));
                assert_eq!(emulator.ask(&line, "", &body[..20_000]).await.status, 202);
            }
            return;
        }
        7 => {
            let line = format!("POST /v2/a/blobs/uploads/?digest={}", Digest::sha256(body));
            assert_eq!(emulator.ask(&line, "", body).await.status, 201);
            return;
        }
        8 => (format!("DELETE /acr/v1/{number}/_tags/{long}"), "", body),
        _ => ("PATCH /acr/v1/a".to_owned(), "", body),
    };
    let got = emulator.ask(&line, headers, body).await;
    assert!((200..500).contains(&got.status), "{line}: {}", got.status);
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn e6_hostile_requests_do_not_fill_the_memory() {
    let count = std::env::var("ACR_TESTKIT_HOSTILE").map_or(4_000, |text| text.parse().unwrap());
    let emulator = Emulator::start(&[]).await;
    // One of each kind first, so that what every process needs once is not counted.
    attack_with(&emulator, 0..100).await;
    let before = resident(&emulator);
    attack_with(&emulator, 100..count).await;
    let grown = resident(&emulator).saturating_sub(before) / 1024;
    println!("{count} requests left {grown} MiB");
    assert!(grown <= 64, "{count} requests left {grown} MiB");
}

/// Several clients at once, each on a connection that it keeps.
#[cfg(target_os = "linux")]
async fn attack_with(emulator: &Emulator, numbers: Range<usize>) {
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let numbers = numbers.clone().skip(client).step_by(CLIENTS);
        let mut connection = Kept::to(emulator);
        clients.spawn(async move {
            for number in numbers {
                attack(&mut connection, number).await;
            }
        });
    }
    clients.join_all().await;
}

#[cfg(target_os = "linux")]
const CLIENTS: usize = 8;

#[tokio::test]
async fn e6_a_standard_error_that_nobody_reads_stops_nobody() {
    let emulator = Emulator::start(&[]).await;
    let kind = format!("Content-Type: {}\r\n", "x".repeat(1_900));
    let all = async {
        // Several times what a pipe holds.
        for number in 0..400 {
            let line = format!("PUT /v2/a/manifests/{number}");
            assert_eq!(emulator.ask_with(&line, &kind, "{}").await.status, 400);
        }
    };
    tokio::time::timeout(Duration::from_secs(60), all).await.expect("it waits for a reader");
    emulator.stop().await;
}

#[tokio::test]
async fn e6_manifests_have_a_bound_that_is_named_and_comes_back() {
    let emulator = Emulator::start(&["--manifest-memory", "1"]).await;
    let index = |n: usize| {
        let filling = "x".repeat(300_000);
        format!(r#"{{"schemaVersion":2,"manifests":[],"annotations":{{"{n}":"{filling}"}}}}"#)
    };
    let kind = "Content-Type: application/vnd.oci.image.index.v1+json\r\n";
    assert_eq!(emulator.ask_with("PUT /v2/a/manifests/v1", kind, index(1)).await.status, 201);
    let got = emulator.ask_with("PUT /v2/a/manifests/v2", kind, index(2)).await;
    assert_eq!(got.status, 507);
    let text = String::from_utf8(got.body).unwrap();
    assert!(text.contains("1 MiB of manifests") && text.contains("--manifest-memory"), "{text}");
    let line = format!("DELETE /v2/a/manifests/{}", Digest::sha256(index(1).as_bytes()));
    assert_eq!(emulator.ask(&line, "").await.status, 202);
    assert_eq!(emulator.ask_with("PUT /v2/a/manifests/v2", kind, index(2)).await.status, 201);
}

#[tokio::test]
async fn e6_a_full_disk_is_told_and_breaks_no_connection() {
    let folder = TempDir::new().unwrap();
    // Made before the limit, which the new database would exceed.
    Emulator::on(folder.path()).await.stop().await;
    let mut limited = Command::new("sh");
    // Files may not grow beyond so many blocks; the signal that says so is passed over.
    limited.args(["-c", "trap '' XFSZ; ulimit -f 16384; exec \"$0\" \"$@\""]);
    let plain = command(&["--data", folder.path().to_str().unwrap()]);
    limited.arg(plain.as_std().get_program()).args(plain.as_std().get_args());
    let emulator = Emulator::spawn(&mut limited).await;
    let large = vec![7; 24 << 20];
    let digest = Digest::sha256(&large);
    let got = emulator.ask(&format!("POST /v2/a/blobs/uploads/?digest={digest}"), &large).await;
    let text = String::from_utf8_lossy(&got.body).into_owned();
    assert_eq!(got.status, 507, "{text}");
    assert!(text.contains("/content/") && text.contains("make room"), "{text}");
    let start = emulator.ask("POST /v2/a/blobs/uploads/", "").await;
    let location = start.header("location").to_owned();
    assert_eq!(emulator.ask(&format!("PATCH {location}"), &large).await.status, 507);
    // What arrived before is told, and something smaller still fits.
    let got = emulator.ask(&format!("GET {location}"), "").await;
    assert_eq!(got.status, 204, "{got:?}");
    emulator.push_blob("a", b"small").await;
    emulator.stop().await;
    let emulator = Emulator::on(folder.path()).await;
    let line = format!("GET /v2/a/blobs/{}", Digest::sha256(b"small"));
    assert_eq!(emulator.ask(&line, "").await.body, b"small");
    let got = emulator.ask(&format!("POST /v2/a/blobs/uploads/?digest={digest}"), &large).await;
    assert_eq!(got.status, 201, "with room again");
}

#[tokio::test]
async fn e6_a_missing_content_file_is_named() {
    let folder = TempDir::new().unwrap();
    let emulator = Emulator::on(folder.path()).await;
    let digest = emulator.push_blob("a", b"content").await;
    let start = emulator.ask("POST /v2/a/blobs/uploads/", "").await;
    emulator.ask(&format!("PATCH {}", start.header("location")), "part").await;
    emulator.stop().await;
    let upload = start.header("docker-upload-uuid").to_owned();
    let content = folder.path().join("content");
    let files = |folder: &Path| -> Vec<_> {
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    let elsewhere = TempDir::new().unwrap();
    for file in files(&content) {
        let kept = elsewhere.path().join("kept");
        std::fs::rename(&file, &kept).unwrap();
        let error = refused(&["--data", folder.path().to_str().unwrap()]).await;
        let name = file.file_name().unwrap().to_str().unwrap();
        let what = if name == upload { upload.as_str() } else { digest.as_str() };
        for told in [name, what, "damaged", "put it back"] {
            assert!(error.contains(told), "{told}: {error}");
        }
        std::fs::rename(&kept, &file).unwrap();
    }
    Emulator::on(folder.path()).await.stop().await;
}

#[tokio::test]
async fn e5_a_refused_manifest_has_its_reason_in_the_journal_and_on_stderr() {
    let folder = TempDir::new().unwrap();
    let journal = folder.path().join("journal");
    let mut emulator = Emulator::start(&["--journal", journal.to_str().unwrap()]).await;
    let kind = format!("Content-Type: {OCI_MANIFEST}\r\n");
    let got = emulator.ask_with("PUT /v2/a/manifests/v1", &kind, r#"{"schemaVersion":2}"#).await;
    assert_eq!(got.status, 400);
    let text = String::from_utf8(got.body).unwrap();
    assert!(text.contains(r#""detail":{"Reason":{}}"#), "as recorded: {text}");
    let mut errors = BufReader::new(emulator.errors()).lines();
    let line = errors.next_line().await.unwrap().unwrap();
    assert_eq!(line, "PUT /v2/a/manifests/v1: 400, `config` is missing");
    let entry: serde_json::Value =
        serde_json::from_str(std::fs::read_to_string(&journal).unwrap().trim()).unwrap();
    assert_eq!(entry["reason"], "`config` is missing");
}
