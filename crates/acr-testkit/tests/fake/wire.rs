//! Faults in the bytes of a connection.

use std::time::Duration;

use acr_core::Digest;
use acr_testkit::{ChallengeKind, CutEnd, FakeRegistry, Fault, JsonKind, Operation, Server, Tls};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::support::{Client, HOST, claims};

const PATIENCE: Duration = Duration::from_secs(20);

async fn served() -> (FakeRegistry, Server) {
    let registry = FakeRegistry::builder().user("ann", "secret").build();
    let server = registry.serve(Tls::Off).await.unwrap();
    (registry, server)
}

async fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(server.endpoint().authority()).await.unwrap()
}

/// One request on a connection of its own: what arrived, and how it ended.
async fn ask(server: &Server) -> (String, std::io::Result<()>) {
    let mut stream = connect(server).await;
    let host = server.endpoint().authority().to_owned();
    let head = format!(
        "GET /v2/ HTTP/1.1\r\nHost: {host}\r\nAuthorization: Basic YW5uOnNlY3JldA==\r\nConnection: close\r\n\r\n"
    );
    if let Err(error) = stream.write_all(head.as_bytes()).await {
        return (String::new(), Err(error));
    }
    let mut bytes = Vec::new();
    let end = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.unwrap().map(drop);
    (String::from_utf8(bytes).unwrap(), end)
}

#[tokio::test]
async fn answers_are_framed_wrongly() {
    let (registry, server) = served().await;
    let lower = |fault: Fault| {
        registry.inject(fault);
        let server = &server;
        async move {
            let (text, end) = ask(server).await;
            assert!(end.is_ok());
            text.to_ascii_lowercase()
        }
    };
    let text = lower(Fault::length(Operation::Ping, 10)).await;
    assert!(text.contains("\r\ncontent-length: 12\r\n") && text.ends_with("\r\n\r\n{}"), "{text}");
    let text = lower(Fault::length(Operation::Ping, -1)).await;
    assert!(text.contains("\r\ncontent-length: 1\r\n") && text.ends_with("\r\n\r\n{}"), "{text}");
    let text = lower(Fault::extend(Operation::Ping, 3)).await;
    assert!(
        text.contains("\r\ncontent-length: 2\r\n") && text.ends_with("\r\n\r\n{}xxx"),
        "{text}"
    );
    let text = lower(Fault::close_delimited(Operation::Ping)).await;
    assert!(!text.contains("content-length") && !text.contains("transfer-encoding"), "{text}");
    assert!(text.ends_with("\r\n\r\n{}"));
    let text = lower(Fault::garbage_chunk(Operation::Ping, 1)).await;
    assert!(text.ends_with("\r\n\r\n1\r\n{\r\nnonsense\r\n"), "{text}");
    let text = lower(Fault::informational(Operation::Ping, 50)).await;
    assert_eq!(text.matches("http/1.1 103 early hints\r\n").count(), 50);
    assert!(text.contains("http/1.1 200 ok\r\n") && text.ends_with("{}"), "{text}");
    let text = lower(Fault::header_flood(Operation::Ping, 300)).await;
    assert_eq!(text.matches("\r\nx-flood-").count(), 300);
    assert!(ask(&server).await.0.starts_with("HTTP/1.1 200 OK\r\n"), "nothing is left of them");
}

#[tokio::test]
async fn connections_are_cut_at_any_byte_in_three_ways() {
    let (registry, server) = served().await;
    registry.inject(Fault::cut(Operation::Ping, u64::MAX, CutEnd::Fin));
    let whole = ask(&server).await.0;
    assert!(whole.ends_with("\r\n\r\n{}"), "{whole}");
    let whole = whole.len() as u64;
    for at in [0, 5, 40, whole - 1] {
        registry.inject(Fault::cut(Operation::Ping, at, CutEnd::Fin));
        let (text, end) = ask(&server).await;
        assert_eq!(text.len() as u64, at);
        assert!(end.is_ok());
    }
    registry.inject(Fault::cut(Operation::Ping, 5, CutEnd::Reset));
    let (_, end) = ask(&server).await;
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    registry.inject(Fault::cut(Operation::Ping, 5, CutEnd::Stall));
    let mut stream = connect(&server).await;
    let head = b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n";
    stream.write_all(head).await.unwrap();
    let mut five = [0; 5];
    stream.read_exact(&mut five).await.unwrap();
    assert_eq!(&five, b"HTTP/");
    let more = timeout(Duration::from_millis(50), stream.read(&mut five)).await;
    assert!(more.is_err(), "it stays open and silent");
}

#[tokio::test]
async fn connections_are_refused_or_closed_when_idle() {
    let (registry, server) = served().await;
    registry.inject(Fault::refuse());
    let (text, end) = ask(&server).await;
    assert!(text.is_empty() && end.is_err(), "{end:?}");
    registry.inject(Fault::close_idle(Operation::Ping, Duration::from_millis(1)));
    let mut stream = connect(&server).await;
    stream.write_all(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut bytes = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.unwrap().unwrap();
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.starts_with("HTTP/1.1 401 "), "{text}");
    assert!(!text.to_ascii_lowercase().contains("connection: close"), "{text}");
}

#[tokio::test]
async fn an_early_answer_comes_before_the_body() {
    let (registry, server) = served().await;
    registry.inject(Fault::early_status(Operation::StartUpload, 413));
    let mut stream = connect(&server).await;
    let head = b"POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n";
    stream.write_all(head).await.unwrap();
    let mut start = [0; 12];
    timeout(PATIENCE, stream.read_exact(&mut start)).await.unwrap().unwrap();
    assert_eq!(&start, b"HTTP/1.1 413");
}

#[tokio::test]
async fn the_state_is_disturbed() {
    let client = Client::full(&FakeRegistry::new()).await;
    let registry = &client.registry;
    let location = client.start("a").await;
    registry.inject(Fault::lose_session(Operation::UploadChunk));
    let got = client.send("PATCH", &location, &[], "hello").await;
    assert_eq!((got.status, got.code().as_str()), (404, "BLOB_UPLOAD_UNKNOWN"));
    assert_eq!(registry.open_uploads(), 0);

    let own = client.push_image("a", "v1", "own").await;
    registry.inject(Fault::rival(Operation::TagProperties));
    let got = client.get("/acr/v1/a/_tags/v1").await.json();
    assert_ne!(got["tag"]["digest"], own.as_str(), "somebody else moved the tag");

    registry.inject(Fault::lag(Operation::PutManifest, 2));
    client.push_image("b", "v1", "own").await;
    for status in [404, 404, 200] {
        assert_eq!(client.get("/acr/v1/b/_tags/v1").await.status, status);
    }
    registry.inject(Fault::lag(Operation::CompleteUpload, 1));
    let digest = client.push_blob("b", "late").await;
    let path = format!("/v2/b/blobs/{digest}");
    for status in [404, 200] {
        assert_eq!(client.send("HEAD", &path, &[], "").await.status, status);
    }

    let location = client.start("a").await;
    registry.inject(Fault::cut_request(Operation::UploadChunk, 3));
    assert!(client.try_send("PATCH", &location, &[], "hello").await.is_err());
    assert_eq!(client.get(&location).await.header("range"), "0-2", "three bytes arrived");
}

#[tokio::test]
async fn tokens_and_challenges_are_spoilt() {
    let registry = FakeRegistry::new();
    let client = Client::bare(&registry);
    registry.inject(Fault::token_lifetime(Operation::FetchAccessToken, 1));
    let token = claims(&client.access_token("repository:a:pull").await);
    assert_eq!(token["exp"].as_i64().unwrap() - token["iat"].as_i64().unwrap(), 1);
    registry.inject(Fault::token_skew(Operation::FetchAccessToken, -600));
    let skewed = claims(&client.access_token("repository:a:pull").await);
    let late = token["iat"].as_i64().unwrap() - skewed["iat"].as_i64().unwrap();
    assert!((590..=600).contains(&late), "{late}");
    registry.inject(Fault::token_grants_nothing(Operation::FetchAccessToken));
    let empty = claims(&client.access_token("repository:a:pull").await);
    assert_eq!(empty["access"], serde_json::json!([]));
    registry.inject(Fault::token_text(Operation::FetchAccessToken, "opaque é"));
    assert_eq!(client.access_token("repository:a:pull").await, "opaque é");
    registry.inject(Fault::revoke_refresh(Operation::Ping));
    let refresh = client.refresh_token().await;
    client.get("/v2/").await;
    let form = format!("grant_type=refresh_token&service={HOST}&refresh_token={refresh}");
    assert_eq!(client.form("/oauth2/token", form).await.status, 401);

    let client = Client::full(&registry).await;
    for (kind, part) in [
        (ChallengeKind::Missing, ""),
        (ChallengeKind::InvalidToken, "error=\"invalid_token\""),
        (ChallengeKind::InsufficientScope, "error=\"insufficient_scope\""),
        (ChallengeKind::ForeignRealm, "https://token.evil.example/"),
        (ChallengeKind::WiderScope, "repository:*:*"),
        (ChallengeKind::Two, "Basic realm=\"Azure Container Registry\", Bearer"),
        (ChallengeKind::Garbage, "scope"),
    ] {
        registry.inject(Fault::challenge(Operation::ListRepositories, kind));
        let got = client.get("/acr/v1/_catalog").await;
        let header = got.header("www-authenticate");
        assert_eq!((got.status, header.contains(part)), (401, true), "{kind:?}: {header}");
        assert_eq!(header.is_empty(), kind == ChallengeKind::Missing);
    }
}

#[tokio::test(start_paused = true)]
async fn answers_drip_wait_and_change_in_process_too() {
    let client = Client::full(&FakeRegistry::new()).await;
    let registry = &client.registry;
    registry.inject(Fault::delay(Operation::Ping, Duration::from_secs(5)));
    let start = tokio::time::Instant::now();
    assert_eq!(client.get("/v2/").await.status, 200);
    assert!((5.0..5.1).contains(&start.elapsed().as_secs_f64()), "{:?}", start.elapsed());
    registry.inject(Fault::json(Operation::ListRepositories, JsonKind::Html));
    assert!(client.get("/acr/v1/_catalog").await.text().starts_with("<html>"));
    registry.inject(Fault::add_header(Operation::Ping, "Link", "</x>"));
    registry.inject(Fault::add_header(Operation::Ping, "Link", "</y>"));
    assert_eq!(client.get("/v2/").await.headers.get_all("link").iter().count(), 2);
    registry.inject(Fault::refuse());
    registry.inject(Fault::unknown_host().on_nth(2));
    for _ in 0..2 {
        assert!(client.try_send("GET", "/v2/", &[], "").await.is_err());
    }
    registry.inject(Fault::cut(Operation::Ping, 1, CutEnd::Fin));
    assert!(client.try_send("GET", "/v2/", &[], "").await.is_err());
    assert_eq!(client.get("/v2/").await.text(), "{}");
    let digest = client.push_blob("a", "hello").await;
    assert_eq!(digest, Digest::sha256(b"hello"));
}
