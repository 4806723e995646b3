//! Connections of our own transport: opened, reused, failed.

use std::sync::Arc;

use acr_core::{
    Endpoint, Pipeline, Transport, TransportBuilder,
    http::Effect,
    layer::{Connection, ObserveExchangeLayer, RetryPolicy},
};
use tower::Layer as _;

use crate::{
    network::{OK, Server, get, read_head},
    recorder::Recorder,
};

fn observed(told: &Arc<Recorder>) -> Pipeline {
    let transport: Transport = TransportBuilder::new().no_proxy().build().unwrap();
    let endpoint = Endpoint::insecure_loopback("127.0.0.1:80".parse().unwrap()).unwrap();
    Pipeline::builder(endpoint)
        .transport(transport)
        .retry(RetryPolicy::default().retries(0))
        .observer(Arc::clone(told) as _)
        .build()
        .unwrap()
}

#[tokio::test]
async fn the_first_exchange_opens_a_connection_and_the_next_ones_reuse_it() {
    let server = Server::plain(OK).await;
    let told = Arc::new(Recorder::default());
    let pipeline = observed(&told);
    for _ in 0..3 {
        let answer = pipeline.send(get(&server.http())).await.unwrap();
        assert_eq!(answer.into_body().bytes(10).await.unwrap(), "ok");
    }
    use Connection::{Opened, Reused};
    assert_eq!(told.connections(), [Opened, Reused, Reused]);
    assert_eq!(server.connections(), 1);
    assert!(told.all().iter().all(|(of, _)| of.host == "127.0.0.1"), "{:?}", told.all());
}

#[tokio::test]
async fn a_connection_that_cannot_be_had_has_failed() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let told = Arc::new(Recorder::default());
    observed(&told).send(get(&format!("http://{address}/"))).await.unwrap_err();
    assert_eq!(told.connections(), [Connection::Failed]);
}

/// The replay on a fresh connection, after the server closed an idle one, is another exchange
/// with a connection and no other attempt.
#[tokio::test]
async fn a_stale_connection_is_reused_once_and_another_one_opened() {
    let server = Server::start(|mut socket, heads| async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let Some(head) = read_head(&mut socket).await else { return };
        heads.lock().unwrap().push(head);
        socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
        // The next request is read in part, and never answered.
        let _ = socket.read(&mut [0]).await;
    })
    .await;
    let told = Arc::new(Recorder::default());
    let pipeline = observed(&told);
    for _ in 0..2 {
        let answer = pipeline.send(get(&server.http())).await.unwrap();
        assert_eq!(answer.into_body().bytes(10).await.unwrap(), "ok");
    }
    use Connection::{Opened, Reused};
    assert_eq!(told.connections(), [Opened, Reused, Opened]);
    assert_eq!(told.attempts().len(), 2);
}

/// The recipe of `docs/embed.md` for pipelines of sources of tokens.
#[tokio::test]
async fn bytes_are_replayed_on_a_fresh_connection_through_an_observed_transport() {
    let server = Server::start(|mut socket, heads| async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let Some(head) = read_head(&mut socket).await else { return };
        heads.lock().unwrap().push(head);
        let mut content = [0; 7];
        socket.read_exact(&mut content).await.unwrap();
        socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
        let _ = socket.read(&mut [0]).await;
    })
    .await;
    let told = Arc::new(Recorder::default());
    let transport = TransportBuilder::new().no_proxy().build().unwrap();
    let observe = ObserveExchangeLayer::new(told.clone());
    let transport = Transport::new(observe.layer(transport));
    let endpoint = Endpoint::insecure_loopback("127.0.0.1:80".parse().unwrap()).unwrap();
    let pipeline = Pipeline::builder(endpoint).transport(transport).build().unwrap();
    for _ in 0..2 {
        let mut request = get(&server.http());
        *request.method_mut() = http::Method::POST;
        *request.body_mut() = "content".into();
        request.extensions_mut().insert(Effect::Token);
        let answer = pipeline.send(request).await.unwrap();
        assert_eq!(answer.into_body().bytes(10).await.unwrap(), "ok");
    }
    use Connection::{Opened, Reused};
    assert_eq!(told.connections(), [Opened, Reused, Opened]);
    assert_eq!(told.token_calls().len(), 2, "none was repeated by retry");
}

#[tokio::test]
async fn an_exchange_that_is_given_up_had_a_connection_too() {
    let server = Server::start(|mut socket, heads| async move {
        let Some(head) = read_head(&mut socket).await else { return };
        heads.lock().unwrap().push(head);
        std::future::pending::<()>().await;
    })
    .await;
    let told = Arc::new(Recorder::default());
    let pipeline = observed(&told);
    let request = get(&server.http());
    let call = tokio::spawn(async move { pipeline.send(request).await.map(drop) });
    while server.heads().is_empty() {
        tokio::task::yield_now().await;
    }
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    assert_eq!(told.connections(), [Connection::Opened]);
}
