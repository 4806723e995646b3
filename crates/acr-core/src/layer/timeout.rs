//! Deadlines of one exchange: no answer, and no progress in either direction.

use std::{
    pin::{Pin, pin},
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    body::Body,
    call_options::CallOptions,
    error::{Error, ErrorKind, Result},
    layer::{HttpService, ResponseFuture, deadline::after},
    operation::Effect,
    request::Request,
    response::Response,
};

/// How long the parts of an exchange may take.
///
/// ```
/// use std::time::Duration;
/// use acr_core::layer::Timeouts;
///
/// let timeouts = Timeouts::default().head(Duration::from_secs(10)).idle(Duration::from_secs(5));
/// # let _ = timeouts;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    pub(crate) head: Duration,
    pub(crate) commit: Duration,
    pub(crate) idle: Duration,
}

/// Bounds every exchange in time.
///
/// The answer's head must come within [`Timeouts::head`] after the last piece of
/// the request body was handed over, and no more than [`Timeouts::idle`] may pass
/// between two pieces of either body. A breach is [`ErrorKind::Timeout`]. Waiting
/// between attempts and fetching tokens is not counted, so the layer must stand
/// directly around the transport.
///
/// ```
/// use acr_core::{Body, ErrorKind, Request, Transport, layer::{TimeoutLayer, Timeouts}};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// let silent = Transport::new(service_fn(|_: Request| {
///     std::future::pending::<Result<http::Response<Body>, acr_core::Error>>()
/// }));
/// let stack = ServiceBuilder::new().layer(TimeoutLayer::new(Timeouts::default())).service(silent);
/// let error = stack.oneshot(Request::default()).await.unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Timeout);
/// # });
/// ```
#[derive(Clone, Copy, Debug)]
pub struct TimeoutLayer {
    timeouts: Timeouts,
}

/// The service of [`TimeoutLayer`].
#[derive(Clone, Debug)]
pub struct Timeout<S> {
    inner: S,
    timeouts: Timeouts,
}

impl Timeouts {
    /// How long the head of an answer may take (default 30 s).
    #[must_use]
    pub fn head(mut self, limit: Duration) -> Self {
        self.head = limit;
        self
    }

    /// The same where the registry has to hash or check content first: the end
    /// of an upload and a manifest put (default 120 s).
    #[must_use]
    pub fn commit(mut self, limit: Duration) -> Self {
        self.commit = limit;
        self
    }

    /// How long a body in either direction may make no progress (default 30 s).
    #[must_use]
    pub fn idle(mut self, limit: Duration) -> Self {
        self.idle = limit;
        self
    }

    fn head_of(&self, request: &Request) -> Duration {
        match request.extensions().get::<Effect>() {
            Some(Effect::Commit | Effect::Move) => self.commit,
            _ => self.head,
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(30),
            commit: Duration::from_secs(120),
            idle: Duration::from_secs(30),
        }
    }
}

impl TimeoutLayer {
    /// The layer.
    pub fn new(timeouts: Timeouts) -> Self {
        Self { timeouts }
    }
}

impl<S> Layer<S> for TimeoutLayer {
    type Service = Timeout<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Timeout { inner, timeouts: self.timeouts }
    }
}

impl<S: HttpService> Service<Request> for Timeout<S> {
    type Response = Response;
    type Error = Error;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let options = request.extensions().get::<CallOptions>();
        let timeouts = options.and_then(CallOptions::exchange_timeouts).unwrap_or(self.timeouts);
        let head = timeouts.head_of(&request);
        if is_one_piece(request.body()) {
            let future = self.inner.call(request);
            return Box::pin(async move {
                let answer = timeout_at(after(Instant::now(), head), future).await;
                let response = answer.unwrap_or_else(|_| Err(timed_out("no answer", head)))?;
                Ok(response.map(|body| guard(body, timeouts.idle)))
            });
        }
        let progress = Progress::default();
        let observed = request.map(|body| progress.observe(body));
        let future = self.inner.call(observed);
        Box::pin(async move {
            let mut future = pin!(future);
            let response = loop {
                let (since, is_sending) = progress.get();
                let limit = if is_sending { timeouts.idle } else { head };
                let end = after(since, limit);
                // The body may end while this waits, and the answer is then due earlier than the
                // next piece was: no wait is longer than what the answer may take.
                let next_look = if is_sending {
                    end.min(after(Instant::now(), head.max(SHORTEST_LOOK)))
                } else {
                    end
                };
                if let Ok(result) = timeout_at(next_look, &mut future).await {
                    break result?;
                }
                if progress.get() == (since, is_sending) && Instant::now() >= end {
                    let what = if is_sending {
                        "the server takes no more of the request body"
                    } else {
                        "no answer"
                    };
                    return Err(timed_out(what, limit));
                }
            };
            Ok(response.map(|body| guard(body, timeouts.idle)))
        })
    }
}

/// A body of one piece needs no watching, and stays one that can be sent again.
fn is_one_piece(body: &Body) -> bool {
    body.size_hint().exact().is_some_and(|len| len <= PIECE as u64)
}

/// When the last piece of a request body was handed to the transport.
#[derive(Clone)]
struct Progress(Arc<Mutex<(Instant, bool)>>);

impl Default for Progress {
    fn default() -> Self {
        Self(Arc::new(Mutex::new((Instant::now(), false))))
    }
}

impl Progress {
    fn observe(&self, body: Body) -> Body {
        self.note(true);
        let progress = self.clone();
        // Bytes stay what they are: they can be sent again on a fresh connection.
        body.watched(PIECE, move |follows| progress.note(follows)).unwrap_or_else(|body| {
            Body::around(Observed { body, rest: Bytes::new(), progress: self.clone() })
        })
    }

    fn note(&self, sending: bool) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (Instant::now(), sending);
    }

    /// Since when, and whether more of the body follows.
    fn get(&self) -> (Instant, bool) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hands a request body to the connection in small pieces: that the next one is
/// taken is the only sign of progress there is.
struct Observed {
    body: Body,
    rest: Bytes,
    progress: Progress,
}

impl http_body::Body for Observed {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                other => {
                    // The time runs from the last piece, not from when its end was noticed.
                    if self.progress.get().1 {
                        self.progress.note(false);
                    }
                    return Poll::Ready(other);
                }
            }
        }
        let len = self.rest.len().min(PIECE);
        let piece = self.rest.split_to(len);
        self.progress.note(!self.is_end_stream());
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (hint, rest) = (self.body.size_hint(), self.rest.len() as u64);
        let mut whole = SizeHint::new();
        if let Some(upper) = hint.upper().and_then(|upper| upper.checked_add(rest)) {
            whole.set_upper(upper);
        }
        whole.set_lower(hint.lower().saturating_add(rest));
        whole
    }
}

/// Adds the idle deadline to a response body.
fn guard(body: Body, idle: Duration) -> Body {
    if body.is_end_stream() {
        return body;
    }
    Body::around(Guarded { body, idle, timer: None, is_waiting: false, is_over: false })
}

struct Guarded {
    body: Body,
    idle: Duration,
    /// Made when there is something to wait for; most small bodies are there at once.
    timer: Option<Pin<Box<Sleep>>>,
    is_waiting: bool,
    /// Told once, it stays so: what comes late must not look like the rest.
    is_over: bool,
}

impl http_body::Body for Guarded {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        let this = &mut *self;
        if this.is_over {
            return Poll::Ready(Some(Err(no_progress(this.idle))));
        }
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.is_waiting = false;
            return Poll::Ready(frame);
        }
        let next = || after(Instant::now(), this.idle);
        let timer = this.timer.get_or_insert_with(|| Box::pin(sleep_until(next())));
        if !this.is_waiting {
            this.is_waiting = true;
            timer.as_mut().reset(next());
        }
        ready!(timer.as_mut().poll(cx));
        this.is_over = true;
        Poll::Ready(Some(Err(no_progress(this.idle))))
    }

    fn is_end_stream(&self) -> bool {
        !self.is_over && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn no_progress(limit: Duration) -> Error {
    timed_out("the response body makes no progress", limit)
}

fn timed_out(what: &str, limit: Duration) -> Error {
    Error::new(ErrorKind::Timeout, format!("{what} within {limit:?}"))
}

/// Small beside what a connection buffers, large beside the cost of a piece.
const PIECE: usize = 64 * 1024;

/// How often a body is looked at, at most, whatever the time-out of the answer is.
const SHORTEST_LOOK: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http_body_util::{BodyExt as _, StreamBody};
    use tower::{ServiceExt as _, service_fn};

    use super::*;
    use crate::transport::Transport;

    fn slow_body(gap: Duration, pieces: usize) -> Body {
        let frames = stream::unfold(0, move |n| async move {
            tokio::time::sleep(gap).await;
            (n < pieces).then(|| (Ok::<_, Error>(Frame::data(Bytes::from_static(b"x"))), n + 1))
        });
        Body::stream(StreamBody::new(Box::pin(frames)))
    }

    fn layer() -> TimeoutLayer {
        TimeoutLayer::new(Timeouts::default())
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_but_steady_upload_is_no_timeout_and_a_stalled_one_is() {
        for (gap, completes) in [(Duration::from_secs(29), true), (Duration::from_secs(31), false)]
        {
            let transport = Transport::new(service_fn(|request: Request| async move {
                request.into_body().collect().await?;
                Ok::<_, Error>(http::Response::new(Body::empty()))
            }));
            let start = Instant::now();
            let result = layer().layer(transport).oneshot(Request::new(slow_body(gap, 5))).await;
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
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            assert_eq!(taken, 8 << 20);
            Ok::<_, Error>(http::Response::new(Body::empty()))
        }));
        let start = Instant::now();
        let request = Request::new(Body::from(vec![7; 8 << 20]));
        layer().layer(transport).oneshot(request).await.unwrap();
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
        layer().layer(transport).oneshot(request).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn the_commit_of_an_upload_may_take_longer() {
        let transport = Transport::new(service_fn(|_: Request| async move {
            tokio::time::sleep(Duration::from_secs(100)).await;
            Ok::<_, Error>(http::Response::new(Body::empty()))
        }));
        let stack = layer().layer(transport);
        let mut request = Request::default();
        assert!(stack.clone().oneshot(Request::default()).await.is_err());
        request.extensions_mut().insert(Effect::Commit);
        assert!(stack.oneshot(request).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_response_body_that_stalls_times_out() {
        for (gap, completes) in [(Duration::from_secs(29), true), (Duration::from_secs(31), false)]
        {
            let transport = Transport::new(service_fn(move |_: Request| async move {
                Ok::<_, Error>(http::Response::new(slow_body(gap, 3)))
            }));
            let response = layer().layer(transport).oneshot(Request::default()).await.unwrap();
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
                    tokio::time::sleep(Duration::from_millis(ms / 2)).await;
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
                    let stack = TimeoutLayer::new(timeouts).layer(taker(ms));
                    let error = stack.oneshot(request).await.unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::Timeout);
                    let due = Duration::from_millis(ms) + second * head;
                    let late = start.elapsed().saturating_sub(due);
                    assert!(start.elapsed() >= due, "{ms} {head} {idle}: {:?}", start.elapsed());
                    assert!(
                        late <= Duration::from_millis(100),
                        "{ms} {head} {idle} {len}: {late:?}"
                    );
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
        assert!(
            TimeoutLayer::new(timeouts).layer(transport).oneshot(Request::new(body)).await.is_ok()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a8_a_body_that_timed_out_stays_so() {
        let mut body = guard(slow_body(Duration::from_secs(40), 2), Duration::from_secs(30));
        for _ in 0..3 {
            assert!(body.frame().await.unwrap().is_err());
            tokio::time::sleep(Duration::from_secs(20)).await;
        }
    }
}
