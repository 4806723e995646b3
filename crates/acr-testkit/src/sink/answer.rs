//! Answers requests.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use acr_core::Endpoint;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Method, Request, Response, StatusCode, header, request, response,
};
use http_body_util::{BodyExt as _, Either, Full};
use hyper::body::Incoming;

use super::{
    counters::{Counters, Visit},
    pages::Pages,
    pattern::{Stretch, sink_content},
    route::Route,
};
use crate::sync::lock;

pub(super) type Answer = Response<Either<Full<Bytes>, Stretch>>;

/// What all connections share.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) counters: Arc<Counters>,
    origin: String,
    service: String,
    content: Bytes,
    token: String,
    pages: Pages,
    latency: Duration,
    challenges: bool,
    /// How long what was uploaded is, by the digest that the client named.
    uploaded: Mutex<HashMap<String, u64>>,
}

impl Desk {
    pub(super) fn new(
        endpoint: &Endpoint,
        latency: Duration,
        items: u32,
        challenges: bool,
    ) -> Self {
        let service = endpoint.authority().to_owned();
        let encoded = |json: &str| URL_SAFE_NO_PAD.encode(json);
        let head = encoded(r#"{"alg":"none","typ":"JWT"}"#);
        let claims = encoded(r#"{"iat":1700000000,"nbf":1700000000,"exp":4102444800}"#);
        Self {
            counters: Arc::default(),
            origin: endpoint.to_string(),
            pages: Pages::new(&service, items),
            service,
            content: sink_content(),
            token: format!("{head}.{claims}.{}", encoded("nobody")),
            latency,
            challenges,
            uploaded: Mutex::default(),
        }
    }

    pub(super) async fn answer(
        &self,
        request: Request<Incoming>,
        visit: &Visit,
    ) -> Result<Answer, Infallible> {
        let (head, mut body) = request.into_parts();
        let route = Route::of(head.uri.path());
        if route == Route::Stats {
            return Ok(self.stats(&head.method));
        }
        self.counters.request(&head.method, route.label(), visit);
        let mut came = 0u64;
        // A body that breaks ends the connection, and nobody gets the answer.
        while let Some(Ok(frame)) = body.frame().await {
            let len = frame.data_ref().map_or(0, Bytes::len);
            came = came.saturating_add(len as u64);
            self.counters.received(len);
        }
        if !self.latency.is_zero() {
            tokio::time::sleep(self.latency).await;
        }
        Ok(match self.challenge(&head, route) {
            Some(challenge) => challenge,
            None => self.serve(&head, route, came),
        })
    }

    fn serve(&self, head: &request::Parts, route: Route<'_>, came: u64) -> Answer {
        let query = head.uri.query().unwrap_or_default();
        match route {
            Route::Ping => self.bytes(json(StatusCode::OK), "{}"),
            Route::Token => {
                let token = &self.token;
                let body = format!(
                    r#"{{"access_token":"{token}","refresh_token":"{token}","token":"{token}"}}"#
                );
                self.bytes(json(StatusCode::OK), body)
            }
            Route::Page { list, name } => {
                let page = self.pages.page(list, name, query);
                let answer = json(StatusCode::OK);
                self.bytes(
                    match page.link {
                        Some(link) => answer.header(header::LINK, link),
                        None => answer,
                    },
                    page.body,
                )
            }
            Route::Manifest { reference, .. } => self.manifest(&head.method, reference),
            Route::Upload { name, came: before } => self.upload(head, (name, before), came),
            Route::Blob { name, digest } => self.blob(head, name, digest),
            Route::Stats | Route::Unknown => {
                let errors =
                    r#"{"errors":[{"code":"UNSUPPORTED","message":"a sink has no such thing"}]}"#;
                self.bytes(json(StatusCode::NOT_FOUND), errors)
            }
        }
    }

    fn stats(&self, method: &Method) -> Answer {
        if *method == Method::DELETE {
            self.counters.forget();
        }
        let body = serde_json::to_string(&self.counters.read()).unwrap_or_default();
        finish(json(StatusCode::OK), Either::Left(Full::from(body)))
    }

    fn challenge(&self, head: &request::Parts, route: Route<'_>) -> Option<Answer> {
        let is_known = head.headers.contains_key(header::AUTHORIZATION);
        if !self.challenges || is_known || route == Route::Token {
            return None;
        }
        let is_read = matches!(head.method, Method::GET | Method::HEAD);
        let scope = route.scope(is_read).map(|scope| format!(r#",scope="{scope}""#));
        let challenge = format!(
            r#"Bearer realm="{}/oauth2/token",service="{}"{}"#,
            self.origin,
            self.service,
            scope.unwrap_or_default()
        );
        let errors = r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#;
        let answer = json(StatusCode::UNAUTHORIZED).header(header::WWW_AUTHENTICATE, challenge);
        Some(self.bytes(answer, errors))
    }

    fn manifest(&self, method: &Method, reference: &str) -> Answer {
        match *method {
            // Of what it is given nothing is hashed: its name is told only if the client knew it.
            Method::PUT => {
                let answer = Response::builder().status(StatusCode::CREATED);
                self.bytes(
                    match reference.contains(':') {
                        true => answer.header(CONTENT_DIGEST, reference),
                        false => answer,
                    },
                    "",
                )
            }
            Method::DELETE => self.bytes(Response::builder().status(StatusCode::ACCEPTED), ""),
            _ => {
                let answer = Response::builder()
                    .header(header::CONTENT_TYPE, "application/vnd.oci.image.index.v1+json")
                    .header(CONTENT_DIGEST, INDEX_DIGEST);
                self.bytes(answer, INDEX)
            }
        }
    }

    /// An upload's address counts its bytes, so that nothing has to be kept of it.
    fn upload(
        &self,
        head: &request::Parts,
        (name, before): (&str, Option<u64>),
        came: u64,
    ) -> Answer {
        let now = before.unwrap_or(0).saturating_add(came);
        let place = format!("/v2/{name}/blobs/uploads/{now}");
        let answer = Response::builder();
        let digest = head.uri.query().and_then(digest_of);
        match (&head.method, digest) {
            (&Method::PUT | &Method::POST, Some(digest)) => {
                let mut uploaded = lock(&self.uploaded);
                if uploaded.len() >= MAX_UPLOADED {
                    uploaded.clear();
                }
                uploaded.insert(digest.clone(), now);
                drop(uploaded);
                let place = format!("/v2/{name}/blobs/{digest}");
                let answer = answer.header(header::LOCATION, place).header(CONTENT_DIGEST, digest);
                self.bytes(answer.status(StatusCode::CREATED), "")
            }
            (&Method::DELETE, _) => self.bytes(answer.status(StatusCode::NO_CONTENT), ""),
            (method, _) => {
                let is_question = *method == Method::GET;
                let status =
                    if is_question { StatusCode::NO_CONTENT } else { StatusCode::ACCEPTED };
                let answer = answer
                    .status(status)
                    .header(header::LOCATION, place)
                    .header(header::RANGE, format!("0-{}", now.saturating_sub(1)))
                    .header(UPLOAD_ID, now);
                self.bytes(answer, "")
            }
        }
    }

    fn blob(&self, head: &request::Parts, name: &str, digest: &str) -> Answer {
        if head.method == Method::DELETE {
            return self.bytes(Response::builder().status(StatusCode::ACCEPTED), "");
        }
        let named = name.rsplit('/').next().and_then(|segment| segment.parse().ok());
        let len = named.or_else(|| lock(&self.uploaded).get(digest).copied()).unwrap_or(SMALL);
        let answer = Response::builder()
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .header(header::ACCEPT_RANGES, "bytes")
            .header(header::ETAG, format!(r#""{digest}""#))
            .header(CONTENT_DIGEST, digest);
        let range = head.headers.get(header::RANGE).and_then(|range| range.to_str().ok());
        let (answer, from, to) = match range.and_then(part) {
            None => (answer, 0, len),
            Some((first, _)) if first >= len => {
                let whole = format!("bytes */{len}");
                let answer = answer.status(StatusCode::RANGE_NOT_SATISFIABLE);
                return self.bytes(answer.header(header::CONTENT_RANGE, whole), "");
            }
            Some((first, last)) => {
                let last = last.min(len.saturating_sub(1));
                let told = format!("bytes {first}-{last}/{len}");
                let answer = answer.status(StatusCode::PARTIAL_CONTENT);
                (answer.header(header::CONTENT_RANGE, told), first, last.saturating_add(1))
            }
        };
        let len = to.saturating_sub(from);
        // Also for a HEAD, of which no body tells it.
        let answer = answer.header(header::CONTENT_LENGTH, len);
        finish(answer, Either::Right(Stretch::new(&self.content, from, len, &self.counters)))
    }

    fn bytes(&self, answer: response::Builder, body: impl Into<Bytes>) -> Answer {
        let body = body.into();
        self.counters.sent(body.len());
        finish(answer, Either::Left(Full::from(body)))
    }
}

fn json(status: StatusCode) -> response::Builder {
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    Response::builder().status(status).header(header::CONTENT_TYPE, json)
}

/// What a client wrote into a header that cannot stand there is the client's fault.
fn finish(answer: response::Builder, body: Either<Full<Bytes>, Stretch>) -> Answer {
    answer.body(body).unwrap_or_else(|_| {
        let mut answer = Response::new(Either::Left(Full::default()));
        *answer.status_mut() = StatusCode::BAD_REQUEST;
        answer
    })
}

/// The first and the last byte that a range asks for; what it does not understand is no range.
fn part(range: &str) -> Option<(u64, u64)> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let first: u64 = first.parse().ok()?;
    let last = if last.is_empty() { u64::MAX } else { last.parse().ok()? };
    (first <= last).then_some((first, last))
}

fn digest_of(query: &str) -> Option<String> {
    let digest = query.split('&').find_map(|pair| pair.strip_prefix("digest="))?;
    Some(percent_encoding::percent_decode_str(digest).decode_utf8().ok()?.into_owned())
}

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

const UPLOAD_ID: HeaderName = HeaderName::from_static("docker-upload-uuid");

const INDEX: &str =
    r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;

const INDEX_DIGEST: &str =
    "sha256:dff9de10919148711140d349bf03f1a99eb06f94b03e51715ccebfa7cdc518e2";

/// Of a blob that nobody named a length for.
const SMALL: u64 = 16 * 1024;

/// Digests whose lengths are remembered.
const MAX_UPLOADED: usize = 100_000;

#[cfg(test)]
mod tests {
    use acr_core::Digest;

    use super::*;

    #[test]
    fn the_index_has_the_digest_that_is_told() {
        assert_eq!(Digest::sha256(INDEX.as_bytes()).as_str(), INDEX_DIGEST);
    }

    #[test]
    fn ranges_are_closed_open_or_none() {
        for (text, range) in [
            ("bytes=0-9", Some((0, 9))),
            ("bytes=7-", Some((7, u64::MAX))),
            ("bytes=-5", None),
            ("bytes=5-4", None),
            ("bytes=0-1,3-4", None),
            ("items=0-1", None),
        ] {
            assert_eq!(part(text), range, "{text}");
        }
    }

    #[test]
    fn a_digest_is_found_in_a_query_and_decoded() {
        let found = digest_of("_state=x&digest=sha256%3Aab").unwrap();
        assert_eq!(found, "sha256:ab");
        assert_eq!(digest_of("mount=sha256%3Aab&from=b"), None);
    }
}
