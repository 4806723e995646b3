//! A service that says by an error that it is not ready.

use std::{
    future::{Ready, ready},
    io,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use bytes::Bytes;
use http_body_util::Empty;
use tower::ServiceExt as _;

use super::*;

/// The first instance that is asked fails, and must not be asked again, as tower's contract has it.
#[derive(Default)]
struct Fragile {
    asked: Arc<AtomicU32>,
    has_failed: bool,
}

impl Clone for Fragile {
    fn clone(&self) -> Self {
        Self { asked: Arc::clone(&self.asked), has_failed: false }
    }
}

impl Service<http::Request<Empty<Bytes>>> for Fragile {
    type Response = http::Response<Empty<Bytes>>;
    type Error = io::Error;
    type Future = Ready<io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        assert!(!self.has_failed, "it is asked again after it failed");
        self.has_failed = self.asked.fetch_add(1, Ordering::Relaxed) == 0;
        Poll::Ready(if self.has_failed { Err(io::Error::other("closed")) } else { Ok(()) })
    }

    fn call(&mut self, _: http::Request<Empty<Bytes>>) -> Self::Future {
        ready(Ok(http::Response::new(Empty::new())))
    }
}

#[tokio::test(start_paused = true)]
async fn the_next_attempt_has_a_fresh_clone() {
    let service = Fragile::default();
    let asked = Arc::clone(&service.asked);
    let stack = RetryLayer::new(RetryPolicy::default()).layer(service);
    let answer = stack.oneshot(http::Request::new(Empty::new())).await.unwrap();
    assert_eq!((answer.status().as_u16(), asked.load(Ordering::Relaxed)), (200, 2));
}
