//! One request, one answer, and what was expected of it.

use acr_core::{
    Action, Digest, Pipeline, RepositoryName, Scope,
    http::{Body, Effect, FollowRedirects, Operation, RequestBuilder, response::header_text},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use serde_json::Value;

/// What came of a check: nothing to say, or what was found.
pub(super) type Found<T = ()> = Result<T, String>;

/// Asks one registry.
pub(super) struct Probe {
    pipeline: Pipeline,
    pub(super) one: RepositoryName,
    pub(super) two: RepositoryName,
}

/// An answer, read to its end.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// A request in the making.
pub(super) struct Ask<'a> {
    probe: &'a Probe,
    method: Method,
    uri: Uri,
    scope: Scope,
    headers: Vec<(HeaderName, String)>,
    body: Bytes,
}

impl Probe {
    pub(super) fn new(pipeline: &Pipeline, scratch: &RepositoryName) -> Found<Self> {
        let name = |part: &str| {
            format!("{scratch}/{part}").parse().map_err(|_| format!("`{scratch}` is too long"))
        };
        Ok(Self { pipeline: pipeline.clone(), one: name("one")?, two: name("two")? })
    }

    /// A request to a path of the registry, with these rights on a repository.
    pub(super) fn ask(
        &self,
        method: Method,
        path: &str,
        repository: &RepositoryName,
        actions: &[Action],
    ) -> Found<Ask<'_>> {
        self.scoped(method, path, Scope::repository(repository, actions))
    }

    pub(super) fn scoped(&self, method: Method, path: &str, scope: Scope) -> Found<Ask<'_>> {
        let uri = self.pipeline.endpoint().uri(path).map_err(|error| error.to_string())?;
        Ok(Ask { probe: self, method, uri, scope, headers: Vec::new(), body: Bytes::new() })
    }
}

impl Ask<'_> {
    pub(super) fn header(mut self, name: HeaderName, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(super) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    pub(super) async fn send(self) -> Found<Answer> {
        let is_read = matches!(self.method, Method::GET | Method::HEAD);
        let mut request = RequestBuilder::to(self.method, self.uri)
            .operation(Operation::new("conformance"))
            .scope(self.scope)
            .effect(if is_read { Effect::Read } else { Effect::Append })
            .body(self.body);
        for (name, value) in self.headers {
            let value = HeaderValue::from_str(&value).map_err(|error| error.to_string())?;
            request = request.header(name, value);
        }
        let mut request = request.build().map_err(|error| error.to_string())?;
        request.extensions_mut().insert(FollowRedirects::default());
        let answer = self.probe.pipeline.send(request).await.map_err(|error| error.to_string())?;
        let (head, body) = answer.into_parts();
        let body: Body = body;
        let body = body.bytes(MAX_ANSWER).await.map_err(|error| error.to_string())?;
        Ok(Answer { status: head.status, headers: head.headers, body })
    }
}

impl Answer {
    /// Passes the answer on if it has this status.
    pub(super) fn status(self, expected: u16) -> Found<Self> {
        if self.status.as_u16() == expected {
            return Ok(self);
        }
        let body = String::from_utf8_lossy(self.body.get(..200).unwrap_or(&self.body)).into_owned();
        Err(format!("status {} instead of {expected}: {body}", self.status.as_u16()))
    }

    /// Passes the answer on if it is the registry's error envelope with this code.
    pub(super) fn error(self, status: u16, code: &str) -> Found<Self> {
        let answer = self.status(status)?;
        let document = answer.json()?;
        match document.pointer("/errors/0/code").and_then(Value::as_str) {
            Some(found) if found == code => Ok(answer),
            found => Err(format!("code {found:?} instead of {code}")),
        }
    }

    /// Passes the answer on if it has this header with this value.
    pub(super) fn has(self, name: &str, value: &str) -> Found<Self> {
        match self.header(name)? {
            found if found == value => Ok(self),
            found => Err(format!("{name} is `{found}` instead of `{value}`")),
        }
    }

    pub(super) fn has_digest(self, digest: &Digest) -> Found<Self> {
        self.has("docker-content-digest", digest.as_str())
    }

    /// Passes the answer on if its body is exactly this.
    pub(super) fn is(self, body: &[u8]) -> Found<Self> {
        if self.body == body {
            return Ok(self);
        }
        Err(format!("{} bytes of another content instead of {}", self.body.len(), body.len()))
    }

    pub(super) fn header(&self, name: &str) -> Found<String> {
        let parsed: HeaderName = name.parse().map_err(|_| format!("bad header name {name}"))?;
        let text = header_text(&self.headers, &parsed);
        text.map(ToOwned::to_owned).ok_or_else(|| format!("no header {name}"))
    }

    pub(super) fn json(&self) -> Found<Value> {
        serde_json::from_slice(&self.body).map_err(|error| format!("not JSON: {error}"))
    }

    /// Passes the answer on if its JSON has this value at this pointer.
    pub(super) fn at(self, pointer: &str, expected: &Value) -> Found<Self> {
        let document = self.json()?;
        match document.pointer(pointer) {
            Some(found) if found == expected => Ok(self),
            found => Err(format!("{pointer} is {found:?} instead of {expected}")),
        }
    }
}

const MAX_ANSWER: usize = 1 << 20;
