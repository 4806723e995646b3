//! The one retry loop.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use http::StatusCode;
use tokio::time::Instant;
use tower_layer::Layer;
use tower_service::Service;
use tracing::warn;

use crate::{
    call_options::CallOptions,
    error::{Error, ErrorKind, Fare, Result},
    layer::{
        HttpService, ResponseFuture, backoff,
        budget::{Budget, Cost},
        call, deadline,
        drain::drain,
    },
    operation::{Attempt, Effect, Operation, Recoveries},
    patience,
    request::Request,
    response::Response,
    retry_after::RetryAfter,
};

/// How often and how long to retry.
///
/// ```
/// use std::time::Duration;
/// use acr_core::layer::RetryPolicy;
///
/// let policy = RetryPolicy::default().retries(5).deadline(Duration::from_secs(60));
/// # let _ = policy;
/// ```
#[derive(Clone)]
pub struct RetryPolicy {
    retries: u32,
    base: Duration,
    cap: Duration,
    max_retry_after: Duration,
    last_start: Duration,
    deadline: Option<Duration>,
    jitter: Arc<Mutex<fastrand::Rng>>,
}

/// Repeats what is safe to repeat; the only place in a stack that does.
///
/// | outcome | repeated |
/// |---|---|
/// | [`ErrorKind::Connect`], or any retryable failure before the request itself was sent | always |
/// | [`ErrorKind::Timeout`], [`ErrorKind::Transport`], 408, 500, 502, 503, 504 | if the request's [`Effect`] is repeatable |
/// | 429 | always |
/// | anything else | never |
///
/// A body that cannot be cloned is sent once, whatever happens. `Retry-After` is
/// obeyed up to a minute; a longer wish ends the call at once with the answer.
/// All clones of a layer share one budget of retries, so that a service that is down
/// gets hardly more requests than one that is up. A failure that many calls met as one, such
/// as that of a token they all waited for ([`Error::shared`]), is paid for once. Before it waits, the layer reads the rest of the discarded answer, so that its
/// connection is used again. Must stand outside of redirect and authentication.
///
/// ```
/// use acr_core::{Body, Effect, Request, Transport, layer::{RetryLayer, RetryPolicy}};
/// use std::sync::{Arc, atomic::{AtomicU32, Ordering}};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// let calls = Arc::new(AtomicU32::new(0));
/// let counter = Arc::clone(&calls);
/// let flaky = Transport::new(service_fn(move |_: Request| {
///     let status = if counter.fetch_add(1, Ordering::Relaxed) == 0 { 503 } else { 200 };
///     let response = http::Response::builder().status(status).body(Body::empty());
///     async move { Ok::<_, acr_core::Error>(response.unwrap()) }
/// }));
/// let stack = ServiceBuilder::new().layer(RetryLayer::new(RetryPolicy::default())).service(flaky);
/// let mut request = Request::default();
/// request.extensions_mut().insert(Effect::Read);
/// assert_eq!(stack.oneshot(request).await?.status(), 200);
/// assert_eq!(calls.load(Ordering::Relaxed), 2);
/// # Ok::<_, acr_core::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct RetryLayer {
    policy: RetryPolicy,
    budget: Budget,
}

/// The service of [`RetryLayer`].
#[derive(Clone, Debug)]
pub struct Retry<S> {
    inner: S,
    policy: RetryPolicy,
    budget: Budget,
}

impl RetryPolicy {
    /// How often to retry after the first attempt (default 3).
    #[must_use]
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// The first wait's upper bound, doubled for every further one (default 0.5 s).
    #[must_use]
    pub fn base(mut self, base: Duration) -> Self {
        self.base = base;
        self
    }

    /// The upper bound of all waits (default 30 s).
    #[must_use]
    pub fn cap(mut self, cap: Duration) -> Self {
        self.cap = cap;
        self
    }

    /// The longest `Retry-After` that is obeyed (default 60 s).
    #[must_use]
    pub fn max_retry_after(mut self, longest: Duration) -> Self {
        self.max_retry_after = longest;
        self
    }

    /// No attempt starts later than this after the first (default 3 minutes).
    #[must_use]
    pub fn last_start(mut self, limit: Duration) -> Self {
        self.last_start = limit;
        self
    }

    /// The whole call must have ended by then: attempts, waits and the reading of the
    /// answer's body (default: no deadline, so that a large body may take its time). Waits
    /// never go past it; a body that does ends with [`ErrorKind::Timeout`].
    #[must_use]
    pub fn deadline(mut self, limit: Duration) -> Self {
        self.deadline = Some(limit);
        self
    }

    /// Makes the jitter repeatable, for tests.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.jitter = Arc::new(Mutex::new(fastrand::Rng::with_seed(seed)));
        self
    }

    /// How long to wait before repeating, or `None` for the end.
    fn wait(&self, outcome: &Outcome, attempt: u32, elapsed: Duration) -> Option<Duration> {
        if attempt > self.retries || !outcome.is_transient {
            return None;
        }
        let wait = match outcome.retry_after {
            Some(asked) if asked > self.max_retry_after => return None,
            Some(asked) => asked,
            None => {
                let random = self.jitter.lock().unwrap_or_else(PoisonError::into_inner).f64();
                backoff::full_jitter(self.base, self.cap, attempt, random)
            }
        };
        let next_start = elapsed.saturating_add(wait);
        let is_in_time = next_start <= self.last_start
            && self.deadline.is_none_or(|deadline| next_start < deadline);
        is_in_time.then_some(wait)
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            retries: 3,
            base: Duration::from_millis(500),
            cap: Duration::from_secs(30),
            max_retry_after: Duration::from_secs(60),
            last_start: Duration::from_secs(180),
            deadline: None,
            jitter: Arc::new(Mutex::new(fastrand::Rng::new())),
        }
    }
}

impl fmt::Debug for RetryPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryPolicy")
            .field("retries", &self.retries)
            .field("last_start", &self.last_start)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

impl RetryLayer {
    /// The layer.
    pub fn new(policy: RetryPolicy) -> Self {
        Self { policy, budget: Budget::new() }
    }
}

impl<S> Layer<S> for RetryLayer {
    type Service = Retry<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Retry { inner, policy: self.policy.clone(), budget: self.budget.clone() }
    }
}

impl<S: HttpService> Service<Request> for Retry<S> {
    type Response = Response;
    type Error = Error;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        // Each attempt waits for its own: nothing is reserved between two of them.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let options = request.extensions().get::<CallOptions>();
        let policy = options.and_then(CallOptions::retry_policy).unwrap_or(&self.policy).clone();
        let call = Call { policy, budget: self.budget.clone(), start: Instant::now() };
        Box::pin(call.run(self.inner.clone(), request))
    }
}

/// One call and its attempts.
struct Call {
    policy: RetryPolicy,
    budget: Budget,
    start: Instant,
}

impl Call {
    async fn run<S: HttpService>(self, mut inner: S, request: Request) -> Result<Response> {
        let (mut head, mut body) = request.into_parts();
        head.extensions.insert(Recoveries::default());
        let effect = head.extensions.get().copied().unwrap_or(Effect::Append);
        let operation = head.extensions.get::<Operation>().map(Operation::name);
        let mut attempt = 1;
        let mut paid = None;
        loop {
            let again = body.try_clone();
            let mut request = Request::from_parts(head.clone(), body);
            request.extensions_mut().insert(Attempt::new(attempt));
            let result = self.attempt(&mut inner, request).await;
            let outcome = Outcome::of(&result, effect);
            let wait = if again.is_some() { self.wait(&outcome, attempt) } else { None };
            let (Some((wait, cost)), Some(replay)) = (wait, again) else {
                if !outcome.is_transient {
                    self.budget.deposit(paid);
                }
                return note_attempts(result, attempt).map(|answer| self.bound(answer));
            };
            let wait_ms = wait.as_millis();
            warn!(operation, attempt, wait_ms, reason = %outcome, "retrying");
            let next = deadline::after(Instant::now(), wait);
            if let Ok(response) = result {
                let drained = drain(response.into_body());
                match self.policy.deadline {
                    None => drained.await,
                    // A body that drips must not move the next attempt past the deadline.
                    Some(_) => drop(patience::until(next, drained).await),
                }
            }
            tokio::time::sleep_until(next).await;
            body = replay;
            paid = cost;
            attempt += 1;
        }
    }

    /// Ends the answer's body at the call's deadline, if it has one.
    fn bound(&self, answer: Response) -> Response {
        match self.policy.deadline {
            Some(limit) => answer.map(|body| deadline::bound(body, self.start, limit)),
            None => answer,
        }
    }

    async fn attempt<S: HttpService>(&self, inner: &mut S, request: Request) -> Result<Response> {
        let attempt = call(inner, request);
        let Some(limit) = self.policy.deadline else {
            return attempt.await;
        };
        let left = limit.saturating_sub(self.start.elapsed());
        tokio::time::timeout(left, attempt).await.unwrap_or_else(|_| {
            let text = format!("the call's deadline of {limit:?} passed");
            Err(Error::new(ErrorKind::Timeout, text))
        })
    }

    /// How long to wait before the next attempt, and what it cost this call; `None` for the
    /// end.
    fn wait(&self, outcome: &Outcome, attempt: u32) -> Option<(Duration, Option<Cost>)> {
        let wait = self.policy.wait(outcome, attempt, self.start.elapsed())?;
        let withdraw = || self.budget.withdraw(outcome.is_throttled());
        let cost = match &outcome.fare {
            None => Some(withdraw()?),
            Some(fare) => {
                let mut cost = None;
                let is_paid = fare.pay(|| {
                    cost = withdraw();
                    cost.is_some()
                });
                if !is_paid {
                    return None;
                }
                cost
            }
        };
        Some((wait, cost))
    }
}

/// What the policy needs to know about the end of an attempt.
struct Outcome {
    status: Option<StatusCode>,
    kind: Option<ErrorKind>,
    retry_after: Option<Duration>,
    is_transient: bool,
    /// Of a failure that others met too.
    fare: Option<Fare>,
}

impl Outcome {
    fn is_throttled(&self) -> bool {
        self.status == Some(StatusCode::TOO_MANY_REQUESTS)
    }

    fn of(result: &Result<Response>, effect: Effect) -> Self {
        match result {
            Ok(response) => {
                let status = response.status();
                let is_transient = match status.as_u16() {
                    429 => true,
                    408 | 500 | 502 | 503 | 504 => effect.is_repeatable(),
                    _ => false,
                };
                let retry_after = RetryAfter::of(response.headers(), SystemTime::now());
                Self { status: Some(status), kind: None, retry_after, is_transient, fare: None }
            }
            Err(error) => Self {
                status: error.status(),
                kind: Some(error.kind()),
                retry_after: error.retry_after(),
                is_transient: error.is_retryable() && (error.is_unsent() || effect.is_repeatable()),
                fare: error.fare(),
            },
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind, self.status) {
            (Some(kind), _) => write!(f, "{kind:?}"),
            (None, Some(status)) => write!(f, "{}", status.as_u16()),
            (None, None) => f.write_str("unknown"),
        }
    }
}

fn note_attempts(result: Result<Response>, attempts: u32) -> Result<Response> {
    match result {
        Ok(mut response) => {
            response.extensions_mut().insert(Attempt::new(attempts));
            Ok(response)
        }
        Err(error) => Err(error.with_attempts(attempts)),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::Full;
    use tower::{ServiceExt as _, service_fn};

    use super::*;
    use crate::{body::Body, transport::Transport};

    type Step = Result<(u16, Option<&'static str>), ErrorKind>;
    type Script = Vec<Step>;

    struct Ran {
        result: Result<Response>,
        bodies: Vec<Bytes>,
        waited: Duration,
    }

    /// Runs a request against a server that follows the script, then answers 200.
    async fn run_script(
        policy: RetryPolicy,
        effect: Option<Effect>,
        body: Body,
        script: Script,
    ) -> Ran {
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&bodies);
        let transport = Transport::new(service_fn(move |request: Request| {
            let (log, script) = (Arc::clone(&log), script.clone());
            async move {
                let body = request.into_body().bytes(100).await?;
                let step = {
                    let mut log = log.lock().unwrap();
                    log.push(body);
                    script.get(log.len() - 1).copied().unwrap_or(Ok((200, None)))
                };
                let (status, retry_after) = step.map_err(|kind| Error::new(kind, "scripted"))?;
                let mut response = http::Response::builder().status(status);
                if let Some(text) = retry_after {
                    response = response.header("retry-after", text);
                }
                Ok::<_, Error>(response.body(Body::from("discarded")).unwrap())
            }
        }));
        let mut request = Request::new(body);
        if let Some(effect) = effect {
            request.extensions_mut().insert(effect);
        }
        let start = Instant::now();
        let result = RetryLayer::new(policy).layer(transport).oneshot(request).await;
        let bodies = std::mem::take(&mut *bodies.lock().unwrap());
        Ran { result, bodies, waited: start.elapsed() }
    }

    #[tokio::test(start_paused = true)]
    async fn no_attempt_starts_after_the_deadline_however_slowly_answers_drip() {
        let calls = Arc::new(Mutex::new(Vec::new()));
        let (log, start) = (Arc::clone(&calls), Instant::now());
        let transport = Transport::new(service_fn(move |_: Request| {
            log.lock().unwrap().push(start.elapsed());
            async {
                let drip = futures_util::stream::unfold((), |()| async {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                    Some((Ok::<_, Error>(http_body::Frame::data(Bytes::from_static(b"x"))), ()))
                });
                let body = Body::stream(http_body_util::StreamBody::new(Box::pin(drip)));
                let response = http::Response::builder().status(503).header("retry-after", "4");
                Ok::<_, Error>(response.body(body).unwrap())
            }
        }));
        let policy = RetryPolicy::default().deadline(Duration::from_millis(4_500));
        let mut request = Request::default();
        request.extensions_mut().insert(Effect::Read);
        let answer = RetryLayer::new(policy).layer(transport).oneshot(request).await.unwrap();
        assert_eq!(answer.status(), 503);
        assert_eq!(*calls.lock().unwrap(), [Duration::ZERO, Duration::from_secs(4)]);
        // And what is read of the last answer ends with the call.
        let error = answer.into_body().bytes(1_000).await.unwrap_err();
        assert_eq!((error.kind(), start.elapsed().as_millis()), (ErrorKind::Timeout, 4_500));
    }

    #[tokio::test(start_paused = true)]
    async fn the_matrix_of_effects_and_outcomes() {
        use ErrorKind as K;
        let all = [
            Some(Effect::Read),
            Some(Effect::Set),
            Some(Effect::Claim),
            Some(Effect::Token),
            Some(Effect::Append),
            Some(Effect::Commit),
            Some(Effect::Move),
            None,
        ];
        let outcomes: Vec<(Step, &str)> = vec![
            (Err(K::Connect), "always"),
            (Ok((429, None)), "always"),
            (Err(K::Timeout), "repeatable"),
            (Err(K::Transport), "repeatable"),
            (Ok((408, None)), "repeatable"),
            (Ok((500, None)), "repeatable"),
            (Ok((502, None)), "repeatable"),
            (Ok((503, None)), "repeatable"),
            (Ok((504, None)), "repeatable"),
            (Ok((400, Some("1"))), "never"),
            (Ok((401, None)), "never"),
            (Ok((403, None)), "never"),
            (Ok((404, None)), "never"),
            (Ok((409, None)), "never"),
            (Ok((501, None)), "never"),
            (Err(K::Protocol), "never"),
            (Err(K::Integrity), "never"),
            (Err(K::InvalidInput), "never"),
            (Err(K::Policy), "never"),
            (Err(K::Forbidden), "never"),
            (Ok((307, None)), "never"),
        ];
        for effect in all {
            for (outcome, when) in &outcomes {
                let repeated = match *when {
                    "always" => true,
                    "repeatable" => effect.is_some_and(Effect::is_repeatable),
                    _ => false,
                };
                let ran =
                    run_script(RetryPolicy::default(), effect, Body::from("x"), vec![*outcome])
                        .await;
                assert_eq!(ran.bodies.len(), 1 + usize::from(repeated), "{effect:?} {outcome:?}");
                assert!(
                    ran.bodies.iter().all(|b| b == "x"),
                    "the body must go out whole each time"
                );
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_is_sent_once_and_never_as_an_empty_body() {
        let body = Body::stream(Full::new(Bytes::from_static(b"once")));
        let ran =
            run_script(RetryPolicy::default(), Some(Effect::Set), body, vec![Ok((503, None))])
                .await;
        assert_eq!(ran.bodies, ["once"]);
        assert_eq!(ran.result.unwrap().status(), 503);
    }

    #[tokio::test(start_paused = true)]
    async fn retry_after_is_obeyed_to_the_second_and_only_up_to_its_cap() {
        let read = Some(Effect::Read);
        let script = vec![Ok((429, Some("30"))), Ok((503, Some("20")))];
        let ran = run_script(RetryPolicy::default(), read, Body::empty(), script).await;
        assert_eq!((ran.bodies.len(), ran.waited.as_secs()), (3, 50));
        for too_long in ["61", "86400"] {
            let ran = run_script(
                RetryPolicy::default(),
                read,
                Body::empty(),
                vec![Ok((429, Some(too_long)))],
            )
            .await;
            assert_eq!((ran.bodies.len(), ran.waited.as_secs()), (1, 0));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_and_budget_end_the_call_with_the_last_outcome() {
        let down: Script = vec![Err(ErrorKind::Connect); 20];
        let ran = run_script(
            RetryPolicy::default().retries(3),
            Some(Effect::Read),
            Body::empty(),
            down.clone(),
        )
        .await;
        assert_eq!(ran.bodies.len(), 4);
        assert_eq!(ran.result.unwrap_err().attempts(), 4);
        let policy = RetryPolicy::default().retries(100).last_start(Duration::from_secs(20));
        let ran =
            run_script(policy, Some(Effect::Read), Body::empty(), vec![Ok((503, Some("8"))); 50])
                .await;
        assert_eq!((ran.bodies.len(), ran.waited.as_secs()), (3, 16));
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_ends_a_silent_attempt_and_no_wait_goes_past_it() {
        let silent = Transport::new(service_fn(|_: Request| {
            std::future::pending::<Result<http::Response<Body>>>()
        }));
        let policy = RetryPolicy::default().deadline(Duration::from_secs(5));
        let start = Instant::now();
        let stack = RetryLayer::new(policy.clone()).layer(silent);
        let error = stack.oneshot(Request::default()).await.unwrap_err();
        assert_eq!((error.kind(), start.elapsed().as_secs()), (ErrorKind::Timeout, 5));

        let script = vec![Ok((503, Some("3"))); 10];
        let ran = run_script(policy, Some(Effect::Read), Body::empty(), script).await;
        assert_eq!((ran.bodies.len(), ran.waited.as_secs()), (2, 3));
        assert_eq!(ran.result.unwrap().status(), 503);
    }

    #[tokio::test(start_paused = true)]
    async fn a_dead_service_gets_hardly_more_requests_than_calls() {
        let sent = Arc::new(std::sync::atomic::AtomicU32::new(0));
        let counter = Arc::clone(&sent);
        let dead = Transport::new(service_fn(move |_: Request| {
            counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            async { Err::<Response, _>(Error::new(ErrorKind::Connect, "down")) }
        }));
        let stack = RetryLayer::new(RetryPolicy::default()).layer(dead);
        for _ in 0..1_000 {
            let mut request = Request::default();
            request.extensions_mut().insert(Effect::Read);
            assert!(stack.clone().oneshot(request).await.is_err());
        }
        let sent = sent.load(std::sync::atomic::Ordering::Relaxed);
        assert!((1_000..=1_300).contains(&sent), "{sent} requests for 1,000 calls");
    }

    #[tokio::test(start_paused = true)]
    async fn options_of_a_call_replace_the_policy() {
        let options = CallOptions::new().retry(RetryPolicy::default().retries(0));
        let transport = Transport::new(service_fn(|_: Request| async {
            Ok::<_, Error>(http::Response::builder().status(503).body(Body::empty()).unwrap())
        }));
        let mut request = Request::default();
        request.extensions_mut().insert(Effect::Read);
        request.extensions_mut().insert(options);
        let layer = RetryLayer::new(RetryPolicy::default());
        let answer = layer.layer(transport).oneshot(request).await.unwrap();
        assert_eq!(answer.extensions().get::<Attempt>().unwrap().get(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn b1_a_failure_that_many_share_is_paid_for_once() {
        for (is_dry, expected) in [(false, 100), (true, 0)] {
            let original = Arc::new(Error::new(ErrorKind::Server, "down"));
            let calls = Arc::new(Mutex::new(0));
            let transport = Transport::new(service_fn(move |_: Request| {
                let mut calls = calls.lock().unwrap();
                *calls += 1;
                let failure = (*calls <= 100).then(|| Error::shared(&original));
                async { failure.map_or_else(|| Ok(http::Response::new(Body::empty())), Err) }
            }));
            let layer = RetryLayer::new(RetryPolicy::default());
            while is_dry && layer.budget.withdraw(false).is_some() {}
            let call = || {
                let mut request = Request::default();
                request.extensions_mut().insert(Effect::Read);
                layer.layer(transport.clone()).oneshot(request)
            };
            let answers = futures_util::future::join_all((0..100).map(|_| call())).await;
            let well = answers.iter().filter(|answer| answer.is_ok()).count();
            assert_eq!(well, expected, "one pays for all, or nobody can");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_seed_repeats_the_waits() {
        let mut waits = Vec::new();
        for _ in 0..2 {
            let policy = RetryPolicy::default().seed(7);
            let ran =
                run_script(policy, Some(Effect::Read), Body::empty(), vec![Ok((503, None)); 3])
                    .await;
            waits.push(ran.waited);
        }
        assert_eq!(waits[0], waits[1]);
        assert!(waits[0] <= Duration::from_millis(500 + 1000 + 2000));
    }

    fn ended(retry_after: Option<u64>) -> Outcome {
        Outcome {
            status: Some(StatusCode::SERVICE_UNAVAILABLE),
            kind: None,
            retry_after: retry_after.map(Duration::from_secs),
            is_transient: true,
            fare: None,
        }
    }

    #[test]
    fn every_bound_of_the_policy_counts_and_is_itself_within() {
        let seconds = Duration::from_secs;
        let policy = RetryPolicy::default;
        for (policy, asked, expected) in [
            (policy(), 60, Some(60)),
            (policy(), 61, None),
            (policy().max_retry_after(seconds(2)), 2, Some(2)),
            (policy().max_retry_after(seconds(2)), 3, None),
            (policy().last_start(seconds(9)), 9, Some(9)),
            (policy().last_start(seconds(9)), 10, None),
            // At the deadline there is no time left for an attempt.
            (policy().deadline(seconds(9)), 8, Some(8)),
            (policy().deadline(seconds(9)), 9, None),
        ] {
            let wait = policy.wait(&ended(Some(asked)), 1, Duration::ZERO);
            assert_eq!(wait, expected.map(seconds), "{asked}: {policy:?}");
        }
    }

    #[test]
    fn waits_lie_within_base_and_cap() {
        let longest = |policy: RetryPolicy| {
            let policy = policy.retries(9).seed(1);
            let waits = (0..200).filter_map(|_| policy.wait(&ended(None), 9, Duration::ZERO));
            waits.max().unwrap()
        };
        let at_most = |longest: Duration, bound: Duration| {
            assert!((bound * 9 / 10..=bound).contains(&longest), "{longest:?} of {bound:?}");
        };
        let policy = RetryPolicy::default;
        at_most(longest(policy()), Duration::from_secs(30));
        at_most(longest(policy().base(Duration::from_millis(1))), Duration::from_millis(256));
        at_most(longest(policy().cap(Duration::from_secs(2))), Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_throttled_call_may_repeat_more_often_than_one_that_fails() {
        for (status, attempts) in [(429, 101), (503, 36)] {
            let policy = RetryPolicy::default().retries(1_000);
            let script = vec![Ok((status, Some("1"))); 200];
            let ran = run_script(policy, Some(Effect::Read), Body::empty(), script).await;
            assert_eq!(ran.bodies.len(), attempts, "{status}");
        }
    }

    #[test]
    fn a_log_names_the_outcome_and_the_policy() {
        let outcome = |result| Outcome::of(&result, Effect::Read).to_string();
        let answer = http::Response::builder().status(503).body(Body::empty()).unwrap();
        assert_eq!(outcome(Ok(answer)), "503");
        assert_eq!(outcome(Err(Error::new(ErrorKind::Connect, "down"))), "Connect");
        let policy = RetryPolicy::default().retries(7).deadline(Duration::from_secs(8));
        assert_eq!(
            format!("{policy:?}"),
            "RetryPolicy { retries: 7, last_start: 180s, deadline: Some(8s), .. }"
        );
    }
}
