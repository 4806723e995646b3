//! The service itself: requests of clients in, requests through a [`Pipeline`] out.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use acr_core::{
    Digest, Error, ErrorKind, Pipeline, Result,
    http::{
        Body, DataStream, Request, Response, Verified,
        response::{self, DOCKER_CONTENT_DIGEST, header_text},
    },
};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, TryStreamExt as _};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request};
use http_body_util::StreamBody;
use hyper::body::Frame;

use super::{
    cache::{Cache, Content},
    refusal,
    target::Target,
};

/// Answers reads of the OCI distribution interface. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Proxy {
    pipeline: Pipeline,
    cache: Arc<Mutex<Cache>>,
}

impl Proxy {
    /// Reads through this pipeline and keeps so many bytes.
    pub(crate) fn new(pipeline: Pipeline, capacity: usize) -> Self {
        Self { pipeline, cache: Arc::new(Mutex::new(Cache::new(capacity))) }
    }

    /// Never fails: an error is an answer too.
    pub(crate) async fn answer(&self, request: Request) -> Response {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return refusal::read_only();
        }
        // Nobody reads the body of a read.
        let (head, _) = request.into_parts();
        self.read(&head).await.unwrap_or_else(|error| refusal::of(&error))
    }

    async fn read(&self, asked: &request::Parts) -> Result<Response> {
        let target: Target = asked.uri.path().parse()?;
        let is_whole = !asked.headers.contains_key(header::RANGE);
        let key = target.digest().filter(|_| is_whole).map(|_| target.path());
        if let Some(content) = key.as_ref().and_then(|key| self.cached(key)) {
            return Ok(content.answer(&asked.method));
        }

        let upstream = target.request(asked, self.pipeline.endpoint())?;
        let answer = self.pipeline.send(upstream).await?;
        let expected = [StatusCode::OK, StatusCode::PARTIAL_CONTENT];
        let answer = response::expect(answer, &expected).await?;
        let is_content = answer.status() == StatusCode::OK && asked.method == Method::GET;
        match &target {
            Target::Manifest(_, reference) if is_content => {
                self.manifest(answer, reference.digest(), key).await
            }
            Target::Blob(_, digest) if is_content => Ok(self.blob(answer, digest, &target)),
            _ => Ok(pass_on(answer)),
        }
    }

    /// Read whole, since a manifest is small and nobody may see it before it is verified.
    async fn manifest(
        &self,
        answer: Response,
        asked: Option<&Digest>,
        key: Option<String>,
    ) -> Result<Response> {
        let (head, bytes) = response::read_body(answer, MAX_MANIFEST).await?;
        let named = header_text(&head.headers, &DOCKER_CONTENT_DIGEST);
        let expected = match (asked, named) {
            (Some(asked), _) => asked.clone(),
            (None, Some(named)) => named.parse()?,
            (None, None) => Digest::sha256(&bytes),
        };
        let mut digester = expected.digester();
        digester.update(&bytes);
        let computed = digester.finish();
        if computed != expected {
            let text = format!("asked for `{expected}`, received `{computed}`");
            return Err(response::describe(Error::new(ErrorKind::Integrity, text), &head));
        }
        let content = Content { headers: shown(&head.headers, Some(&computed)), bytes };
        if let Some(key) = key {
            self.store(key, content.clone());
        }
        Ok(content.answer(&Method::GET))
    }

    /// Streamed and verified on the way; kept beside it if it is not too large.
    fn blob(&self, answer: Response, digest: &Digest, target: &Target) -> Response {
        let (head, body) = answer.into_parts();
        let headers = shown(&head.headers, Some(digest));
        let copy = Copying {
            inner: Verified::new(body.into_data_stream(), digest.clone()),
            copy: Some(BytesMut::new()),
            largest: self.lock().largest(),
            proxy: self.clone(),
            key: target.path(),
            headers: headers.clone(),
        };
        let mut answer = Response::new(Body::stream(StreamBody::new(copy.map_ok(Frame::data))));
        *answer.headers_mut() = headers;
        answer
    }

    fn cached(&self, key: &str) -> Option<Content> {
        self.lock().get(key)
    }

    fn store(&self, key: String, content: Content) {
        self.lock().insert(key, content);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Content {
    fn answer(self, method: &Method) -> Response {
        let body = match *method {
            Method::HEAD => Body::empty(),
            _ => Body::from(self.bytes.clone()),
        };
        let mut answer = Response::new(body);
        *answer.headers_mut() = self.headers;
        let length = HeaderValue::from(self.bytes.len());
        answer.headers_mut().insert(header::CONTENT_LENGTH, length);
        answer
    }
}

/// A blob on its way to the client, and a copy that is stored once it is verified.
struct Copying {
    inner: Verified<DataStream>,
    copy: Option<BytesMut>,
    largest: usize,
    proxy: Proxy,
    key: String,
    headers: HeaderMap,
}

impl Stream for Copying {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let piece = ready!(Pin::new(&mut this.inner).poll_next(cx));
        if let (Some(Ok(piece)), Some(copy)) = (&piece, &mut this.copy) {
            if copy.len() + piece.len() > this.largest {
                this.copy = None;
            } else {
                copy.extend_from_slice(piece);
            }
        }
        // The last piece comes only when the digest has matched; a server that knows
        // the length does not ask for more.
        if this.inner.is_verified()
            && let Some(copy) = this.copy.take()
        {
            let content =
                Content { headers: std::mem::take(&mut this.headers), bytes: copy.freeze() };
            this.proxy.store(std::mem::take(&mut this.key), content);
        }
        Poll::Ready(piece)
    }
}

fn pass_on(mut answer: Response) -> Response {
    let headers = shown(answer.headers(), None);
    *answer.headers_mut() = headers;
    answer
}

/// What a client may see: no cookie, no challenge, no id of the storage.
fn shown(headers: &HeaderMap, digest: Option<&Digest>) -> HeaderMap {
    let mut shown: HeaderMap = headers
        .iter()
        .filter(|(name, _)| SHOWN.contains(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    if let Some(value) = digest.and_then(|d| HeaderValue::from_str(d.as_str()).ok()) {
        shown.insert(DOCKER_CONTENT_DIGEST, value);
    }
    shown
}

const SHOWN: [HeaderName; 8] = [
    header::ACCEPT_RANGES,
    header::CONTENT_LENGTH,
    header::CONTENT_RANGE,
    header::CONTENT_TYPE,
    header::ETAG,
    header::LINK,
    DOCKER_CONTENT_DIGEST,
    HeaderName::from_static("docker-distribution-api-version"),
];

/// What the specification asks registries to take at least.
const MAX_MANIFEST: usize = 4 * 1024 * 1024;
