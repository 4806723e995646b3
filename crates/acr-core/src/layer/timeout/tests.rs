//! Bodies and answers that come, or do not.

use std::{collections::VecDeque, future::Future as _, pin::Pin, task::ready, time::Duration};

use bytes::Bytes;
use futures_util::stream;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::{BodyExt as _, StreamBody};
use tokio::time::{Instant, Sleep, sleep};
use tower::{ServiceExt as _, service_fn};

use super::*;
use crate::{
    http::{
        body::Body,
        error::{Error, ErrorKind, Result},
        operation::Effect,
        request::Request,
    },
    transport::Transport,
};

fn slow_body(gap: Duration, pieces: usize) -> Body {
    let frames = stream::unfold(0, move |n| async move {
        sleep(gap).await;
        (n < pieces).then(|| (Ok::<_, Error>(Frame::data(Bytes::from_static(b"x"))), n + 1))
    });
    Body::stream(StreamBody::new(Box::pin(frames)))
}

fn within(timeouts: Timeouts, transport: Transport) -> Transport {
    Transport::new(TimeoutLayer::new(timeouts).layer(transport))
}

fn bounded(transport: Transport) -> Transport {
    within(Timeouts::default(), transport)
}

#[tokio::test(start_paused = true)]
async fn a_slow_but_steady_upload_is_no_timeout_and_a_stalled_one_is() {
    for (gap, completes) in [(Duration::from_secs(29), true), (Duration::from_secs(31), false)] {
        let transport = Transport::new(service_fn(|request: Request| async move {
            request.into_body().collect().await?;
            Ok::<_, Error>(http::Response::new(Body::empty()))
        }));
        let start = Instant::now();
        let result = bounded(transport).oneshot(Request::new(slow_body(gap, 5))).await;
        match result {
            Ok(_) => assert!(completes),
            Err(error) => {
                assert!(!completes);
                assert_eq!(error.kind(), ErrorKind::Timeout);
                assert_eq!(start.elapsed().as_secs(), 30);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_large_piece_on_a_slow_line_is_no_timeout() {
    // 8 MiB in one piece, taken at 64 KiB a second: two minutes.
    let transport = Transport::new(service_fn(|request: Request| async move {
        let mut body = request.into_body();
        assert_eq!(body.size_hint().exact(), Some(8 << 20));
        let mut taken = 0;
        while let Some(frame) = body.frame().await {
            let len = frame?.into_data().unwrap_or_default().len();
            assert!(len <= PIECE);
            taken += len;
            sleep(Duration::from_secs(1)).await;
        }
        assert_eq!(taken, 8 << 20);
        Ok::<_, Error>(http::Response::new(Body::empty()))
    }));
    let start = Instant::now();
    let request = Request::new(Body::from(vec![7; 8 << 20]));
    bounded(transport).oneshot(request).await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 128);
}

#[tokio::test(start_paused = true)]
async fn large_bytes_can_still_be_sent_again() {
    let transport = Transport::new(service_fn(|request: Request| async move {
        let body = request.into_body();
        let again = body.try_clone().expect("bytes");
        for body in [body, again] {
            assert_eq!(body.bytes(1 << 20).await?, vec![7; 200_000]);
        }
        Ok::<_, Error>(http::Response::new(Body::empty()))
    }));
    let request = Request::new(Body::from(vec![7; 200_000]));
    bounded(transport).oneshot(request).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_commit_of_an_upload_may_take_longer() {
    let transport = Transport::new(service_fn(|_: Request| async move {
        sleep(Duration::from_secs(100)).await;
        Ok::<_, Error>(http::Response::new(Body::empty()))
    }));
    let stack = bounded(transport);
    let mut request = Request::default();
    assert!(stack.clone().oneshot(Request::default()).await.is_err());
    request.extensions_mut().insert(Effect::Commit);
    assert!(stack.oneshot(request).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_response_body_that_stalls_times_out() {
    for (gap, completes) in [(Duration::from_secs(29), true), (Duration::from_secs(31), false)] {
        let transport = Transport::new(service_fn(move |_: Request| async move {
            Ok::<_, Error>(http::Response::new(slow_body(gap, 3)))
        }));
        let response = bounded(transport).oneshot(Request::default()).await.unwrap();
        let result = response.into_body().collect().await;
        assert_eq!(result.is_ok(), completes);
        assert!(result.err().is_none_or(|e| e.kind() == ErrorKind::Timeout));
    }
}

/// A server that takes a body of three pieces in so many milliseconds and never answers.
fn taker(ms: u64) -> Transport {
    Transport::new(service_fn(move |request: Request| async move {
        let mut body = request.into_body();
        let mut taken = 0;
        while let Some(frame) = body.frame().await {
            taken += frame?.into_data().unwrap_or_default().len();
            if taken < 3 * PIECE {
                sleep(Duration::from_millis(ms / 2)).await;
            }
        }
        std::future::pending::<Result<http::Response<Body>>>().await
    }))
}

#[tokio::test(start_paused = true)]
async fn b8_the_answer_is_due_when_it_is_due_whatever_the_body() {
    let second = Duration::from_secs(1);
    for (ms, head, idle) in [
        (0, 2, 30),
        (100, 2, 30),
        (3_500, 2, 30),
        (50_000, 2, 30),
        (1_000, 45, 30),
        (40_000, 45, 30),
        (10, 0, 30),
    ] {
        for (effect, len) in [
            (Effect::Read, 3 * PIECE),
            (Effect::Commit, 3 * PIECE),
            (Effect::Commit, 3 * PIECE - 1),
        ] {
            let mut timeouts = Timeouts::default().idle(second * idle);
            timeouts = match effect {
                Effect::Commit => timeouts.commit(second * head).head(second * 1_000),
                _ => timeouts.head(second * head).commit(second * 1_000),
            };
            for is_stream in [false, true] {
                let bytes = Bytes::from(vec![7; len]);
                let body = match is_stream {
                    false => Body::from(bytes),
                    true => Body::stream(http_body_util::Full::new(bytes)),
                };
                let mut request = Request::new(body);
                request.extensions_mut().insert(effect);
                let start = Instant::now();
                let stack = within(timeouts.clone(), taker(ms));
                let error = stack.oneshot(request).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Timeout);
                let due = Duration::from_millis(ms) + second * head;
                let late = start.elapsed().saturating_sub(due);
                assert!(start.elapsed() >= due, "{ms} {head} {idle}: {:?}", start.elapsed());
                assert!(late <= Duration::from_millis(100), "{ms} {head} {idle} {len}: {late:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn b8_a_short_time_for_the_answer_leaves_a_slow_body_its_time() {
    let transport = Transport::new(service_fn(|request: Request| async move {
        request.into_body().collect().await?;
        Ok::<_, Error>(http::Response::new(Body::empty()))
    }));
    let timeouts = Timeouts::default().head(Duration::from_secs(1));
    let body = slow_body(Duration::from_secs(20), 4);
    assert!(within(timeouts, transport).oneshot(Request::new(body)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a8_a_body_that_timed_out_stays_so() {
    let mut body = TimeoutBody::new(slow_body(Duration::from_secs(40), 2), Duration::from_secs(30));
    for _ in 0..3 {
        assert!(body.frame().await.unwrap().is_err());
        sleep(Duration::from_secs(20)).await;
    }
}

/// A body of these frames that tells its length only if it is asked to.
struct Frames {
    frames: VecDeque<Frame<Bytes>>,
    knows_length: bool,
    gap: Duration,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Frames {
    fn new(frames: impl IntoIterator<Item = Frame<Bytes>>) -> Self {
        let frames = frames.into_iter().collect();
        Self { frames, knows_length: false, gap: Duration::ZERO, pause: None }
    }

    fn pieces(pieces: usize, len: usize) -> Self {
        Self::new((0..pieces).map(|_| Frame::data(Bytes::from(vec![7; len]))))
    }
}

impl From<Frames> for Body {
    fn from(frames: Frames) -> Self {
        Self::stream(frames)
    }
}

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        if !self.gap.is_zero() {
            let gap = self.gap;
            let pause = self.pause.get_or_insert_with(|| Box::pin(sleep(gap)));
            ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        Poll::Ready(self.frames.pop_front().map(Ok))
    }

    fn size_hint(&self) -> SizeHint {
        let len = self.frames.iter().filter_map(Frame::data_ref).map(|data| data.len() as u64);
        match self.knows_length {
            true => SizeHint::with_exact(len.sum()),
            false => SizeHint::default(),
        }
    }
}

/// When a commit times out whose server takes so many frames after ten seconds, keeps the body or
/// not, and never answers.
async fn commit_times_out(body: impl Into<Body>, taken: usize, keeps: bool) -> u64 {
    let transport = Transport::new(service_fn(move |request: Request| async move {
        let mut body = request.into_body();
        for frame in 0..taken {
            if frame + 1 == taken {
                sleep(Duration::from_secs(10)).await;
            }
            assert!(body.frame().await.unwrap().is_ok());
        }
        let _kept = keeps.then_some(body);
        std::future::pending::<Result<http::Response<Body>>>().await
    }));
    let mut request = Request::new(body.into());
    request.extensions_mut().insert(Effect::Commit);
    let start = Instant::now();
    let error = bounded(transport).oneshot(request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("no answer"), "{error}");
    start.elapsed().as_secs()
}

/// Nothing more is to be taken, so it is the answer that is waited for, as long as it may take.
#[tokio::test(start_paused = true)]
async fn the_end_of_a_body_is_noticed_without_being_asked_for() {
    let commit = 120;
    let trailers = || Frame::trailers(http::HeaderMap::new());
    let data = || Frame::data(Bytes::from(vec![7; PIECE + 1]));
    let with_trailers = Frames::new([data(), trailers()]);
    // Two pieces of the data, and the trailers.
    assert_eq!(commit_times_out(with_trailers, 3, true).await, 10 + commit, "trailers are the end");

    let known = Frames { knows_length: true, ..Frames::pieces(2, PIECE) };
    assert_eq!(commit_times_out(known, 2, true).await, 10 + commit, "all that there is was taken");

    let left = Frames::pieces(3, PIECE);
    assert_eq!(commit_times_out(left, 2, false).await, 10 + commit, "nobody takes more");

    let bytes = || vec![7; 3 * PIECE];
    assert_eq!(commit_times_out(bytes(), 2, false).await, 10 + commit, "nor of bytes");
    assert_eq!(commit_times_out(bytes(), 3, true).await, 10 + commit, "all were taken");
}

#[tokio::test(start_paused = true)]
async fn a_small_body_that_comes_in_pieces_is_a_body_like_any_other() {
    let gap = Duration::from_secs(29);
    for (gap, completes) in [(gap, true), (gap + Duration::from_secs(2), false)] {
        let transport = Transport::new(service_fn(|request: Request| async move {
            request.into_body().collect().await?;
            Ok::<_, Error>(http::Response::new(Body::empty()))
        }));
        let body = Frames { knows_length: true, gap, ..Frames::pieces(3, 10) };
        let mut request = Request::new(Body::stream(body));
        request.extensions_mut().insert(Effect::Commit);
        let start = Instant::now();
        let result = bounded(transport).oneshot(request).await;
        assert_eq!(result.is_ok(), completes, "{gap:?}");
        // The first piece counts as the answer's time; what comes between pieces has its own.
        let expected = if completes { 4 * 29 } else { 31 + 30 };
        assert_eq!(start.elapsed().as_secs(), expected);
    }
}

/// A layer of somebody's looks at the first piece, and makes of the rest a body of ours.
#[tokio::test]
async fn what_is_left_of_a_body_that_was_begun_is_not_lost() {
    let content = Bytes::from((0..=250u8).cycle().take(3 * PIECE).collect::<Vec<_>>());
    let whole = content.clone();
    let peeking = service_fn(move |request: http::Request<WatchedBody<Body>>| {
        let whole = whole.clone();
        async move {
            let mut body = request.into_body();
            let first = body.frame().await.unwrap()?.into_data().unwrap();
            let rest = Body::new(body).bytes(1 << 20).await?;
            assert!([first, rest].concat() == whole, "every byte, in order");
            Ok::<_, Error>(http::Response::new(Body::empty()))
        }
    });
    let stack = TimeoutLayer::new(Timeouts::default()).layer(peeking);
    stack.oneshot(http::Request::new(Body::from(content))).await.unwrap();
}
