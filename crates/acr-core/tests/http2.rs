//! HTTP/2: one connection for all, and what happens when its peer is gone.

#![cfg(all(feature = "_transport", feature = "http2"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests may stop at the first surprise"
)]

mod network;

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use acr_core::{
    Error, ErrorKind, TlsConfig, Transport, TransportBuilder,
    http::{Effect, Response},
};
use bytes::Bytes;
use http::Version;
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::Notify,
    time::Instant,
};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use self::network::{Authority, Server, get, post};

/// What the server does with its connections.
#[derive(Clone, Default)]
struct Control {
    /// The first connection neither reads nor writes any more.
    freeze: Arc<AtomicBool>,
    /// The first connection says GOAWAY.
    goodbye: Arc<Notify>,
    /// Size of the answer's headers beyond the usual.
    padding: usize,
    /// Size of the answer.
    body: usize,
    answered: Arc<AtomicUsize>,
}

struct World {
    server: Server,
    transport: Transport,
    control: Control,
}

impl World {
    async fn new(control: Control) -> Self {
        let authority = Authority::new();
        let mut config = authority.leaf("127.0.0.1").server(None, rustls::ALL_VERSIONS);
        config.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let inside = control.clone();
        let count = Arc::new(AtomicUsize::new(0));
        let server = Server::start(move |socket, _| {
            let is_first = count.fetch_add(1, Ordering::SeqCst) == 0;
            serve(socket, acceptor.clone(), inside.clone(), is_first)
        })
        .await;
        let transport = TransportBuilder::new()
            .http2(true)
            .no_proxy()
            .tls(TlsConfig::only_roots(&authority.pem()).unwrap())
            .build()
            .unwrap();
        Self { server, transport, control }
    }

    async fn send(&self, request: acr_core::http::Request) -> Result<Response, Error> {
        self.transport.clone().oneshot(request).await
    }

    async fn read(&self) -> Bytes {
        let response = self.send(get(&self.server.https())).await.unwrap();
        assert_eq!(response.version(), Version::HTTP_2);
        response.into_body().bytes(usize::MAX).await.unwrap()
    }
}

async fn serve(socket: TcpStream, acceptor: TlsAcceptor, control: Control, is_first: bool) {
    let freeze = is_first.then(|| Arc::clone(&control.freeze));
    let stream = Freezer { socket, freeze };
    let Ok(stream) = acceptor.accept(stream).await else {
        return;
    };
    let answers = control.clone();
    let service = service_fn(move |_: http::Request<Incoming>| {
        answers.answered.fetch_add(1, Ordering::SeqCst);
        let response = http::Response::builder()
            .header("x-padding", "x".repeat(answers.padding))
            .body(Full::new(Bytes::from(vec![b'y'; answers.body])));
        async move { Ok::<_, Infallible>(response.unwrap()) }
    });
    let connection =
        http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    if is_first {
        tokio::select! {
            _ = connection.as_mut() => return,
            () = control.goodbye.notified() => connection.as_mut().graceful_shutdown(),
        }
    }
    let _ = connection.await;
}

/// A socket whose owner can stop looking at it.
struct Freezer {
    socket: TcpStream,
    freeze: Option<Arc<AtomicBool>>,
}

impl Freezer {
    fn is_frozen(&self) -> bool {
        let freeze = self.freeze.as_ref();
        freeze.is_some_and(|freeze| freeze.load(Ordering::SeqCst))
    }
}

impl AsyncRead for Freezer {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if self.is_frozen() {
            return Poll::Pending;
        }
        Pin::new(&mut self.socket).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Freezer {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        if self.is_frozen() {
            return Poll::Pending;
        }
        Pin::new(&mut self.socket).poll_write(cx, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[tokio::test]
async fn one_connection_serves_all() {
    let world = World::new(Control::default()).await;
    world.read().await;
    futures_util::future::join_all((0..50).map(|_| world.read())).await;
    assert_eq!(world.server.connections(), 1);
    assert_eq!(world.control.answered.load(Ordering::SeqCst), 51);
}

#[tokio::test]
async fn a_server_without_http2_is_spoken_to_in_http1() {
    let authority = Authority::new();
    let acceptor = authority.leaf("127.0.0.1").acceptor();
    let server = Server::tls(acceptor, network::OK).await;
    let transport = TransportBuilder::new()
        .http2(true)
        .no_proxy()
        .tls(TlsConfig::only_roots(&authority.pem()).unwrap())
        .build()
        .unwrap();
    let response = transport.oneshot(get(&server.https())).await.unwrap();
    assert_eq!(response.version(), Version::HTTP_11);
}

/// More than any window holds.
#[tokio::test]
async fn a_large_answer_passes_through_the_window() {
    let world = World::new(Control { body: 20 << 20, ..Control::default() }).await;
    assert_eq!(world.read().await.len(), 20 << 20);
}

/// A download that waits for its reader holds up nobody else, a token call least of all.
#[tokio::test]
async fn b3_answers_that_nobody_reads_stop_no_other_one() {
    let world = World::new(Control { body: 20 << 20, ..Control::default() }).await;
    let mut idle = Vec::new();
    for _ in 0..4 {
        idle.push(world.send(get(&world.server.https())).await.unwrap());
    }
    let read = tokio::time::timeout(Duration::from_secs(60), world.read());
    assert_eq!(read.await.expect("it never came").len(), 20 << 20);
    assert_eq!(world.server.connections(), 1);
    for response in idle {
        assert_eq!(response.into_body().bytes(usize::MAX).await.unwrap().len(), 20 << 20);
    }
}

#[tokio::test]
async fn large_headers_are_refused() {
    let world = World::new(Control { padding: 10_000, ..Control::default() }).await;
    world.read().await;
    let world = World::new(Control { padding: 17_000, ..Control::default() }).await;
    let error = world.send(get(&world.server.https())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport, "{error:?}");
}

/// The clock is stopped only when nothing is in flight but what the frozen peer never reads.
#[tokio::test]
async fn a_frozen_peer_is_an_error() {
    let world = World::new(Control::default()).await;
    world.read().await;
    world.control.freeze.store(true, Ordering::SeqCst);
    tokio::time::pause();
    let start = Instant::now();
    let request = post(&world.server.https(), Effect::Append, "chunk");
    let sent = tokio::time::timeout(Duration::from_secs(100), world.send(request));
    let error = sent.await.expect("nobody noticed").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport, "{error:?}");
    let waited = start.elapsed();
    let expected = Duration::from_secs(29)..Duration::from_secs(45);
    assert!(expected.contains(&waited), "{waited:?}");
    println!("a frozen peer was noticed after {waited:?}");
    assert_eq!(world.control.answered.load(Ordering::SeqCst), 1);
    // The pool has dropped the dead connection.
    tokio::time::resume();
    world.read().await;
    assert_eq!(world.server.connections(), 2);
}

#[tokio::test]
async fn a_read_survives_a_frozen_peer() {
    let world = World::new(Control::default()).await;
    world.read().await;
    world.control.freeze.store(true, Ordering::SeqCst);
    tokio::time::pause();
    let read = tokio::time::timeout(Duration::from_secs(100), world.read());
    assert!(read.await.expect("nobody noticed").is_empty());
    assert_eq!(world.server.connections(), 2);
}

#[tokio::test]
async fn after_goaway_a_new_connection_is_made() {
    let world = World::new(Control::default()).await;
    for _ in 0..3 {
        world.read().await;
    }
    world.control.goodbye.notify_one();
    // Whether the next request meets the farewell or comes after it: it is answered.
    for _ in 0..20 {
        world.read().await;
    }
    assert!(world.server.connections() >= 2);
    assert_eq!(world.control.answered.load(Ordering::SeqCst), 23);
}
