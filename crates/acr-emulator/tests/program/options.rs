//! Rights, quota, faults, journal, time.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{Emulator, Got, refused};

#[tokio::test]
async fn scope_maps_come_from_a_file() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("maps.json");
    let text = r#"{"scopeMaps":[{"name":"ci","actions":["repositories/ci/*/content/read"]}],
        "tokens":[{"name":"bob","passwords":["secret"],"scopeMap":"ci"}],
        "entraTokens":[{"token":"entra-of-bob","scopeMap":"ci"}]}"#;
    std::fs::write(&path, text).unwrap();
    let emulator = Emulator::start(&["--scope-map", path.to_str().unwrap()]).await;
    assert_eq!(emulator.ready["entra_token"], "entra-of-bob");
    let service = emulator.address();
    let form = format!(
        "grant_type=password&service={service}&username=bob&password=secret&scope=repository:ci/a:pull,push"
    );
    let headers = "Content-Type: application/x-www-form-urlencoded\r\n";
    let got = emulator.ask_with("POST /oauth2/token", headers, form.replace(':', "%3A")).await;
    assert_eq!(got.status, 200, "{got:?}");
    let token = got.json()["access_token"].as_str().unwrap().to_owned();
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&payload).unwrap();
    let access = serde_json::json!([{"type":"repository","name":"ci/a","actions":["pull"]}]);
    assert_eq!(claims["access"], access);
    std::fs::write(&path, text.replace("content/read", "content/fly")).unwrap();
    let error = refused(&["--scope-map", path.to_str().unwrap()]).await;
    assert!(error.contains("content/fly") && error.contains("maps.json"), "{error}");
}

#[tokio::test]
async fn whom_it_lets_in_is_told_on_the_line() {
    let emulator = Emulator::start(&["--entra-token", "entra-of-ann", "--anonymous", "pull"]).await;
    let service = emulator.address().to_owned();
    let headers = "Content-Type: application/x-www-form-urlencoded\r\n";
    for (token, status) in [("entra-of-ann", 200), ("entra-of-eve", 401)] {
        let form = format!("grant_type=access_token&service={service}&access_token={token}");
        let got =
            emulator.ask_with("POST /oauth2/exchange", headers, form.replace(':', "%3A")).await;
        assert_eq!(got.status, status, "{got:?}");
    }
    // Nobody in particular gets what everybody may do, and no more.
    let form = format!("grant_type=password&service={service}&scope=repository:a:pull,push");
    let got = emulator.ask_with("POST /oauth2/token", headers, form.replace(':', "%3A")).await;
    let token = got.json()["access_token"].as_str().unwrap().to_owned();
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&payload).unwrap();
    let access = serde_json::json!([{"type":"repository","name":"a","actions":["pull"]}]);
    assert_eq!(claims["access"], access);
}

#[tokio::test]
async fn a_quota_is_kept() {
    let emulator = Emulator::start(&["--quota", "2:1"]).await;
    for status in [200, 200, 429] {
        let got = emulator.ask("GET /v2/", "").await;
        assert_eq!(got.status, status);
        assert_eq!(got.header("retry-after"), if status == 429 { "30" } else { "" });
    }
}

#[tokio::test]
async fn faults_come_from_a_file_or_the_line_and_the_journal_tells() {
    let folder = TempDir::new().unwrap();
    let (plan, journal) = (folder.path().join("plan"), folder.path().join("journal"));
    std::fs::write(&plan, "# the first two\nstatus op=ping status=503 times=2\n").unwrap();
    let arguments = [
        "--faults",
        plan.to_str().unwrap(),
        "--faults",
        "status op=ping status=502 nth=3; status op=ping status=500 nth=4",
        "--journal",
        journal.to_str().unwrap(),
    ];
    let emulator = Emulator::start(&arguments).await;
    let statuses = [503, 503, 502, 500, 200];
    for status in statuses {
        assert_eq!(emulator.ask("GET /v2/?canary=secret", "").await.status, status);
    }
    emulator.stop().await;
    let text = std::fs::read_to_string(&journal).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.iter().map(|line| line["status"].clone()).collect::<Vec<_>>(), statuses);
    assert_eq!((&lines[0]["operation"], &lines[0]["origin"]), (&"ping".into(), &"registry".into()));
    assert_eq!(lines[0]["query"], serde_json::json!(["canary"]));
    assert!(!text.contains("secret") && !text.contains("YW5u"), "{text}");
}

#[tokio::test]
async fn a_file_of_faults_that_is_not_there_is_told_as_one() {
    for (text, told) in
        [("no/such.file", "there is no such file"), ("status op=ping", "`status=` is missing")]
    {
        let error = refused(&["--faults", text]).await;
        assert!(error.contains(text) && error.contains(told), "{error}");
    }
}

#[tokio::test]
async fn time_runs_at_its_rate() {
    // A minute is over within a microsecond at this rate.
    let arguments = ["--clock-rate", "100000000", "--upload-lifetime", "60"];
    let emulator = Emulator::start(&arguments).await;
    let start = emulator.ask("POST /v2/a/blobs/uploads/", "").await;
    assert_eq!(start.status, 202);
    let got = emulator.ask(&format!("GET {}", start.header("location")), "").await;
    assert_eq!(got.status, 404, "{got:?}");
}

#[tokio::test]
async fn e1_the_storage_has_another_host_than_the_registry_whatever_that_is_called() {
    let emulator = Emulator::start(&["--blobs", "redirect"]).await;
    let digest = emulator.push_blob("a", b"content").await;
    let storage = emulator.ready["storage"].as_str().unwrap().to_owned();
    let port = storage.rsplit(':').next().unwrap();
    assert_eq!(storage, format!("http://localhost:{port}"));
    let line = format!("GET /v2/a/blobs/{digest}");
    let got = emulator.ask(&line, "").await;
    assert!(got.header("location").starts_with(&format!("{storage}/")), "{got:?}");
    let own = emulator.address().rsplit(':').next().unwrap();
    let named = Emulator::head_for(&format!("localhost:{own}"), &line, "", 0);
    let mut stream = emulator.connect().await;
    stream.write_all(named.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    let got = Got::read(&bytes);
    assert!(got.header("location").starts_with(&format!("http://127.0.0.1:{port}/")), "{got:?}");
}

#[tokio::test]
async fn e1_the_storage_port_can_be_set_and_a_busy_one_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for option in ["--storage-listen", "--listen"] {
        let error = refused(&[option, &address]).await;
        assert!(error.contains(&address), "{error}");
    }
    drop(taken);
    let emulator = Emulator::start(&["--storage-listen", &address]).await;
    let port = address.rsplit(':').next().unwrap();
    assert_eq!(emulator.ready["storage"], format!("http://localhost:{port}"));
}

#[tokio::test]
async fn e7_names_and_options_are_as_a_user_expects() {
    let emulator = Emulator::start(&["--listen", "localhost:0"]).await;
    assert!(emulator.address().starts_with("127.0.0.1:"));
    for user in [":", "ann:", ":secret", "ann"] {
        let error = refused(&["--user", user]).await;
        assert!(error.contains("NAME:PASSWORD"), "{error}");
    }
    for (option, told) in [("--version", "acr-emulator "), ("--help", "Examples:")] {
        let output = crate::support::command(&[option]).output().await.unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && text.contains(told), "{text}");
    }
}

#[test]
fn e4_the_guide_lists_every_operation() {
    let guide = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/test-your-code.md");
    let guide = std::fs::read_to_string(guide).unwrap();
    let (_, list) = guide.split_once("\nOperations: ").unwrap();
    let list = list.split("\n\n").next().unwrap();
    for operation in acr_testkit::Operation::ALL {
        assert!(list.contains(&format!("`{operation}`")), "{operation}");
    }
}

/// One that there is not would keep the emulator from starting, and a suite of another language
/// compiles with it.
#[test]
fn e4_guides_and_suites_name_operations_that_there_are() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut folders = vec![root.join("docs"), root.join("interop/suites")];
    let (mut named, mut unknown) = (0, Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() {
                if !matches!(name, "node_modules" | "target") {
                    folders.push(path);
                }
                continue;
            }
            // What is no text names nothing.
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            for (_, after) in
                text.match_indices(" op=").map(|(at, sign)| text.split_at(at + sign.len()))
            {
                let is_of_name = |c: char| c.is_ascii_lowercase() || c == '_';
                let end = after.find(|c| !is_of_name(c)).unwrap_or(after.len());
                named += 1;
                if after[..end].parse::<acr_testkit::Target>().is_err() {
                    unknown.push(format!("{}: `{}`", path.display(), &after[..end]));
                }
            }
        }
    }
    assert!(unknown.is_empty(), "{}", unknown.join("\n"));
    assert!(named >= 15, "{named}: they are looked for in the wrong place");
}
