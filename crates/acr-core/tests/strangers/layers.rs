//! One test for each layer, and one for all of them.

use std::time::Duration;

use acr_core::{
    Error, ErrorKind,
    http::{Attempt, BoxError, Redaction},
    layer::{
        LogLayer, RequestIdLayer, RetryLayer, RetryPolicy, TimeoutLayer, Timeouts, TraceLayer,
        UserAgentLayer,
    },
};
use bytes::Bytes;
use http::{HeaderName, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use tower::{ServiceBuilder, ServiceExt as _};

use crate::{
    captured,
    server::{Server, client, text},
};

fn get(server: &Server, path: &str) -> Request<Full<Bytes>> {
    Request::get(server.uri(path)).body(Full::default()).unwrap()
}

const ID: HeaderName = HeaderName::from_static("x-request-id");

#[tokio::test]
async fn a_request_id_goes_in_the_header_that_was_asked_for() {
    let server = Server::start(&[]).await;
    let layer = RequestIdLayer::new().header(ID);
    let stack = ServiceBuilder::new().layer(layer).service(client());
    let answer = stack.clone().oneshot(get(&server, "/")).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(server.header("x-request-id").unwrap().len(), 36);
    assert_eq!(server.header("x-ms-client-request-id"), None);

    let mut own = get(&server, "/");
    own.headers_mut().insert(ID, "mine".parse().unwrap());
    stack.oneshot(own).await.unwrap();
    assert_eq!(server.header("x-request-id").as_deref(), Some("mine"));
}

#[tokio::test]
async fn a_user_agent_is_sent_and_the_clients_error_stays_its_own() {
    let server = Server::start(&[]).await;
    let layer = UserAgentLayer::new(Some("stranger/1.0")).unwrap();
    let stack = ServiceBuilder::new().layer(layer).service(client());
    stack.clone().oneshot(get(&server, "/")).await.unwrap();
    assert!(server.header("user-agent").unwrap().starts_with("stranger/1.0 acr-rust/"));

    let nowhere = Request::get("http://127.0.0.1:1/").body(Full::<Bytes>::default()).unwrap();
    let error: hyper_util::client::legacy::Error = stack.oneshot(nowhere).await.unwrap_err();
    assert!(error.is_connect());
}

#[tokio::test]
async fn a_span_tells_status_and_url_without_secrets() {
    captured::start();
    let server = Server::start(&[404]).await;
    let stack = ServiceBuilder::new().layer(TraceLayer::new(Redaction::new())).service(client());
    stack.clone().oneshot(get(&server, "/traced?sig=canary")).await.unwrap();
    let mut spans = captured::lines_with("/traced?sig=REDACTED");
    spans.retain(|line| line.contains(": close "));
    assert_eq!(spans.len(), 1, "{spans:?}");
    assert!(spans[0].contains("http.response.status_code=404"), "{spans:?}");
    // It is not said of somebody else's service that it were a registry.
    assert!(!spans[0].contains("azure.resource_provider"), "{spans:?}");
    assert!(captured::lines_with("canary").is_empty());

    let nowhere = Request::get("http://127.0.0.1:1/untraced").body(Full::<Bytes>::default());
    stack.oneshot(nowhere.unwrap()).await.unwrap_err();
    let spans = captured::lines_with("/untraced");
    assert!(spans.iter().any(|line| line.contains("error.type=\"_OTHER\"")), "{spans:?}");
}

/// A server gets paths, whose host and port are in a header, if anywhere.
#[tokio::test]
async fn around_a_server_a_span_is_one_of_a_server() {
    captured::start();
    let not_found = tower::service_fn(|_: Request<()>| async {
        Ok::<_, std::io::Error>(http::Response::builder().status(404).body(()).unwrap())
    });
    let stack = |layer| ServiceBuilder::new().layer(layer).service(not_found);
    let request = |path| Request::get(path).body(()).unwrap();
    let span = |path| {
        let mut spans = captured::lines_with(path);
        spans.retain(|line| line.contains(": close "));
        assert_eq!(spans.len(), 1, "{spans:?}");
        spans.remove(0)
    };
    let layer = TraceLayer::new(Redaction::new());
    stack(layer.clone().server()).oneshot(request("/served")).await.unwrap();
    let served = span("/served");
    assert!(served.contains("otel.kind=\"server\"") && served.contains("status_code=404"));
    assert!(!served.contains("server.port") && !served.contains("error.type"), "{served}");

    stack(layer).oneshot(request("http://asked.example/asked")).await.unwrap();
    let asked = span("/asked");
    assert!(asked.contains("otel.kind=\"client\"") && asked.contains("server.port=80"), "{asked}");
    assert!(asked.contains("error.type=\"404\""), "{asked}");
}

#[tokio::test]
async fn a_log_tells_exchanges_and_redacts_headers() {
    captured::start();
    let server = Server::start(&[]).await;
    let stack = ServiceBuilder::new().layer(LogLayer::new(Redaction::new())).service(client());
    let mut request = get(&server, "/logged");
    request.headers_mut().insert("authorization", "canary".parse().unwrap());
    stack.clone().oneshot(request).await.unwrap();
    let lines = captured::lines_with("/logged");
    let with = |words: &[&str]| {
        lines.iter().filter(|line| words.iter().all(|word| line.contains(word))).count()
    };
    assert_eq!(with(&["INFO", ": exchange", "status=200"]), 1, "{lines:?}");
    assert_eq!(with(&["DEBUG", "request", "authorization: REDACTED"]), 1, "{lines:?}");

    let nowhere = Request::get("http://127.0.0.1:1/unlogged").body(Full::<Bytes>::default());
    stack.oneshot(nowhere.unwrap()).await.unwrap_err();
    assert!(captured::lines_with("/unlogged").iter().any(|line| line.contains("kind=_OTHER")));
}

#[tokio::test]
async fn a_time_out_ends_what_is_silent_and_leaves_the_rest_as_it_was() {
    let server = Server::start(&[]).await;
    let timeouts = Timeouts::default();
    let stack =
        |timeouts| ServiceBuilder::new().layer(TimeoutLayer::new(timeouts)).service(client());

    let long: String = "0123456789".repeat(40_000);
    let request = Request::put(server.uri("/")).body(Full::new(Bytes::from(long.clone()))).unwrap();
    let answer = stack(timeouts.clone()).oneshot(request).await.unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "hello");
    let (head, body) = server.seen().remove(0);
    assert!(body == long, "the body arrives whole, in pieces or not");
    // Its length is still known.
    assert_eq!(head.headers["content-length"], "400000");

    let hasty = timeouts.head(Duration::from_millis(50));
    let error: BoxError = stack(hasty).oneshot(get(&server, "/silent")).await.unwrap_err();
    assert_eq!(Error::from(error).kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn all_of_them_stand_in_one_stack_in_the_order_of_ours() {
    captured::start();
    let server = Server::start(&[503]).await;
    let policy = RetryPolicy::default().base(Duration::from_millis(1));
    let stack = ServiceBuilder::new()
        .concurrency_limit(4)
        .layer(RequestIdLayer::new().header(ID))
        .layer(RetryLayer::new(policy.deadline(Duration::from_secs(60))))
        .layer(UserAgentLayer::new(None).unwrap())
        .layer(TraceLayer::new(Redaction::new()))
        .layer(LogLayer::new(Redaction::new()))
        .layer(TimeoutLayer::new(Timeouts::default()))
        .service(client());
    let request = Request::builder().method(Method::PUT).uri(server.uri("/all"));
    let answer = stack.oneshot(request.body(text("content")).unwrap()).await.unwrap();
    assert_eq!(answer.extensions().get().copied(), Some(Attempt::new(2)));
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "hello");
    let seen = server.seen();
    let ids: Vec<_> = seen.iter().map(|(head, _)| head.headers.get(ID).cloned()).collect();
    assert_eq!(seen.len(), 2);
    assert!(ids[0].is_some() && ids[0] == ids[1], "one id for both attempts");
    assert!(seen.iter().all(|(_, body)| body == "content"));
    let spans = captured::lines_with("/all ");
    assert_eq!(spans.iter().filter(|line| line.contains(": close ")).count(), 2, "{spans:?}");
    assert!(spans.iter().any(|line| line.contains("resend_count=1")), "{spans:?}");
}
