//! The tour: what it sends, what it must never print, and how it fails.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop at the first surprise"
)]

mod support;
#[path = "../tour.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "its main function is not called here"
)]
mod tour;

use std::{
    collections::BTreeSet,
    io,
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
};

use acr_core::{Body, Error, ErrorKind, Request, Transport};
use acr_examples::{Counts, Registry, Wire, connect, connect_over};
use acr_testkit::{FakeRegistry, Fault};
use clap::Parser as _;
use percent_encoding::percent_decode_str;
use support::Emulator;
use tower::{ServiceExt as _, service_fn};

/// A folder with a nested file, an empty one, two equal ones and one of several chunks.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write =
        |name: &str, content: &[u8]| std::fs::write(folder.path().join(name), content).unwrap();
    std::fs::create_dir(folder.path().join("below")).unwrap();
    write("below/small", b"small");
    write("empty", b"");
    write("twin-a", b"twin");
    write("twin-b", b"twin");
    let large: Vec<u8> = (0..20_000_000u32)
        .map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0])
        .collect();
    write("large", &large);
    folder
}

fn options(arguments: &[&Path]) -> tour::Options {
    let program = Path::new("tour");
    tour::Options::parse_from(std::iter::once(&program).chain(arguments))
}

#[tokio::test]
async fn nothing_is_challenged_and_no_token_is_fetched_twice() {
    let folder = folder();
    let registry = Registry::emulator(&FakeRegistry::new()).await.unwrap();
    let wire = Wire::default();
    let pipeline = connect(&registry, &wire).unwrap();
    tour::run(options(&[folder.path()]), pipeline, &wire)
        .await
        .unwrap();
    registry.shutdown().await;

    let mut total = Counts::default();
    for step in wire.steps() {
        total += step.counts;
    }
    assert_eq!(total.challenges, 0);
    assert_eq!(total.exchanges, 1);
    assert_eq!(total.retries, 0);
    assert_eq!(total.tokens as usize, wire.distinct_scopes());
    assert_eq!(wire.distinct_scopes(), 6);
}

#[tokio::test]
async fn the_most_verbose_log_holds_no_secret() {
    let log = Captured::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);

    let fake = FakeRegistry::new();
    // Failures are logged too, with all they know.
    fake.inject(Fault::status("write_chunk", 1, 503));
    fake.inject(Fault::lose_response("complete_upload").on_nth(3));
    fake.inject(Fault::status("get_storage", 1, 503));
    let registry = Registry::emulator(&fake).await.unwrap();
    let (wire, secrets) = (Wire::default(), Secrets::default());
    let transport = secrets.harvest(registry.transport().unwrap());
    let pipeline = connect_over(&registry, &wire, transport).unwrap();
    let folder = folder();
    tour::run(options(&[folder.path()]), pipeline, &wire)
        .await
        .unwrap();
    registry.shutdown().await;
    drop(guard);

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for expected in [
        "http.exchange",
        "retrying",
        "asking the registry",
        "REDACTED",
        "PATCH",
        "oauth2",
    ] {
        assert!(log.contains(expected), "the log has no `{expected}`");
    }
    let secrets = secrets.0.lock().unwrap();
    for kind in [
        "entra",
        "refresh",
        "access",
        "authorization",
        "_state",
        "sig",
    ] {
        assert!(
            secrets.iter().any(|(k, _)| k == kind),
            "no secret of kind `{kind}` was on the wire"
        );
    }
    for (kind, secret) in secrets.iter() {
        for form in forms(secret) {
            assert!(
                !log.contains(&form),
                "a secret of kind `{kind}` is in the log"
            );
        }
    }
}

#[tokio::test]
async fn a_wrong_byte_in_a_layer_is_an_integrity_error_and_leaves_no_file() {
    let fake = FakeRegistry::new();
    fake.inject(Fault::corrupt("get_storage", 2));
    let registry = Registry::emulator(&fake).await.unwrap();
    let wire = Wire::default();
    let pipeline = connect(&registry, &wire).unwrap();
    let (source, target) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(source.path().join("file"), b"content").unwrap();
    let options = options(&[source.path(), Path::new("--pull-into"), target.path()]);
    let error = tour::run(options, pipeline, &wire).await.unwrap_err();
    registry.shutdown().await;
    assert_eq!(
        error.downcast_ref::<Error>().unwrap().kind(),
        ErrorKind::Integrity
    );
    assert_eq!(std::fs::read_dir(target.path()).unwrap().count(), 0);
}

#[test]
fn the_program_exits_with_failure_on_a_wrong_byte_and_with_success_otherwise() {
    for (arguments, succeeds) in [
        (&["--fault", "corrupt op=get_storage at=2"][..], false),
        (&[], true),
    ] {
        let emulator = Emulator::start(arguments);
        let (source, target) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(source.path().join("file"), b"content").unwrap();
        let output = Command::new(support::tour())
            .arg(source.path())
            .arg("--pull-into")
            .arg(target.path())
            .envs(emulator.environment())
            .env("RUST_LOG", "trace")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), succeeds, "{errors}");
        assert_eq!(errors.contains("kind: Integrity"), !succeeds, "{errors}");
        assert_eq!(
            std::fs::read_dir(target.path()).unwrap().count(),
            usize::from(succeeds)
        );
        for part in emulator
            .entra_token
            .split('.')
            .filter(|part| part.len() > 8)
        {
            assert!(!errors.contains(part), "the Entra token was printed");
        }
    }
}

/// Where the log goes.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl io::Write for Captured {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Every secret that passes a transport, by kind.
#[derive(Clone, Default)]
struct Secrets(Arc<Mutex<BTreeSet<(String, String)>>>);

impl Secrets {
    fn harvest(&self, inner: Transport) -> Transport {
        let secrets = self.clone();
        Transport::new(service_fn(move |request: Request| {
            let (secrets, inner) = (secrets.clone(), inner.clone());
            async move {
                let request = secrets.of_request(request).await?;
                let is_token_call = request.uri().path().starts_with("/oauth2/");
                let answer = inner.oneshot(request).await?;
                let (head, body) = answer.into_parts();
                if let Some(location) = head.headers.get("location") {
                    secrets.of_query(location.to_str().unwrap());
                }
                if !is_token_call {
                    return Ok::<_, Error>(http::Response::from_parts(head, body));
                }
                let body = body.bytes(1 << 20).await?;
                let answer: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
                for (field, kind) in [("access_token", "access"), ("refresh_token", "refresh")] {
                    secrets.add(kind, answer[field].as_str().unwrap_or_default());
                }
                Ok(http::Response::from_parts(head, Body::from(body)))
            }
        }))
    }

    async fn of_request(&self, request: Request) -> Result<Request, Error> {
        if let Some(value) = request.headers().get("authorization") {
            self.add(
                "authorization",
                value.to_str().unwrap().trim_start_matches("Bearer "),
            );
        }
        self.of_query(&request.uri().to_string());
        if !request.uri().path().starts_with("/oauth2/") {
            return Ok(request);
        }
        let is_exchange = request.uri().path() == "/oauth2/exchange";
        let (head, body) = request.into_parts();
        let body = body.bytes(1 << 20).await?;
        for pair in std::str::from_utf8(&body).unwrap().split('&') {
            match pair.split_once('=') {
                Some(("access_token", value)) if is_exchange => self.add("entra", value),
                Some(("refresh_token", value)) => self.add("refresh", value),
                _ => {}
            }
        }
        Ok(Request::from_parts(head, Body::from(body)))
    }

    fn of_query(&self, url: &str) {
        for pair in url
            .split_once('?')
            .map_or("", |(_, query)| query)
            .split('&')
        {
            if let Some((name @ ("_state" | "sig"), value)) = pair.split_once('=') {
                self.add(name, value);
            }
        }
    }

    fn add(&self, kind: &str, secret: &str) {
        if !secret.is_empty() {
            self.0
                .lock()
                .unwrap()
                .insert((kind.to_owned(), secret.to_owned()));
        }
    }
}

/// A secret as it is, decoded, and in the parts of a token, any of which would be a leak.
fn forms(secret: &str) -> Vec<String> {
    let decoded = percent_decode_str(secret).decode_utf8_lossy().into_owned();
    let parts = decoded
        .split('.')
        .skip(1)
        .filter(|part| part.len() >= 8)
        .map(str::to_owned);
    let mut forms: Vec<String> = parts.collect();
    forms.extend([secret.to_owned(), decoded]);
    forms
}
