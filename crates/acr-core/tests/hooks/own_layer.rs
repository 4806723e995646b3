//! A layer of one's own, generic over what is inside, in both hooks.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll},
};

use acr_core::http::Effect;
use tower::{Layer, Service};

use crate::registry::{Hook, Registry, both_as_usual, sent};

/// Adds a header, and counts.
#[derive(Clone, Default)]
struct Mark(Arc<AtomicU32>);

#[derive(Clone)]
struct Marked<S> {
    inner: S,
    count: Arc<AtomicU32>,
}

impl<S> Layer<S> for Mark {
    type Service = Marked<S>;

    fn layer(&self, inner: S) -> Marked<S> {
        Marked { inner, count: Arc::clone(&self.0) }
    }
}

impl<S, B> Service<http::Request<B>> for Marked<S>
where
    S: Service<http::Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: http::Request<B>) -> S::Future {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        request.headers_mut().insert("x-mark", number.into());
        self.inner.call(request)
    }
}

#[tokio::test(start_paused = true)]
async fn it_sees_calls_or_attempts_and_what_it_adds_is_sent() {
    let registry = || Registry { script: vec![503], ..Registry::default() };
    for (hook, pipeline, registry) in both_as_usual(Mark::default, registry) {
        assert_eq!(sent(&pipeline, Effect::Set, "x").await.unwrap(), "x");
        let marks: Vec<_> = registry.seen().iter().map(|head| head["x-mark"].clone()).collect();
        let expected = if hook == Hook::Hop { ["0", "1"] } else { ["0", "0"] };
        assert_eq!(marks, expected, "{hook:?}");
    }
}
