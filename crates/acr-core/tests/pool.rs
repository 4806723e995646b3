//! Kept connections: when they are used, when they end, and what happens to a request that
//! dies on one.

#![cfg(feature = "_transport")]
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
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use acr_core::{
    CallOptions, Endpoint, Error, ErrorKind, Pipeline, TlsConfig, Transport, TransportBuilder,
    http::{Attempt, Body, Effect, Operation, RequestBuilder},
    layer::RetryPolicy,
};
use bytes::Bytes;
use futures_util::{TryStreamExt as _, future::join_all, stream};
use http::Method;
use http_body::Frame;
use http_body_util::{Full, StreamBody};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    sync::{Barrier, mpsc},
};
use tower::ServiceExt as _;

use self::network::{Authority, OK, Server, get, post, read_head};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn builder() -> TransportBuilder {
    let tls = TlsConfig::only_roots(&Authority::new().pem()).unwrap();
    TransportBuilder::new().no_proxy().tls(tls)
}

fn transport() -> Transport {
    builder().build().unwrap()
}

/// Answers one request per connection and keeps it open, then closes it at the worst
/// moment: when the next request arrives. Sometimes with bytes unread, which resets it.
async fn closes_on_reuse(murdered: Arc<AtomicUsize>) -> Server {
    Server::start(move |mut socket, heads| {
        let murdered = Arc::clone(&murdered);
        async move {
            let Some(head) = read_head(&mut socket).await else {
                return;
            };
            heads.lock().unwrap().push(head);
            socket.write_all(ANSWER).await.unwrap();
            let mut first = [0];
            if matches!(socket.read(&mut first).await, Ok(1)) {
                let number = murdered.fetch_add(1, Ordering::SeqCst);
                if number.is_multiple_of(2) {
                    read_head(&mut socket).await;
                }
            }
        }
    })
    .await
}

async fn read_ok(transport: &Transport, request: acr_core::http::Request) {
    let response = transport.clone().oneshot(request).await.unwrap();
    assert_eq!(response.into_body().bytes(10).await.unwrap(), "ok");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_reads_survive_the_worst_race() {
    let murdered = Arc::new(AtomicUsize::new(0));
    let server = closes_on_reuse(Arc::clone(&murdered)).await;
    let transport = transport();
    let readers: Vec<_> = (0..8)
        .map(|_| {
            let (transport, uri) = (transport.clone(), server.http());
            tokio::spawn(async move {
                for _ in 0..1250 {
                    read_ok(&transport, get(&uri)).await;
                }
            })
        })
        .collect();
    for reader in readers {
        reader.await.unwrap();
    }
    assert_eq!(server.heads().len(), 10_000);
    let murdered = murdered.load(Ordering::SeqCst);
    assert!(murdered > 2_000, "the race came only {murdered} times");
    println!("10,000 reads, {murdered} died on a kept connection, 0 failures seen");
}

#[tokio::test]
async fn a_replay_is_no_attempt() {
    let murdered = Arc::new(AtomicUsize::new(0));
    let server = closes_on_reuse(Arc::clone(&murdered)).await;
    let endpoint = Endpoint::insecure_loopback(server.address).unwrap();
    let pipeline = Pipeline::builder(endpoint)
        .transport(transport())
        .retry(RetryPolicy::default().retries(0))
        .build()
        .unwrap();
    for _ in 0..20 {
        let request = RequestBuilder::new(Method::GET, pipeline.endpoint(), &["v2", ""])
            .operation(Operation::new("ping"))
            .effect(Effect::Read)
            .build()
            .unwrap();
        let response = pipeline.send(request).await.unwrap();
        assert_eq!(response.extensions().get(), Some(&Attempt::new(1)));
        response.into_body().bytes(10).await.unwrap();
    }
    assert_eq!(murdered.load(Ordering::SeqCst), 10);
}

#[tokio::test]
async fn what_may_not_be_sent_twice_is_not() {
    let stream = || Body::stream(Full::new(Bytes::from_static(b"chunk")));
    for (effect, body, replayed) in [
        (Effect::Append, Body::from("chunk"), false),
        (Effect::Commit, Body::from("chunk"), false),
        (Effect::Move, Body::from("chunk"), false),
        (Effect::Set, stream(), false),
        (Effect::Set, Body::from("chunk"), true),
        (Effect::Claim, Body::empty(), true),
        (Effect::Token, Body::from("grant"), true),
    ] {
        let murdered = Arc::new(AtomicUsize::new(0));
        let server = closes_on_reuse(Arc::clone(&murdered)).await;
        let transport = transport();
        read_ok(&transport, get(&server.http())).await;
        let request = post(&server.http(), effect, body);
        let result = transport.oneshot(request).await;
        assert_eq!(result.is_ok(), replayed, "{effect:?}");
        if let Err(error) = result {
            assert_eq!(error.kind(), ErrorKind::Transport, "{error}");
            assert!(!error.is_unsent(), "it may have been taken");
        }
        // The server never reads a body, so it takes that of a replay for a further request.
        assert!(murdered.load(Ordering::SeqCst) >= 1);
        assert_eq!(server.heads().len(), if replayed { 2 } else { 1 });
        assert_eq!(server.connections(), if replayed { 2 } else { 1 });
    }
}

/// A part of it has left, whatever its source says of itself.
#[tokio::test]
async fn a_body_that_fails_on_the_way_was_sent() {
    let server = Server::start(|mut socket, _| async move {
        read_head(&mut socket).await;
        while matches!(socket.read(&mut [0; 1024]).await, Ok(1..)) {}
    })
    .await;
    let connect = || Error::new(ErrorKind::Connect, "no connection to the other registry");
    for (source, is_retryable) in [
        (connect(), true),
        (connect().permanent(), false),
        (connect().before_sending(), true),
        (Error::new(ErrorKind::InvalidInput, "of the other registry"), false),
    ] {
        let kind = source.kind();
        let pieces = [Ok(Bytes::from_static(b"chunk")), Err(source)];
        let frames = stream::iter(pieces).map_ok(Frame::data);
        let body = Body::stream(StreamBody::new(frames));
        let request = post(&server.http(), Effect::Append, body);
        let error = transport().oneshot(request).await.unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (kind, is_retryable), "{error}");
        assert!(!error.is_unsent(), "{error}");
    }
}

/// Whether the server took what it got on the kept connection, nobody knows.
#[tokio::test]
async fn a_replay_that_cannot_connect_was_sent_all_the_same() {
    for limit in [None, Some(Duration::from_secs(20))] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}/v2/", listener.local_addr().unwrap());
        let server = async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            drop(listener);
            read_head(&mut socket).await.unwrap();
            socket.write_all(ANSWER).await.unwrap();
            // It does what it is asked for, and goes down before it can say so.
            read_head(&mut socket).await.unwrap();
        };
        let client = async {
            let transport = transport();
            read_ok(&transport, get(&uri)).await;
            let mut request = post(&uri, Effect::Set, Body::empty());
            if let Some(limit) = limit {
                request.extensions_mut().insert(CallOptions::new().connect_timeout(limit));
            }
            transport.oneshot(request).await.unwrap_err()
        };
        let ((), error) = tokio::join!(server, client);
        assert_eq!(error.kind(), ErrorKind::Connect, "{error}");
        assert!(error.is_retryable() && !error.is_unsent(), "{error}");
    }
}

#[tokio::test]
async fn a_request_without_effect_is_not_replayed() {
    let server = closes_on_reuse(Arc::default()).await;
    let transport = transport();
    read_ok(&transport, get(&server.http())).await;
    let mut request = acr_core::http::Request::default();
    *request.uri_mut() = server.http().parse().unwrap();
    let error = transport.oneshot(request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport);
}

#[tokio::test]
async fn a_fresh_connection_that_dies_is_an_error() {
    let server = Server::start(|mut socket, _| async move {
        read_head(&mut socket).await;
    })
    .await;
    let error = transport().oneshot(get(&server.http())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn there_is_one_replay_and_no_second() {
    let count = Arc::new(AtomicUsize::new(0));
    let server = Server::start(move |mut socket, _| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        async move {
            read_head(&mut socket).await;
            if number == 0 {
                socket.write_all(ANSWER).await.unwrap();
                read_head(&mut socket).await;
            }
        }
    })
    .await;
    let transport = transport();
    read_ok(&transport, get(&server.http())).await;
    let error = transport.oneshot(get(&server.http())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport);
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn an_answer_that_began_is_not_asked_for_again() {
    let server = Server::start(|mut socket, heads| async move {
        for answer in [ANSWER, b"HTTP/1.1 200 OK\r\ncontent-"] {
            let head = read_head(&mut socket).await.unwrap();
            heads.lock().unwrap().push(head);
            socket.write_all(answer).await.unwrap();
        }
    })
    .await;
    let transport = transport();
    read_ok(&transport, get(&server.http())).await;
    let error = transport.oneshot(get(&server.http())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport);
    assert_eq!(server.heads().len(), 2);
}

#[tokio::test]
async fn a_connection_is_kept_and_shared() {
    let server = Server::plain(OK).await;
    let transport = transport();
    for _ in 0..50 {
        read_ok(&transport, get(&server.http())).await;
    }
    assert_eq!(server.connections(), 1);
    assert_eq!(server.heads().len(), 50);
}

#[tokio::test]
async fn an_idle_connection_is_closed_in_time() {
    let (closed, mut was_closed) = mpsc::unbounded_channel();
    let server = Server::start(move |mut socket, _| {
        let closed = closed.clone();
        async move {
            read_head(&mut socket).await.unwrap();
            socket.write_all(ANSWER).await.unwrap();
            let rest = socket.read(&mut [0]).await;
            closed.send(matches!(rest, Ok(0))).unwrap();
        }
    })
    .await;
    let transport = builder().pool_idle_timeout(Duration::from_millis(100)).build().unwrap();
    read_ok(&transport, get(&server.http())).await;
    let closed = tokio::time::timeout(Duration::from_secs(10), was_closed.recv());
    assert_eq!(closed.await, Ok(Some(true)));
    // And with the default it stays.
    read_ok(&self::transport(), get(&server.http())).await;
    let closed = tokio::time::timeout(Duration::from_millis(300), was_closed.recv());
    assert!(closed.await.is_ok(), "its transport was dropped");
    let kept = self::transport();
    read_ok(&kept, get(&server.http())).await;
    let closed = tokio::time::timeout(Duration::from_millis(300), was_closed.recv());
    assert!(closed.await.is_err());
}

/// As many as there are calls at the same time, and no new ones while these are enough.
#[tokio::test]
async fn as_many_connections_are_opened_as_calls_run_at_once() {
    const TASKS: usize = 64;
    const ROUNDS: usize = 10;
    for (kept, is_enough) in [(None, true), (Some(16), false)] {
        // Nobody is answered before all have asked.
        let all = Arc::new(Barrier::new(TASKS));
        let server = Server::start(move |mut socket, _| {
            let all = Arc::clone(&all);
            async move {
                while read_head(&mut socket).await.is_some() {
                    all.wait().await;
                    socket.write_all(ANSWER).await.unwrap();
                }
            }
        })
        .await;
        let builder = kept.into_iter().fold(builder(), TransportBuilder::pool_max_idle_per_host);
        let transport = builder.build().unwrap();
        let uri = server.http();
        for _ in 0..ROUNDS {
            join_all((0..TASKS).map(|_| read_ok(&transport, get(&uri)))).await;
        }
        let opened = server.connections();
        assert_eq!(opened <= TASKS + 2, is_enough, "{opened} connections, {kept:?} kept");
    }
}
