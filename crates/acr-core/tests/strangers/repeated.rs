//! What the retry layer repeats of requests that say nothing of their effect.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use acr_core::{
    Error, ErrorKind,
    http::{Attempt, BoxError, Effect},
    layer::{RetryLayer, RetryPolicy},
};
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use hyper::body::Frame;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tower::{ServiceBuilder, ServiceExt as _};

use crate::server::{Server, client, text};

fn policy() -> RetryPolicy {
    RetryPolicy::default().base(Duration::from_millis(1))
}

/// How often a request was sent that is answered 503 twice.
async fn times_sent(policy: RetryPolicy, method: Method, declared: Option<Effect>) -> usize {
    let server = Server::start(&[503, 503]).await;
    let stack = ServiceBuilder::new().layer(RetryLayer::new(policy)).service(client());
    let mut request =
        Request::builder().method(method).uri(server.uri("/")).body(text("content")).unwrap();
    if let Some(effect) = declared {
        request.extensions_mut().insert(effect);
    }
    let answer = stack.oneshot(request).await.unwrap();
    let seen = server.seen();
    assert!(seen.iter().all(|(_, body)| body == "content"), "whole each time");
    let attempts = answer.extensions().get::<Attempt>().unwrap().get();
    assert_eq!(attempts as usize, seen.len());
    let is_well = answer.status() == StatusCode::OK;
    assert_eq!(is_well, seen.len() == 3);
    seen.len()
}

#[tokio::test]
async fn a_plain_get_is_sent_three_times_and_a_post_once() {
    for (method, times) in [
        (Method::GET, 3),
        (Method::OPTIONS, 3),
        (Method::PUT, 3),
        (Method::DELETE, 3),
        (Method::POST, 1),
        (Method::PATCH, 1),
    ] {
        assert_eq!(times_sent(policy(), method.clone(), None).await, times, "{method}");
    }
}

#[tokio::test]
async fn what_a_request_says_itself_counts_more_and_methods_can_be_left_out_of_it() {
    assert_eq!(times_sent(policy(), Method::POST, Some(Effect::Set)).await, 3);
    assert_eq!(times_sent(policy(), Method::PUT, Some(Effect::Move)).await, 1);
    let strict = || policy().only_declared_effects();
    assert_eq!(times_sent(strict(), Method::GET, None).await, 1);
    assert_eq!(times_sent(strict(), Method::GET, Some(Effect::Read)).await, 3);
}

#[tokio::test]
async fn a_body_that_cannot_be_cloned_is_copied_as_the_caller_says() {
    type Opaque = UnsyncBoxBody<Bytes, Infallible>;
    for (content, times) in [("", 3), ("content", 1)] {
        let server = Server::start(&[503, 503]).await;
        let layer = RetryLayer::new(policy())
            .copy_bodies(|body: &Opaque| body.is_end_stream().then(Opaque::default));
        let stack = ServiceBuilder::new().layer(layer).service(client());
        let request = Request::get(server.uri("/")).body(text(content).boxed_unsync()).unwrap();
        stack.oneshot(request).await.unwrap();
        assert_eq!(server.seen().len(), times, "{content}");
    }
}

/// A client may have followed a redirect, and found nobody there.
#[tokio::test]
async fn that_a_stranger_has_no_connection_does_not_mean_that_nothing_left() {
    for (method, times) in [(Method::POST, 1), (Method::GET, 4)] {
        let tries = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&tries);
        let stack = ServiceBuilder::new()
            .layer(RetryLayer::new(policy()))
            .map_request(move |request: Request<Full<Bytes>>| {
                counter.fetch_add(1, Ordering::Relaxed);
                request
            })
            .service(client());
        let request = Request::builder().method(&method).uri("http://127.0.0.1:1/");
        let error: BoxError = stack.oneshot(request.body(text("x")).unwrap()).await.unwrap_err();
        assert!(error.is::<hyper_util::client::legacy::Error>(), "it stays the client's");
        assert_eq!(tries.load(Ordering::Relaxed), times, "{method}");
        assert_eq!(Error::from(error).kind(), ErrorKind::Transport);
    }
}

/// Its clones read from one queue, as those of a channel's receiver do.
#[derive(Clone)]
struct Queue(Arc<Mutex<Vec<Bytes>>>);

impl http_body::Body for Queue {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.lock().unwrap().pop().map(|piece| Ok(Frame::data(piece))))
    }
}

/// What is left in the queue would be sent as if it were the whole.
#[tokio::test]
async fn a_body_that_knows_no_length_is_sent_once() {
    let server = Server::start(&[503]).await;
    let queue = Queue(Arc::new(Mutex::new(vec![Bytes::from_static(b"content")])));
    let client = Client::builder(TokioExecutor::new()).build_http();
    let stack = ServiceBuilder::new().layer(RetryLayer::new(policy())).service(client);
    let answer = stack.oneshot(Request::put(server.uri("/")).body(queue).unwrap()).await.unwrap();
    assert_eq!((answer.status().as_u16(), server.seen().len()), (503, 1));
}
