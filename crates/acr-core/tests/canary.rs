//! A secret in every place one can be, and a search for it in every place it must not
//! be: logs, spans, `Debug`, `Display`, error chains, and what a foreign host receives.
//!
//! One test in its own program, since tracing decides once per process what is wanted.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop at the first surprise"
)]

use std::{
    error::Error as StdError,
    fmt::Debug,
    io,
    sync::{Arc, Mutex},
};

use acr_core::{
    CallOptions, Digester, Endpoint, Error, Pipeline, Secret, Transport,
    http::{
        Body, Effect, FollowRedirects, Operation, Redaction, Request, RequestBuilder, Response,
        response,
    },
};
use http::{Method, StatusCode, header::HeaderName};
use tower::service_fn;

/// Every planted secret contains this.
const CANARY: &str = "CaNaRy";

/// Base64, percent and URL-safe forms of it would be leaks as well.
const FORMS: [&str; 4] = [CANARY, "Q2FOYVJ5", "%43%61%4E%61%52%79", "43614e615279"];

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

impl Captured {
    fn note(&self, what: &str, text: &str) {
        self.0.lock().unwrap().extend_from_slice(format!("[{what}] {text}\n").as_bytes());
    }

    fn debug(&self, what: &str, value: &impl Debug) {
        self.note(what, &format!("{value:?} {value:#?}"));
    }

    fn error(&self, what: &str, error: &Error) {
        self.note(what, &format!("{error} {error:?}"));
        let mut source = StdError::source(error);
        while let Some(cause) = source {
            self.note(what, &format!("{cause} {cause:?}"));
            source = cause.source();
        }
    }
}

fn canary(place: &str) -> String {
    format!("{CANARY}-{place}")
}

/// A registry that answers with secrets in every header and in the body, and a
/// storage that notes all it gets.
fn servers(foreign: &Captured) -> Transport {
    let foreign = foreign.clone();
    Transport::new(service_fn(move |request: Request| {
        let foreign = foreign.clone();
        async move {
            let response = http::Response::builder();
            if request.uri().host() != Some("r.azurecr.io") {
                let (head, body) = request.into_parts();
                let body = body.bytes(1 << 20).await?;
                foreign.note("foreign host", &format!("{:?} {body:?}", head.headers));
                return Ok::<Response, Error>(response.body(Body::from("content")).unwrap());
            }
            let location = format!("https://s.example/c//b?sig={}", canary("sig"));
            let response = response
                .header("set-cookie", canary("set-cookie"))
                .header("www-authenticate", format!("Bearer realm=\"{}\"", canary("realm")))
                .header("x-unknown", canary("response-header"))
                .header("location", location)
                .header("link", format!("</next?_state={}>; rel=next", canary("link")));
            let response = match request.uri().path() {
                // It repeats what it was sent where everybody looks.
                "/token" => ["x-ms-correlation-request-id", "server", "etag", "content-type"]
                    .into_iter()
                    .fold(response, |response, name| response.header(name, canary(name)))
                    .header(canary("header-name"), "1"),
                _ => response,
            };
            let status = match request.uri().path() {
                "/redirect" => StatusCode::TEMPORARY_REDIRECT,
                "/broken" => return Err(Error::new(acr_core::ErrorKind::Transport, "cable cut")),
                "/down" => StatusCode::SERVICE_UNAVAILABLE,
                _ => StatusCode::OK,
            };
            // Not an error envelope: a token answer that came with the wrong status.
            let body = format!("{{\"access_token\":\"{}\"}}", canary("body"));
            Ok(response.status(status).body(Body::from(body)).unwrap())
        }
    }))
}

fn request(endpoint: &Endpoint, path: &str) -> RequestBuilder {
    RequestBuilder::new(Method::GET, endpoint, &[path])
        .query("_state", canary("state"))
        .query("sig", canary("request-sig"))
        .query("access_token", canary("query-token"))
        .header(
            HeaderName::from_static("authorization"),
            format!("Bearer {}", canary("bearer")).parse().unwrap(),
        )
        .header(HeaderName::from_static("proxy-authorization"), canary("proxy").parse().unwrap())
        .header(HeaderName::from_static("cookie"), canary("cookie").parse().unwrap())
        .header(HeaderName::from_static("x-api-key"), canary("api-key").parse().unwrap())
        .operation(Operation::new("canary").on("place"))
        .effect(Effect::Read)
        .body(canary("request-body"))
}

#[tokio::test(start_paused = true)]
async fn no_planted_secret_is_ever_seen() {
    let seen = Captured::default();
    let writer = seen.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);

    let endpoint: Endpoint = "r.azurecr.io".parse().unwrap();
    let redaction =
        ["authorization", "cookie", "set-cookie", "location", "link", "www-authenticate"]
            .into_iter()
            .fold(Redaction::new(), |r, name| r.show_header(HeaderName::from_static(name)));
    let redaction =
        ["_state", "sig", "access_token"].into_iter().fold(redaction, Redaction::show_query);
    let options = CallOptions::new()
        .header(HeaderName::from_static("x-mine"), canary("option-header").parse().unwrap())
        .unwrap();
    seen.debug("options", &options);
    let pipeline = Pipeline::builder(endpoint.clone())
        .transport(servers(&seen))
        .redaction(redaction)
        .build()
        .unwrap()
        .with(options);
    seen.debug("pipeline", &pipeline);

    for path in ["redirect", "broken", "down", "ok"] {
        let builder = request(&endpoint, path);
        seen.debug("builder", &builder);
        let mut request = builder.build().unwrap();
        request.extensions_mut().insert(FollowRedirects::default());
        match pipeline.send(request).await {
            Err(error) => seen.error(path, &error),
            Ok(answer) if answer.status().is_success() => {
                match response::read_json::<Vec<u32>>(answer, 1 << 20).await {
                    Err(error) => seen.error(path, &error),
                    Ok(_) => panic!("no answer here is a list"),
                }
            }
            Ok(answer) => seen.error(path, &response::into_error(answer).await),
        }
    }

    let call = request(&endpoint, "token").effect(Effect::Token);
    assert!(pipeline.send(call.build().unwrap()).await.unwrap().status().is_success());

    show_values(&seen);
    drop(guard);

    assert_nothing_leaked(&seen);
}

/// Values and constructors.
fn show_values(seen: &Captured) {
    seen.debug("secret", &Secret::new(canary("secret")));
    seen.debug("bearer", &Secret::new(canary("bearer-value")).bearer().unwrap());
    let unusable = Secret::new(format!("{}\n", canary("line-break"))).bearer().unwrap_err();
    seen.error("unusable secret", &unusable);
    let userinfo = format!("https://user:{}@r.azurecr.io", canary("password")).parse::<Endpoint>();
    seen.error("endpoint", &userinfo.unwrap_err());
    let mut digester = Digester::default();
    digester.update(canary("hashed").as_bytes());
    seen.debug("digester", &digester);
    seen.debug("digester state", &digester.save());
    seen.debug("body", &Body::from(canary("body-debug")));
}

fn assert_nothing_leaked(seen: &Captured) {
    let text = String::from_utf8_lossy(&seen.0.lock().unwrap()).into_owned();
    for expected in [
        "exchange failed",
        "http.exchange",
        "foreign host",
        "REDACTED",
        "retrying",
        "acr.operation",
        "[down]",
    ] {
        assert!(text.contains(expected), "nothing was captured of `{expected}`");
    }
    for line in text.lines() {
        for form in FORMS {
            assert!(!line.contains(form), "leaked: {line}");
        }
        // A name of a header has no capitals.
        assert!(!line.contains(&canary("header-name").to_lowercase()), "leaked: {line}");
    }
}
