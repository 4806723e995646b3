//! Bytes of both bodies, to the last one.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use acr_core::{
    Error, ErrorKind,
    http::{Attempt, Body, Request},
    layer::{BodyEnd, Direction, Transferred},
};
use bytes::Bytes;
use futures_util::stream;
use http::Method;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};

use crate::recorder::{Recorder, answer, observed, request};

const SENT: usize = 3 * 1024 * 1024 + 123;
const RECEIVED: usize = 2 * 1024 * 1024 + 45;

/// The events of one direction: how many bytes they have together, and the ends.
fn sum(told: &Recorder, direction: Direction) -> (u64, Vec<BodyEnd>, usize) {
    let transfers = told.transfers();
    let those: Vec<&Transferred> =
        transfers.iter().filter(|it| it.direction == direction).collect();
    let bytes = those.iter().map(|it| it.bytes).sum();
    (bytes, those.iter().filter_map(|it| it.end).collect(), those.len())
}

/// A body that can be read once, in pieces of 1,000 bytes.
fn piecewise(len: usize) -> Body {
    let pieces = (0..len)
        .step_by(1_000)
        .map(move |at| Ok::<_, Error>(Frame::data(Bytes::from(vec![7; 1_000.min(len - at)]))));
    Body::stream(StreamBody::new(stream::iter(pieces)))
}

#[tokio::test]
async fn an_upload_and_a_download_are_counted_exactly() {
    let bodies: [fn() -> Body; 2] = [|| Body::from(vec![7; SENT]), || piecewise(SENT)];
    for body in bodies {
        let (builder, told) = observed(|request: Request| async {
            assert_eq!(request.into_body().collect().await?.to_bytes().len(), SENT);
            Ok(answer(200, piecewise(RECEIVED)))
        });
        let answer = builder.build().unwrap().send(request(Method::PUT, body())).await.unwrap();
        assert_eq!(sum(&told, Direction::Received).0, 0, "nobody has read yet");
        answer.into_body().bytes(1 << 30).await.unwrap();
        let (sent, ends, events) = sum(&told, Direction::Sent);
        assert_eq!((sent, ends), (SENT as u64, vec![BodyEnd::Complete]));
        assert!((2..=4).contains(&events), "neither one by one nor all at the end: {events}");
        let (received, ends, _) = sum(&told, Direction::Received);
        assert_eq!((received, ends), (RECEIVED as u64, vec![BodyEnd::Complete]));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_twice_counts_twice() {
    let (builder, told) = observed(|request: Request| async move {
        let attempt = request.extensions().get::<Attempt>().copied().unwrap().get();
        let body = request.into_body();
        // It can still be sent again by whoever stands below.
        assert!(body.try_clone().is_some());
        body.bytes(1 << 30).await?;
        Ok(answer(if attempt == 1 { 503 } else { 200 }, ""))
    });
    builder.build().unwrap().send(request(Method::PUT, vec![7; SENT])).await.unwrap();
    let (sent, ends, _) = sum(&told, Direction::Sent);
    assert_eq!((sent, ends), (2 * SENT as u64, vec![BodyEnd::Complete; 2]));
}

#[tokio::test]
async fn who_knows_the_length_need_not_ask_for_the_end() {
    let (builder, told) = observed(|request: Request| async {
        // As hyper does it with a `Content-Length`: the body is let go of after its last byte.
        let mut body = request.into_body();
        body.frame().await.unwrap()?;
        Ok(answer(200, ""))
    });
    builder.build().unwrap().send(request(Method::PUT, "hello")).await.unwrap();
    assert_eq!(sum(&told, Direction::Sent), (5, vec![BodyEnd::Complete], 1));
}

/// Its end comes with its last frame, and no length before, as over HTTP/2.
struct Unmeasured(Option<Bytes>);

impl http_body::Body for Unmeasured {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        Poll::Ready(self.0.take().map(|data| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }
}

#[tokio::test]
async fn a_body_without_a_length_is_whole_when_it_says_so_itself() {
    let body = || Body::stream(Unmeasured(Some(Bytes::from_static(b"hello"))));
    let (builder, told) = observed(move |request: Request| async move {
        let mut sent = request.into_body();
        sent.frame().await.unwrap()?;
        assert!(http_body::Body::is_end_stream(&sent));
        Ok(answer(200, body()))
    });
    let answer = builder.build().unwrap().send(request(Method::PUT, body())).await.unwrap();
    let mut received = answer.into_body();
    received.frame().await.unwrap().unwrap();
    // As hyper's server does it: nobody asks for more of what said that it has none.
    drop(received);
    for direction in [Direction::Sent, Direction::Received] {
        assert_eq!(sum(&told, direction), (5, vec![BodyEnd::Complete], 1), "{direction:?}");
    }
}

#[tokio::test]
async fn a_body_that_breaks_or_is_left_says_so() {
    let broken = || {
        let pieces = [Ok(Frame::data(Bytes::from_static(b"hello"))), Err("cut")];
        Body::stream(StreamBody::new(stream::iter(pieces)))
    };
    let (builder, told) = observed(move |_| async move { Ok(answer(200, broken())) });
    let answer = builder.build().unwrap().send(request(Method::GET, "")).await.unwrap();
    answer.into_body().bytes(100).await.unwrap_err();
    let failed = BodyEnd::Failed(Some(ErrorKind::Transport));
    assert_eq!(sum(&told, Direction::Received), (5, vec![failed], 1));
    assert_eq!(sum(&told, Direction::Sent).2, 0, "of an empty body nothing is told");

    let (builder, told) =
        observed(|_| async { Ok(crate::recorder::answer(200, piecewise(5_000))) });
    let answer = builder.build().unwrap().send(request(Method::GET, "")).await.unwrap();
    let mut body = answer.into_body();
    body.frame().await.unwrap().unwrap();
    drop(body);
    assert_eq!(sum(&told, Direction::Received), (1_000, vec![BodyEnd::Dropped], 1));
}
