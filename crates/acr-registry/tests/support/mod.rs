//! Clients of an emulated registry, and of one that gives a fixed answer.

#![allow(dead_code, reason = "not every test needs all of it")]

use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use acr_auth::{AccessToken, AuthLayer, Credential, credential_fn};
use acr_core::{
    Digest, Pipeline, PipelineBuilder, Tag, Transport,
    http::{Body, Request},
    layer::RetryPolicy,
};
use acr_registry::{ImageIndex, RegistryClient, RepositoryClient};
use acr_testkit::FakeRegistry;

/// A pipeline that signs in with an Entra identity and repeats nothing.
pub(crate) fn pipeline(registry: &FakeRegistry) -> Pipeline {
    let pipeline = pipeline_over(registry, registry.transport());
    pipeline.retry(RetryPolicy::default().retries(0)).build().unwrap()
}

/// A pipeline that signs in with an Entra identity.
pub(crate) fn pipeline_over(registry: &FakeRegistry, transport: Transport) -> PipelineBuilder {
    let token = registry.entra_token();
    let source = credential_fn(move |_| {
        let token = AccessToken::new(token.clone(), SystemTime::now() + Duration::from_secs(3600));
        async move { Ok(token) }
    });
    let auth = AuthLayer::new(&registry.endpoint(), Credential::entra(source));
    Pipeline::builder(registry.endpoint()).transport(transport).layer_per_hop(auth)
}

/// The repository `library/app`.
pub(crate) fn client(registry: &FakeRegistry) -> RepositoryClient {
    RegistryClient::new(pipeline(registry)).repository("library/app").unwrap()
}

/// A request as the scripted registry saw it: its line and body, and its headers.
pub(crate) type Asked = Arc<Mutex<Vec<(String, http::HeaderMap)>>>;

/// What a scripted registry answers.
#[derive(Clone)]
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Answer {
    pub(crate) fn new(status: u16, body: &str) -> Self {
        Self { status, headers: Vec::new(), body: body.to_owned() }
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

/// A registry that gives one answer to everything, and what it was asked.
pub(crate) fn scripted(
    status: u16,
    headers: &[(&'static str, &str)],
    body: &str,
) -> (RegistryClient, Asked) {
    let answer = Answer::new(status, body);
    let answer = headers.iter().fold(answer, |answer, (name, value)| answer.header(name, value));
    answering(move |_, _| answer.clone())
}

/// A registry that answers by method and path, and what it was asked.
pub(crate) fn answering(
    answer: impl Fn(&str, &str) -> Answer + Send + Sync + 'static,
) -> (RegistryClient, Asked) {
    let asked = Asked::default();
    let (log, answer) = (Arc::clone(&asked), Arc::new(answer));
    let transport = Transport::new(tower::service_fn(move |request: Request| {
        let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
        async move {
            let (head, sent) = request.into_parts();
            let sent = sent.bytes(1 << 20).await.unwrap();
            let target = head.uri.path_and_query().unwrap();
            let line = format!("{} {target} {}", head.method, String::from_utf8_lossy(&sent));
            let answer = answer(head.method.as_str(), head.uri.path());
            log.lock().unwrap().push((line, head.headers));
            let mut response = http::Response::builder().status(answer.status);
            for (name, value) in &answer.headers {
                response = response.header(*name, value.as_bytes());
            }
            let is_bare = head.method == "HEAD" || answer.status == 204;
            let body = if is_bare { Body::empty() } else { Body::from(answer.body) };
            Ok::<_, std::io::Error>(response.body(body).unwrap())
        }
    }));
    let pipeline = Pipeline::builder("reg.azurecr.io".parse().unwrap()).transport(transport);
    let pipeline = pipeline.retry(RetryPolicy::default().retries(0)).build().unwrap();
    (RegistryClient::new(pipeline), asked)
}

/// The lines of what was asked.
pub(crate) fn lines(asked: &Asked) -> Vec<String> {
    asked.lock().unwrap().iter().map(|(line, _)| line.clone()).collect()
}

pub(crate) fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

/// An index without children, one of many.
pub(crate) fn index(n: usize) -> ImageIndex {
    ImageIndex::new().annotation("n", n.to_string())
}

pub(crate) async fn push(repo: &RepositoryClient, n: usize, name: &str) -> Digest {
    repo.put_manifest(index(n).to_json().unwrap()).tag(tag(name)).await.unwrap()
}
