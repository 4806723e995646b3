//! Nothing secret is ever logged: the tour runs with every event captured, every
//! secret that passed the wire is collected, and none may be found in the log.
//!
//! Alone in its program: tracing decides once per process which events are wanted,
//! and a test beside this one could decide it for both.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop at the first surprise"
)]

mod support;
#[path = "../tour.rs"]
#[allow(dead_code, unreachable_pub, reason = "its main function is not called here")]
mod tour;

use std::{
    collections::BTreeSet,
    io,
    path::Path,
    sync::{Arc, Mutex},
};

use acr_core::{
    Error, Transport,
    http::{Body, Request},
};
use acr_examples::{Registry, Wire, connect_over};
use acr_testkit::{FakeRegistry, Fault, Operation};
use clap::Parser as _;
use percent_encoding::percent_decode_str;
use tower::{ServiceExt as _, service_fn};

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
    fake.inject(Fault::status(Operation::UploadChunk, 1, 503));
    fake.inject(Fault::lose_response(Operation::CompleteUpload).on_nth(3));
    fake.inject(Fault::status(Operation::GetStorage, 1, 503));
    let registry = Registry::emulator(&fake).await.unwrap();
    let (wire, secrets) = (Wire::default(), Secrets::default());
    let transport = secrets.harvest(registry.transport().unwrap());
    let pipeline = connect_over(&registry, &wire, transport).unwrap();
    let folder = support::folder();
    let options = tour::Options::parse_from([Path::new("tour"), folder.path()]);
    tour::run(options, pipeline, &wire).await.unwrap();
    registry.shutdown().await;
    drop(guard);

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for expected in
        ["http.exchange", "retrying", "asking the registry", "REDACTED", "PATCH", "oauth2"]
    {
        assert!(log.contains(expected), "the log has no `{expected}`");
    }
    let secrets = secrets.0.lock().unwrap();
    for kind in ["entra", "refresh", "access", "authorization", "_state", "sig"] {
        assert!(
            secrets.iter().any(|(k, _)| k == kind),
            "no secret of kind `{kind}` was on the wire"
        );
    }
    for (kind, secret) in secrets.iter() {
        for form in forms(secret) {
            assert!(!log.contains(&form), "a secret of kind `{kind}` is in the log");
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
            self.add("authorization", value.to_str().unwrap().trim_start_matches("Bearer "));
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
        for pair in url.split_once('?').map_or("", |(_, query)| query).split('&') {
            if let Some((name @ ("_state" | "sig"), value)) = pair.split_once('=') {
                self.add(name, value);
            }
        }
    }

    fn add(&self, kind: &str, secret: &str) {
        if !secret.is_empty() {
            self.0.lock().unwrap().insert((kind.to_owned(), secret.to_owned()));
        }
    }
}

/// A secret as it is, decoded, and in the parts of a token, any of which would be a leak.
fn forms(secret: &str) -> Vec<String> {
    let decoded = percent_decode_str(secret).decode_utf8_lossy().into_owned();
    let parts = decoded.split('.').skip(1).filter(|part| part.len() >= 8).map(str::to_owned);
    let mut forms: Vec<String> = parts.collect();
    forms.extend([secret.to_owned(), decoded]);
    forms
}
