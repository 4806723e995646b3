//! A registry that is a function, and pipelines to it with a layer in either hook.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use acr_core::{
    Endpoint, Error, Pipeline, PipelineBuilder, Result, Transport,
    http::{Body, Effect, Request, RequestBuilder, Response},
    layer::{HttpService, RetryPolicy},
};
use bytes::Bytes;
use http::{HeaderMap, Method};
use tower::{Layer, service_fn};

/// Waits so long, answers by a script of statuses and then 200, with what it was sent.
#[derive(Clone, Default)]
pub(crate) struct Registry {
    pub(crate) takes: Duration,
    pub(crate) script: Vec<u16>,
    pub(crate) panics: bool,
    /// Where it sends whoever asks `r.azurecr.io`.
    pub(crate) redirects: Option<&'static str>,
    pub(crate) seen: Arc<Mutex<Vec<HeaderMap>>>,
    pub(crate) now: Arc<AtomicUsize>,
    pub(crate) most: Arc<AtomicUsize>,
}

impl Registry {
    pub(crate) fn that_takes(takes: Duration) -> Self {
        Self { takes, ..Self::default() }
    }

    /// A pipeline to it.
    pub(crate) fn builder(&self) -> PipelineBuilder {
        let registry = self.clone();
        let service = service_fn(move |request: Request| registry.clone().answer(request));
        let endpoint: Endpoint = "r.azurecr.io".parse().unwrap();
        Pipeline::builder(endpoint).transport(Transport::new(service))
    }

    async fn answer(self, request: Request) -> Result<Response> {
        let status = {
            let mut seen = self.seen.lock().unwrap();
            seen.push(request.headers().clone());
            self.script.get(seen.len() - 1).copied().unwrap_or(200)
        };
        if let Some(to) = self.redirects.filter(|_| request.uri().host() == Some("r.azurecr.io")) {
            let answer = http::Response::builder().status(307).header("location", to);
            return Ok(answer.body(Body::empty()).unwrap());
        }
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        let content = request.into_body().bytes(1_000).await;
        if !self.takes.is_zero() {
            tokio::time::sleep(self.takes).await;
        }
        self.now.fetch_sub(1, Ordering::SeqCst);
        assert!(!self.panics, "a layer below fell over");
        let answer = http::Response::builder().status(status).body(Body::from(content?));
        Ok::<_, Error>(answer.unwrap())
    }

    /// What it was sent.
    pub(crate) fn seen(&self) -> Vec<HeaderMap> {
        self.seen.lock().unwrap().clone()
    }

    /// How many requests it had at once.
    pub(crate) fn most_at_once(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

/// Where the layer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hook {
    Call,
    Hop,
}

/// A pipeline for each hook, with the layer there and a registry of its own.
pub(crate) fn both<L>(
    layer: impl Fn() -> L,
    registry: impl Fn() -> Registry,
    policy: &RetryPolicy,
) -> [(Hook, Pipeline, Registry); 2]
where
    L: Layer<Transport, Service: HttpService> + Send + Sync + 'static,
{
    [Hook::Call, Hook::Hop].map(|hook| {
        let registry = registry();
        let builder = registry.builder().retry(policy.clone());
        let builder = match hook {
            Hook::Call => builder.layer_per_call(layer()),
            Hook::Hop => builder.layer_per_hop(layer()),
        };
        (hook, builder.build().unwrap(), registry)
    })
}

/// The same with the default policy, but the same waits each time.
pub(crate) fn both_as_usual<L>(
    layer: impl Fn() -> L,
    registry: impl Fn() -> Registry,
) -> [(Hook, Pipeline, Registry); 2]
where
    L: Layer<Transport, Service: HttpService> + Send + Sync + 'static,
{
    both(layer, registry, &RetryPolicy::default().seed(1))
}

pub(crate) fn once() -> RetryPolicy {
    RetryPolicy::default().retries(0)
}

/// A request whose content comes back.
pub(crate) fn request(pipeline: &Pipeline, effect: Effect, content: &'static str) -> Request {
    RequestBuilder::new(Method::PUT, pipeline.endpoint(), &["v2", "a"])
        .effect(effect)
        .body(content)
        .build()
        .unwrap()
}

/// Sends it, and gives what came back, its end bounded in time.
pub(crate) async fn sent(
    pipeline: &Pipeline,
    effect: Effect,
    content: &'static str,
) -> Result<Bytes> {
    let exchange = async {
        let answer = pipeline.send(request(pipeline, effect, content)).await?;
        assert_eq!(answer.status(), 200);
        answer.into_body().bytes(1_000).await
    };
    let day = Duration::from_secs(86_400);
    tokio::time::timeout(day, exchange).await.expect("nobody waits for ever")
}
