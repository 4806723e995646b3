//! How often and how long to retry. Pure, but for the jitter.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

#[cfg(doc)]
use crate::http::{error::ErrorKind, operation::Effect};
use crate::layer::backoff;

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
    pub(super) deadline: Option<Duration>,
    pub(super) knows_methods: bool,
    jitter: Arc<Mutex<fastrand::Rng>>,
}

impl RetryPolicy {
    /// How often to retry after the first attempt (default 3).
    ///
    /// ```
    /// # use acr_core::http::Attempt;
    /// use acr_core::layer::{RetryLayer, RetryPolicy};
    /// # use bytes::Bytes;
    /// # use http_body_util::Empty;
    /// # use std::time::Duration;
    /// # use tower::{ServiceBuilder, ServiceExt, service_fn};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
    /// # let start = tokio::time::Instant::now();
    /// # let service = service_fn(|_: http::Request<Empty<Bytes>>| async {
    /// #     http::Response::builder().status(503).body(Empty::<Bytes>::new())
    /// # });
    /// let policy = RetryPolicy::default().retries(5);
    /// # let stack = ServiceBuilder::new().layer(RetryLayer::new(policy)).service(service);
    /// # let request = http::Request::get("https://busy.example/").body(Empty::new())?;
    /// // Against a service that answers 503:
    /// let answer = stack.oneshot(request).await?;
    /// assert_eq!(answer.extensions().get::<Attempt>(), Some(&Attempt::new(6)));
    /// # Ok::<_, acr_core::http::BoxError>(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// The first wait's upper bound, doubled for every further one (default 0.5 s).
    ///
    /// ```
    /// # use acr_core::http::Attempt;
    /// use acr_core::layer::{RetryLayer, RetryPolicy};
    /// # use bytes::Bytes;
    /// # use http_body_util::Empty;
    /// # use std::time::Duration;
    /// # use tower::{ServiceBuilder, ServiceExt, service_fn};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
    /// # let start = tokio::time::Instant::now();
    /// # let service = service_fn(|_: http::Request<Empty<Bytes>>| async {
    /// #     http::Response::builder().status(503).body(Empty::<Bytes>::new())
    /// # });
    /// let policy = RetryPolicy::default().base(Duration::from_millis(10));
    /// # let stack = ServiceBuilder::new().layer(RetryLayer::new(policy)).service(service);
    /// # let request = http::Request::get("https://busy.example/").body(Empty::new())?;
    /// // Against a service that answers 503:
    /// let answer = stack.oneshot(request).await?;
    /// assert!(start.elapsed() < Duration::from_millis(10 + 20 + 40 + 10));
    /// # let _ = answer;
    /// # Ok::<_, acr_core::http::BoxError>(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn base(mut self, base: Duration) -> Self {
        self.base = base;
        self
    }

    /// The upper bound of all waits (default 30 s).
    ///
    /// ```
    /// # use acr_core::http::Attempt;
    /// use acr_core::layer::{RetryLayer, RetryPolicy};
    /// # use bytes::Bytes;
    /// # use http_body_util::Empty;
    /// # use std::time::Duration;
    /// # use tower::{ServiceBuilder, ServiceExt, service_fn};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
    /// # let start = tokio::time::Instant::now();
    /// # let service = service_fn(|_: http::Request<Empty<Bytes>>| async {
    /// #     http::Response::builder().status(503).body(Empty::<Bytes>::new())
    /// # });
    /// let policy = RetryPolicy::default().cap(Duration::from_millis(100));
    /// # let stack = ServiceBuilder::new().layer(RetryLayer::new(policy)).service(service);
    /// # let request = http::Request::get("https://busy.example/").body(Empty::new())?;
    /// // Against a service that answers 503:
    /// let answer = stack.oneshot(request).await?;
    /// assert!(start.elapsed() < Duration::from_millis(3 * 100 + 10));
    /// # let _ = answer;
    /// # Ok::<_, acr_core::http::BoxError>(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn cap(mut self, cap: Duration) -> Self {
        self.cap = cap;
        self
    }

    /// The longest `Retry-After` that is obeyed (default 60 s).
    ///
    /// ```
    /// # use acr_core::http::Attempt;
    /// use acr_core::layer::{RetryLayer, RetryPolicy};
    /// # use bytes::Bytes;
    /// # use http_body_util::Empty;
    /// # use std::time::Duration;
    /// # use tower::{ServiceBuilder, ServiceExt, service_fn};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
    /// # let start = tokio::time::Instant::now();
    /// # let service = service_fn(|_: http::Request<Empty<Bytes>>| async {
    /// #     http::Response::builder().status(503).header("retry-after", "5").body(Empty::<Bytes>::new())
    /// # });
    /// // It asks for five seconds.
    /// let policy = RetryPolicy::default().max_retry_after(Duration::from_secs(2));
    /// # let stack = ServiceBuilder::new().layer(RetryLayer::new(policy)).service(service);
    /// # let request = http::Request::get("https://busy.example/").body(Empty::new())?;
    /// // Against a service that answers 503:
    /// let answer = stack.oneshot(request).await?;
    /// assert_eq!(answer.extensions().get::<Attempt>(), Some(&Attempt::new(1)));
    /// # Ok::<_, acr_core::http::BoxError>(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn max_retry_after(mut self, longest: Duration) -> Self {
        self.max_retry_after = longest;
        self
    }

    /// No attempt starts later than this after the first (default 3 minutes).
    ///
    /// ```
    /// # use acr_core::http::Attempt;
    /// use acr_core::layer::{RetryLayer, RetryPolicy};
    /// # use bytes::Bytes;
    /// # use http_body_util::Empty;
    /// # use std::time::Duration;
    /// # use tower::{ServiceBuilder, ServiceExt, service_fn};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
    /// # let start = tokio::time::Instant::now();
    /// # let service = service_fn(|_: http::Request<Empty<Bytes>>| async {
    /// #     http::Response::builder().status(503).header("retry-after", "5").body(Empty::<Bytes>::new())
    /// # });
    /// // It asks for five seconds.
    /// let policy = RetryPolicy::default().last_start(Duration::from_secs(12));
    /// # let stack = ServiceBuilder::new().layer(RetryLayer::new(policy)).service(service);
    /// # let request = http::Request::get("https://busy.example/").body(Empty::new())?;
    /// // Against a service that answers 503:
    /// let answer = stack.oneshot(request).await?;
    /// assert_eq!(answer.extensions().get::<Attempt>(), Some(&Attempt::new(3)), "at 0, 5 and 10 s");
    /// # Ok::<_, acr_core::http::BoxError>(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn last_start(mut self, limit: Duration) -> Self {
        self.last_start = limit;
        self
    }

    /// The whole call must have ended by then: attempts, waits and the reading of the
    /// answer's body (default: no deadline, so that a large body may take its time). Waits
    /// never go past it; a body that does ends with [`ErrorKind::Timeout`].
    ///
    /// ```
    /// # use acr_core::http::Attempt;
    /// use acr_core::layer::{RetryLayer, RetryPolicy};
    /// # use bytes::Bytes;
    /// # use http_body_util::Empty;
    /// # use std::time::Duration;
    /// # use tower::{ServiceBuilder, ServiceExt, service_fn};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
    /// # let start = tokio::time::Instant::now();
    /// # let service = service_fn(|_: http::Request<Empty<Bytes>>| async {
    /// #     http::Response::builder().status(503).header("retry-after", "5").body(Empty::<Bytes>::new())
    /// # });
    /// // It asks for five seconds.
    /// let policy = RetryPolicy::default().deadline(Duration::from_secs(8));
    /// # let stack = ServiceBuilder::new().layer(RetryLayer::new(policy)).service(service);
    /// # let request = http::Request::get("https://busy.example/").body(Empty::new())?;
    /// // Against a service that answers 503:
    /// let answer = stack.oneshot(request).await?;
    /// assert_eq!(answer.extensions().get::<Attempt>(), Some(&Attempt::new(2)), "at 0 and 5 s");
    /// # Ok::<_, acr_core::http::BoxError>(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn deadline(mut self, limit: Duration) -> Self {
        self.deadline = Some(limit);
        self
    }

    /// Repeats only what carries an [`Effect`]: a request without one is treated as
    /// [`Effect::Append`]. By default it gets one from its method ([`Effect::of`]).
    ///
    /// ```
    /// # use acr_core::http::Attempt;
    /// use acr_core::layer::{RetryLayer, RetryPolicy};
    /// # use bytes::Bytes;
    /// # use http_body_util::Empty;
    /// # use std::time::Duration;
    /// # use tower::{ServiceBuilder, ServiceExt, service_fn};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
    /// # let start = tokio::time::Instant::now();
    /// # let service = service_fn(|_: http::Request<Empty<Bytes>>| async {
    /// #     http::Response::builder().status(503).body(Empty::<Bytes>::new())
    /// # });
    /// let policy = RetryPolicy::default().only_declared_effects();
    /// # let stack = ServiceBuilder::new().layer(RetryLayer::new(policy)).service(service);
    /// # let request = http::Request::get("https://busy.example/").body(Empty::new())?;
    /// // Against a service that answers 503:
    /// let answer = stack.oneshot(request).await?;
    /// assert_eq!(answer.extensions().get::<Attempt>(), Some(&Attempt::new(1)), "a `GET` without an effect");
    /// # Ok::<_, acr_core::http::BoxError>(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn only_declared_effects(mut self) -> Self {
        self.knows_methods = false;
        self
    }

    /// Makes the jitter repeatable, for tests.
    ///
    /// ```
    /// # use acr_core::http::Attempt;
    /// use acr_core::layer::{RetryLayer, RetryPolicy};
    /// # use bytes::Bytes;
    /// # use http_body_util::Empty;
    /// # use std::time::Duration;
    /// # use tower::{ServiceBuilder, ServiceExt, service_fn};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
    /// # let start = tokio::time::Instant::now();
    /// # let service = service_fn(|_: http::Request<Empty<Bytes>>| async {
    /// #     http::Response::builder().status(503).body(Empty::<Bytes>::new())
    /// # });
    /// // The same waits in each run.
    /// let policy = RetryPolicy::default().seed(7);
    /// # let stack = ServiceBuilder::new().layer(RetryLayer::new(policy)).service(service);
    /// # let request = http::Request::get("https://busy.example/").body(Empty::new())?;
    /// // Against a service that answers 503:
    /// let answer = stack.oneshot(request).await?;
    /// assert_eq!(answer.extensions().get::<Attempt>(), Some(&Attempt::new(4)));
    /// # Ok::<_, acr_core::http::BoxError>(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.jitter = Arc::new(Mutex::new(fastrand::Rng::with_seed(seed)));
        self
    }

    /// How long to wait before repeating what is worth it, where the server asked for a wait or
    /// not; `None` for the end.
    pub(super) fn wait(
        &self,
        asked: Option<Duration>,
        attempt: u32,
        elapsed: Duration,
    ) -> Option<Duration> {
        if attempt > self.retries {
            return None;
        }
        let wait = match asked {
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
            knows_methods: true,
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
