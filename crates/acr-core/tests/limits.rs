//! Answers that are too much: what is read of them, what is printed, what is kept open.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop at the first surprise"
)]

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use acr_core::{
    Error, ErrorKind,
    http::{Body, response},
};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http_body::Frame;
use http_body_util::StreamBody;

/// A body of 16 MiB in pieces of 16 KiB, and how much of it was asked for.
fn large() -> (Body, Arc<AtomicU64>) {
    let read = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&read);
    let pieces = stream::iter(0..1_024).map(move |_| {
        counter.fetch_add(16 * 1024, Ordering::Relaxed);
        Ok::<_, Error>(Frame::data(Bytes::from(vec![b'x'; 16 * 1024])))
    });
    (Body::stream(StreamBody::new(pieces)), read)
}

#[tokio::test]
async fn an_endless_error_body_keeps_its_status_and_is_not_read_to_its_end() {
    for (status, kind) in [(404, ErrorKind::NotFound), (503, ErrorKind::Server)] {
        let (body, read) = large();
        let answer = http::Response::builder()
            .status(status)
            .header("content-type", "text/plain")
            .body(body)
            .unwrap();
        let error = response::into_error(answer).await;
        assert_eq!(error.kind(), kind);
        assert!(error.to_string().len() < 200, "{error}");
        assert!(read.load(Ordering::Relaxed) <= 128 * 1024);
    }
}

#[tokio::test]
async fn an_endless_answer_is_too_large_and_not_read_to_its_end() {
    let (body, read) = large();
    let answer = http::Response::new(body);
    let error = response::read_json::<Vec<u32>>(answer, 1 << 20).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(read.load(Ordering::Relaxed) <= (1 << 20) + 32 * 1024);
}

#[tokio::test]
async fn control_characters_of_a_server_reach_no_terminal() {
    let body = r#"{"errors":[{"code":"E\u001b[31mVIL\r\n","message":"a\u001b]0;x\u0007\nb"},
        {"code":"\u202eMORE","message":"\u0000"}]}"#;
    let answer = http::Response::builder()
        .status(400)
        .header("x-ms-correlation-request-id", "id\u{7f}")
        .body(Body::from(body));
    // A header with a control character does not even get that far.
    assert!(answer.is_err());
    let answer = http::Response::builder().status(400).body(Body::from(body)).unwrap();
    let error = response::into_error(answer).await;
    let code = error.code().unwrap();
    for text in [error.to_string(), format!("{error:?}"), code.to_string()] {
        assert!(!text.contains(['\u{1b}', '\u{7}', '\r', '\n', '\0', '\u{202e}']), "{text:?}");
    }
    assert_eq!(code.as_str(), "E\u{1b}[31mVIL\r\n", "the code itself is kept as it came");
}

#[cfg(feature = "_transport")]
mod over_sockets {
    use std::time::Duration;

    use acr_core::{
        Endpoint, Pipeline,
        http::{Effect, RequestBuilder},
        layer::RetryPolicy,
    };
    use http::Method;
    use tokio::{
        io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
        net::TcpListener,
    };

    use super::*;

    /// Answers 503 with a body twice, then 200, and counts connections.
    async fn flaky(listener: TcpListener, connections: Arc<AtomicU64>) {
        let answered = Arc::new(AtomicU64::new(0));
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            connections.fetch_add(1, Ordering::SeqCst);
            let answered = Arc::clone(&answered);
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                let mut line = String::new();
                while stream.read_line(&mut line).await.is_ok_and(|read| read > 0) {
                    if line == "\r\n" {
                        let number = answered.fetch_add(1, Ordering::SeqCst);
                        let status = if number < 2 { "503 Busy" } else { "200 OK" };
                        let body = "x".repeat(20_000);
                        let head = format!("HTTP/1.1 {status}\r\ncontent-length: 20000\r\n\r\n");
                        stream.get_mut().write_all(head.as_bytes()).await.unwrap();
                        stream.get_mut().write_all(body.as_bytes()).await.unwrap();
                    }
                    line.clear();
                }
            });
        }
    }

    #[tokio::test]
    async fn a_discarded_answer_is_read_so_that_its_connection_is_used_again() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = Endpoint::insecure_loopback(listener.local_addr().unwrap()).unwrap();
        let connections = Arc::new(AtomicU64::new(0));
        tokio::spawn(flaky(listener, Arc::clone(&connections)));
        let policy = RetryPolicy::default().base(Duration::from_millis(1));
        let pipeline = Pipeline::builder(endpoint).retry(policy).build().unwrap();
        let request = RequestBuilder::new(Method::GET, pipeline.endpoint(), &["v2", ""])
            .effect(Effect::Read)
            .build()
            .unwrap();
        let answer = pipeline.send(request).await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(connections.load(Ordering::SeqCst), 1);
    }
}
