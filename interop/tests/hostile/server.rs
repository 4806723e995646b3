//! Answers as no registry would: everything as long as HTTP lets it be.

use std::{
    future::{Ready, ready},
    io,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use acr_core::http::{Body, Request};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, Response};
use http_body::Frame;
use http_body_util::StreamBody;
use tower::Service;

#[derive(Clone)]
pub(crate) struct Server(Arc<Mutex<fastrand::Rng>>);

impl Server {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(fastrand::Rng::with_seed(seed))))
    }
}

impl Service<Request> for Server {
    type Response = Response<Body>;
    type Error = io::Error;
    type Future = Ready<io::Result<Response<Body>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let mut random = self.0.lock().unwrap();
        if random.u8(..) < 20 {
            let text = format!("https://user:CANARY@host cookie: CANARY {}", long(&mut random));
            return ready(Err(io::Error::other(text)));
        }
        let mut answer = Response::new(body(&mut random));
        *answer.status_mut() = STATUSES[random.usize(..STATUSES.len())].try_into().unwrap();
        for _ in 0..random.usize(..12) {
            let name = HEADERS[random.usize(..HEADERS.len())];
            let value = value(name, request.uri(), &mut random);
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                answer.headers_mut().append(name, value);
            }
        }
        if random.bool() {
            for n in 0..random.usize(..200) {
                let name = format!("x-{n}-{}", "n".repeat(random.usize(..500)));
                let name = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
                answer.headers_mut().insert(name, HeaderValue::from_static("CANARY"));
            }
        }
        ready(Ok(answer))
    }
}

const STATUSES: &[u16] = &[
    200, 200, 201, 202, 204, 206, 301, 302, 307, 308, 400, 401, 401, 403, 404, 405, 409, 412, 413,
    416, 429, 500, 502, 503, 599, 999,
];

const HEADERS: &[&str] = &[
    "content-length",
    "content-range",
    "content-type",
    "docker-content-digest",
    "docker-upload-uuid",
    "etag",
    "link",
    "location",
    "oci-chunk-min-length",
    "oci-subject",
    "range",
    "retry-after",
    "server",
    "www-authenticate",
    "x-ms-correlation-request-id",
    "x-ms-ratelimit-remaining-calls-per-second",
];

fn value(name: &str, uri: &http::Uri, random: &mut fastrand::Rng) -> Vec<u8> {
    let long = long(random);
    let here = format!("https://{}", uri.host().unwrap_or("h"));
    let text = match (name, random.u8(..6)) {
        (_, 0) => long,
        ("location", 1) => format!("https://s.example/?{}", "&".repeat(7_000)),
        ("location", 2) => format!("https://{}/", "host.".repeat(1_400)),
        ("location", 3) => {
            format!("{here}/v2/library/app/blobs/uploads/{}?_state=CANARY", "a".repeat(6_000))
        }
        ("location", 4) => {
            format!("https://s.example/{}?{}", "%20".repeat(2_000), "n=\\\"&".repeat(500))
        }
        ("link", 1..=3) => {
            format!("</acr/v1/_catalog?last={}&n=CANARY>; rel=\"next\"", "\\".repeat(5_000))
        }
        ("www-authenticate", 1..=3) => {
            format!(
                "Bearer realm=\"{here}/oauth2/token\",service=\"{}\",scope=\"repository:{long}:pull\",error=\"insufficient_scope\"",
                "s".repeat(3_000)
            )
        }
        ("content-type", 1..=2) => "application/json".to_owned(),
        ("content-type", 3) => "text/plain".to_owned(),
        ("retry-after", _) => "1".to_owned(),
        _ => format!("{}{long}", "9".repeat(30)),
    };
    let mut text = text.into_bytes();
    text.truncate(8_000);
    text
}

fn long(random: &mut fastrand::Rng) -> String {
    let piece =
        ["a", "\\", "\"", "é", "𝕏", "{}", "=?&", "\t", " x", "$\u{301}"][random.usize(..10)];
    piece.repeat(random.usize(1..6_000) / piece.len())
}

fn body(random: &mut fastrand::Rng) -> Body {
    let long = long(random);
    let text = serde_json::Value::from(format!("\u{1b}[31m\u{202e}\n{long}")).to_string();
    match random.u8(..12) {
        0 => Body::empty(),
        1 => Body::from(format!("{{\"errors\":[{}{{}}]}}", "{},".repeat(21_000))),
        2 => Body::from(format!(
            "{{\"errors\":[{{\"code\":{text},\"message\":{text},\"detail\":{{\"a\":{text}}}}},{{\"code\":\"DENIED\",\"message\":{text}}},{{}},{{}},{{}}]}}"
        )),
        3 => Body::from(format!(
            "{{\"errors\":[{{\"code\":\"DENIED\",\"message\":{text},\"detail\":{text}}}]}}"
        )),
        4 => Body::from(format!("{{\"error\":{text},\"error_description\":{text}}}")),
        5 => Body::from(long),
        6 => Body::from(format!(
            "{{\"repositories\":[{text}],\"manifests\":[{{\"digest\":{text}}}],\"tags\":[{{\"name\":{text},\"createdTime\":{text}}}],\"imageName\":{text}}}"
        )),
        7 => Body::from(format!("{{\"access_token\":{text},\"refresh_token\":{text}}}")),
        8 => Body::from("[".repeat(20_000)),
        9 => {
            let broken = io::Error::other(format!("cookie: CANARY {long}"));
            let frames = [Ok(Frame::data(Bytes::from_static(b"{\"errors\":["))), Err(broken)];
            Body::stream(StreamBody::new(stream::iter(frames)))
        }
        10 => Body::from("{\"access_token\":\"a.b.c\",\"refresh_token\":\"a.b.c\"}"),
        _ => Body::from("content"),
    }
}
