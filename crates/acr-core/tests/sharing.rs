//! One client shared by many threads, over real sockets, and what is left when it is gone.

#![cfg(feature = "_transport")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop at the first surprise"
)]

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use acr_core::{
    Endpoint, Pipeline,
    http::{Effect, RequestBuilder},
};
use http::Method;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    runtime::Runtime,
};

/// Counts connections that are open and requests that were answered.
#[derive(Default)]
struct Counts {
    open: AtomicU32,
    answered: AtomicU32,
}

async fn serve(listener: TcpListener, counts: Arc<Counts>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let counts = Arc::clone(&counts);
        counts.open.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(async move {
            answer(stream, &counts).await;
            counts.open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

/// Answers every request head with two bytes until the other side closes.
async fn answer(stream: TcpStream, counts: &Counts) {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    while stream.read_line(&mut line).await.is_ok_and(|read| read > 0) {
        if line == "\r\n" {
            counts.answered.fetch_add(1, Ordering::SeqCst);
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
            stream.get_mut().write_all(answer).await.unwrap();
        }
        line.clear();
    }
}

async fn ping(pipeline: &Pipeline) {
    let request = RequestBuilder::new(Method::GET, pipeline.endpoint(), &["v2", ""])
        .effect(Effect::Read)
        .build()
        .unwrap();
    let answer = pipeline.send(request).await.unwrap();
    assert_eq!(answer.into_body().bytes(10).await.unwrap(), "{}");
}

fn start(runtime: &Runtime) -> (SocketAddr, Arc<Counts>) {
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let counts = Arc::<Counts>::default();
    runtime.spawn(serve(listener, Arc::clone(&counts)));
    (address, counts)
}

/// How many descriptors this process has open, where the platform tells (Linux).
fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

#[test]
fn threads_share_a_client_and_the_last_clone_closes_every_socket() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (address, counts) = start(&runtime);
    let before = descriptors();
    let endpoint = Endpoint::insecure_loopback(address).unwrap();
    let pipeline = Pipeline::builder(endpoint).build().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            let (pipeline, handle) = (pipeline.clone(), runtime.handle().clone());
            scope.spawn(move || {
                handle.block_on(async {
                    for _ in 0..50 {
                        ping(&pipeline).await;
                    }
                });
            });
        }
    });
    assert_eq!(counts.answered.load(Ordering::SeqCst), 400);
    // The pool may open a connection more than it needs in the end, but it reuses them.
    let open = counts.open.load(Ordering::SeqCst);
    assert!((1..=100).contains(&open), "{open} connections for 400 requests");

    drop(pipeline);
    // The server sees each connection end; nothing else can end them.
    let closed = runtime.block_on(async {
        let all_closed = async {
            while counts.open.load(Ordering::SeqCst) > 0 || descriptors() > before {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), all_closed).await
    });
    assert!(closed.is_ok(), "{} connections are still open", counts.open.load(Ordering::SeqCst));
}
