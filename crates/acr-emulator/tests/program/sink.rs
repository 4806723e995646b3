//! The program as a sink: what it tells, what it refuses.

use acr_core::Digest;
use tokio::process::Command;

use crate::support::{Emulator, refused};

async fn sink(arguments: &[&str]) -> Emulator {
    let mut command = Command::new(env!("CARGO_BIN_EXE_acr-emulator"));
    Emulator::spawn(command.arg("--sink").args(arguments)).await
}

#[tokio::test]
async fn a_sink_says_where_it_is_and_what_it_counted() {
    let sink = sink(&["--items", "250"]).await;
    assert_eq!(sink.ready["endpoint"], sink.ready["storage"]);
    let got = sink.ask("GET /v2/bench/40/blobs/sha256:00", "").await;
    assert_eq!((got.status, got.body.len()), (200, 40), "{got:?}");
    assert_eq!(Digest::sha256(&got.body), Digest::sha256(&acr_testkit::sink_content()[..40]));
    let got = sink.ask("GET /acr/v1/a/_tags?n=200", "").await;
    assert_eq!(got.json()["tags"].as_array().unwrap().len(), 200);
    assert!(got.header("link").contains("last=tag-00000199"), "{got:?}");
    let stats = sink.ask("GET /_sink/stats", "").await.json();
    assert_eq!(
        (&stats["requests"]["GET blob"], &stats["requests"]["GET list"]),
        (&1.into(), &1.into())
    );
    assert_eq!((&stats["connections"], &stats["most_open"]), (&2.into(), &1.into()));
    sink.stop().await;
}

#[tokio::test]
async fn a_sink_keeps_its_authority_too() {
    let folder = tempfile::TempDir::new().unwrap();
    let arguments = ["--tls", "--cert-dir", folder.path().to_str().unwrap()];
    let mut kept = Vec::new();
    for _ in 0..2 {
        let sink = sink(&arguments).await;
        let path = folder.path().join("ca.pem");
        assert_eq!(sink.ready["ca"], path.to_str().unwrap());
        kept.push(std::fs::read_to_string(path).unwrap());
        sink.stop().await;
    }
    assert_eq!(kept[0], kept[1]);
}

#[tokio::test]
async fn options_of_a_registry_and_of_a_sink_exclude_each_other() {
    // All others begin with a user, which a sink does not have.
    let error = refused(&["--sink"]).await;
    assert!(error.contains("--sink") && error.contains("--user"), "{error}");
    for option in
        [&["--latency-ms", "5"][..], &["--rate", "1000"], &["--items", "1"], &["--challenges"]]
    {
        let error = refused(option).await;
        assert!(error.contains(option[0]) && error.contains("--user"), "{option:?}: {error}");
        let mut command = Command::new(env!("CARGO_BIN_EXE_acr-emulator"));
        let output = command.args(option).kill_on_drop(true).output().await.unwrap();
        assert_eq!(output.status.code(), Some(2), "{option:?}");
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains("--sink"), "{option:?}: {error}");
    }
}
