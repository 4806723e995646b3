//! Each of our layers around reqwest, over `http::Request<Full<Bytes>>`, without `acr_core::http::Body`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop at the first surprise"
)]

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use acr_core::{
    Error, ErrorKind,
    http::{BoxError, Redaction},
    layer::{
        AttemptEnded, CallEnded, CountedBody, LogLayer, ObserveCallLayer, ObserveExchangeLayer,
        Observed, Observer, RequestIdLayer, RetryLayer, RetryPolicy, TimeoutLayer, Timeouts,
        TraceLayer, Transferred, UserAgentLayer, WatchedBody,
    },
};
use bytes::Bytes;
use http::{HeaderName, Request, Response, StatusCode, request};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tower::{Layer, Service, ServiceBuilder, ServiceExt as _};

type Seen = Arc<Mutex<Vec<(request::Parts, Bytes)>>>;

/// reqwest as it comes, as a service of `http::Request<B>`.
fn client<B>()
-> impl Service<Request<B>, Response = Response<reqwest::Body>, Error = reqwest::Error, Future: Send>
+ Clone
+ Send
+ 'static
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + Sync + 'static,
{
    ServiceBuilder::new()
        .map_request(|request: Request<B>| {
            reqwest::Request::try_from(request.map(reqwest::Body::wrap)).unwrap()
        })
        .map_response(Response::<reqwest::Body>::from)
        .service(
            reqwest::Client::builder().no_proxy().retry(reqwest::retry::never()).build().unwrap(),
        )
}

/// Answers by a script of statuses, then 200 with the body `hello`; never at `/silent`.
async fn server(script: &'static [u16]) -> (String, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (uri, seen) = (format!("http://{}", listener.local_addr().unwrap()), Seen::default());
    let log = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let log = Arc::clone(&log);
            let service = service_fn(move |request: Request<Incoming>| {
                let log = Arc::clone(&log);
                async move {
                    let (head, body) = request.into_parts();
                    let is_silent = head.uri.path() == "/silent";
                    let body = body.collect().await.unwrap().to_bytes();
                    let status = {
                        let mut log = log.lock().unwrap();
                        log.push((head, body));
                        script.get(log.len() - 1).copied().unwrap_or(200)
                    };
                    if is_silent {
                        std::future::pending::<()>().await;
                    }
                    let answer = Response::builder().status(status);
                    Ok::<_, Infallible>(answer.body(Full::new(Bytes::from("hello"))).unwrap())
                }
            });
            let http1 = hyper::server::conn::http1::Builder::new();
            tokio::spawn(http1.serve_connection(TokioIo::new(socket), service));
        }
    });
    (uri, seen)
}

/// Sends content through a stack, and gives back what the server saw of it.
async fn put<S, R>(stack: S, script: &'static [u16]) -> Vec<(request::Parts, Bytes)>
where
    S: Service<Request<Content>, Response = Response<R>, Error: std::fmt::Debug>,
    R: http_body::Body<Error: std::fmt::Debug>,
{
    let (uri, seen) = server(script).await;
    let request = Request::put(uri).body(Full::new(Bytes::from("content"))).unwrap();
    let answer = stack.oneshot(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "hello");
    let seen = seen.lock().unwrap().clone();
    assert!(seen.iter().all(|(_, body)| body == "content"));
    seen
}

type Content = Full<Bytes>;

const ID: HeaderName = HeaderName::from_static("x-request-id");

#[tokio::test]
async fn a_request_id() {
    let layer = RequestIdLayer::new().header(ID);
    let seen = put(ServiceBuilder::new().layer(layer).service(client::<Content>()), &[]).await;
    assert_eq!(seen[0].0.headers[ID].len(), 36);
}

#[tokio::test]
async fn a_user_agent() {
    let layer = UserAgentLayer::new(Some("stranger/1.0")).unwrap();
    let seen = put(ServiceBuilder::new().layer(layer).service(client::<Content>()), &[]).await;
    let agent = seen[0].0.headers["user-agent"].to_str().unwrap();
    assert!(agent.starts_with("stranger/1.0 acr-rust/"), "{agent}");
}

#[tokio::test]
async fn a_span_and_a_log() {
    // What they tell is tested in acr-core; here they must let everything through.
    let trace = TraceLayer::new(Redaction::new());
    let seen = put(ServiceBuilder::new().layer(trace).service(client::<Content>()), &[]).await;
    assert_eq!(seen.len(), 1);
    let log = LogLayer::new(Redaction::new());
    let seen = put(ServiceBuilder::new().layer(log).service(client::<Content>()), &[]).await;
    assert_eq!(seen.len(), 1);
}

#[tokio::test]
async fn a_time_out() {
    let layer = TimeoutLayer::new(Timeouts::default().head(Duration::from_millis(50)));
    let client = client::<WatchedBody<Content>>();
    let (uri, _) = server(&[]).await;
    let request = Request::get(format!("{uri}/silent")).body(Content::default()).unwrap();
    let error: BoxError = layer.layer(client.clone()).oneshot(request).await.unwrap_err();
    assert_eq!(Error::from(error).kind(), ErrorKind::Timeout);
    let patient = TimeoutLayer::new(Timeouts::default());
    assert_eq!(put(patient.layer(client), &[]).await.len(), 1);
}

#[tokio::test]
async fn repetitions() {
    let policy = || RetryPolicy::default().base(Duration::from_millis(1));
    let layer = RetryLayer::new(policy());
    let seen = put(layer.layer(client::<Content>()), &[503, 503]).await;
    assert_eq!(seen.len(), 3);
    // reqwest may have followed a redirect before it found nobody, so a `POST` is sent once; its
    // error stays what it is.
    let sent = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&sent);
    let stack = ServiceBuilder::new()
        .layer(RetryLayer::new(policy()))
        .map_request(move |request: Request<Content>| {
            counter.fetch_add(1, Ordering::Relaxed);
            request
        })
        .service(client::<Content>());
    let request = Request::post("http://127.0.0.1:1/").body(Content::default()).unwrap();
    let error: BoxError = stack.oneshot(request).await.unwrap_err();
    assert!(error.downcast::<reqwest::Error>().is_ok_and(|error| error.is_connect()));
    assert_eq!(sent.load(Ordering::Relaxed), 1);
}

#[derive(Default)]
struct Counts(Mutex<Vec<String>>);

impl Observer for Counts {
    fn call_ended(&self, _: &Observed, event: &CallEnded) {
        self.0.lock().unwrap().push(format!("call {}", event.ending.as_str()));
    }

    fn attempt_ended(&self, _: &Observed, event: &AttemptEnded) {
        self.0.lock().unwrap().push(format!("attempt {}", event.ending.as_str()));
    }

    fn transferred(&self, _: &Observed, event: &Transferred) {
        let (direction, bytes) = (event.direction.as_str(), event.bytes);
        self.0.lock().unwrap().push(format!("{direction} {bytes}"));
    }
}

#[tokio::test]
async fn an_observer() {
    let counts = Arc::new(Counts::default());
    let stack = ServiceBuilder::new()
        .layer(ObserveCallLayer::new(counts.clone()))
        .layer(ObserveExchangeLayer::new(counts.clone()))
        .service(client::<CountedBody<Content>>());
    assert_eq!(put(stack, &[]).await.len(), 1);
    let mut told = counts.0.lock().unwrap().clone();
    told.sort();
    assert_eq!(told, ["attempt 2xx", "call 2xx", "received 5", "sent 7"]);
}

#[tokio::test]
async fn all_of_them() {
    let stack = ServiceBuilder::new()
        .layer(RequestIdLayer::new().header(ID))
        .layer(RetryLayer::new(RetryPolicy::default().base(Duration::from_millis(1))))
        .layer(UserAgentLayer::new(None).unwrap())
        .layer(TraceLayer::new(Redaction::new()))
        .layer(LogLayer::new(Redaction::new()))
        .layer(TimeoutLayer::new(Timeouts::default()))
        .service(client::<WatchedBody<Content>>());
    let seen = put(stack, &[503]).await;
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].0.headers[ID], seen[1].0.headers[ID]);
}
