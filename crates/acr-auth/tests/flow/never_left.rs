//! What is said of a request whose token could not be had: nothing of it left, whatever became of
//! the token call.

use std::time::Duration;

use acr_auth::{AuthLayer, Credential};
use acr_core::{
    Action, Endpoint, ErrorKind, Pipeline, Scope, Transport, TransportBuilder,
    http::{Effect, Operation, Request, RequestBuilder},
    layer::RetryPolicy,
};
use http::Method;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tower::ServiceExt as _;

/// Up to the end of a head, or of what is sent.
async fn head(socket: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match socket.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}

fn put_manifest(endpoint: &Endpoint, effect: Option<Effect>) -> Request {
    let name = "app".parse().unwrap();
    let path = ["v2", "app", "manifests", "v1"];
    let method = if effect.is_some() { Method::PUT } else { Method::POST };
    let mut request = RequestBuilder::new(method, endpoint, &path)
        .operation(Operation::new("put_manifest"))
        .scope(Scope::repository(&name, &[Action::PUSH]))
        .body("{}");
    if let Some(effect) = effect {
        request = request.effect(effect);
    }
    request.build().unwrap()
}

/// The registry closes the kept connection when the token call is on it, and is down then: the
/// token call may have been taken, the request that it was for was not.
#[tokio::test]
async fn a_replay_of_a_token_call_that_fails_says_nothing_of_the_request() {
    for effect in [Some(Effect::Move), Some(Effect::Append), Some(Effect::Commit), None] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = Endpoint::insecure_loopback(listener.local_addr().unwrap()).unwrap();
        let server = async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            drop(listener);
            head(&mut socket).await;
            socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
            head(&mut socket).await
        };
        let client = async {
            let transport: Transport = TransportBuilder::new().no_proxy().build().unwrap();
            let ping = RequestBuilder::new(Method::GET, &endpoint, &["v2", ""]).build().unwrap();
            let answer = transport.clone().oneshot(ping).await.unwrap();
            answer.into_body().bytes(10).await.unwrap();
            let policy = RetryPolicy::default().retries(2).base(Duration::from_millis(1));
            let pipeline = Pipeline::builder(endpoint.clone())
                .transport(transport)
                .retry(policy)
                .layer_per_hop(AuthLayer::new(&endpoint, Credential::password("me", "secret")))
                .build()
                .unwrap();
            pipeline.send(put_manifest(&endpoint, effect)).await.unwrap_err()
        };
        let (killed, error) = tokio::join!(server, client);
        assert!(killed.starts_with("POST /oauth2/token "), "{killed}");
        assert_eq!(error.kind(), ErrorKind::Connect, "{error}");
        assert!(error.is_unsent(), "{effect:?}: {error}");
        assert_eq!(error.attempts(), 3, "{effect:?}: what never left is repeated");
    }
}
