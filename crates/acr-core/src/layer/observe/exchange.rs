//! Tells an observer of single exchanges.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::SystemTime,
};

use http::StatusCode;
use http_body::Body;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::{
    counted::CountedBody,
    events::Throttled,
    marks::Marks,
    observer::Observer,
    reporter::{Reporter, Running, Side},
};
use crate::http::retry_after::RetryAfter;

/// Tells an [`Observer`] of every exchange: attempts, hops of redirects, token calls, what is
/// answered 429, and the bytes of both bodies.
///
/// Must stand inside of retry, redirect and authentication, and outside of time-outs, so that
/// one that passed is told as [`ErrorKind::Timeout`](crate::ErrorKind::Timeout). Whole calls
/// and their waits are told by [`ObserveCallLayer`](super::ObserveCallLayer), outside of retry.
/// It marks the request too: our own transport ([`Transport::rustls`](crate::Transport)) tells
/// the observer of its connections. Of several around each other all are told. Around a server
/// it is told so ([`ObserveExchangeLayer::server`]).
///
/// It stands around any service of `http::Request<CountedBody<B>>`, which a client that is
/// generic over the body takes as it stands; for others `map_request` makes of it what they
/// take. The answer's body becomes a [`CountedBody`]. Errors stay what they are; of one that is
/// none of ours no kind is told, unless it is one of tower's. What an error of another type has
/// inside is seen where it is boxed only, as retry boxes it: `map_err(BoxError::from)` or a
/// [`TimeoutLayer`](crate::layer::TimeoutLayer) inside of this one, and an attempt is told by the same
/// word as its wait. A service that fails before it is
/// called (in `poll_ready`, as a buffer does whose worker is gone) was sent nothing: then there
/// is no exchange to tell of, and it is a call's ending and the reason of a wait alone. In a
/// pipeline what is inside of this layer is always ready.
///
/// ```
/// use acr_core::layer::{ObserveExchangeLayer, Observed, Observer, Transferred};
/// use bytes::Bytes;
/// use http_body_util::{BodyExt, Full};
/// use std::sync::{Arc, atomic::{AtomicU64, Ordering}};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// #[derive(Default)]
/// struct Moved(AtomicU64);
///
/// impl Observer for Moved {
///     fn transferred(&self, _: &Observed, event: &Transferred) {
///         self.0.fetch_add(event.bytes, Ordering::Relaxed);
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// // Sends back what it was sent.
/// let echo = service_fn(|request: http::Request<_>| async {
///     Ok::<_, std::convert::Infallible>(http::Response::new(request.into_body()))
/// });
/// let moved = Arc::new(Moved::default());
/// let stack = ServiceBuilder::new().layer(ObserveExchangeLayer::new(moved.clone())).service(echo);
/// let answer = stack.oneshot(http::Request::new(Full::new(Bytes::from("hello")))).await?;
/// assert_eq!(answer.into_body().collect().await?.to_bytes(), "hello");
/// assert_eq!(moved.0.load(Ordering::Relaxed), 10, "five each way");
/// # Ok::<_, std::convert::Infallible>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct ObserveExchangeLayer {
    observer: Arc<dyn Observer>,
    side: Side,
}

/// The service of [`ObserveExchangeLayer`].
#[derive(Clone)]
pub struct ObserveExchange<S> {
    inner: S,
    observer: Arc<dyn Observer>,
    side: Side,
}

impl ObserveExchangeLayer {
    /// The layer.
    pub fn new(observer: Arc<dyn Observer>) -> Self {
        Self { observer, side: Side::Client }
    }

    /// For a layer around a server of one's own: the name of the host, which each client
    /// chooses at will, is left out ([`Observed::host`](super::Observed::host) is empty), and the
    /// bodies of requests are [received](super::Direction::Received), those of answers
    /// [sent](super::Direction::Sent).
    ///
    /// ```
    /// use acr_core::layer::{
    ///     CountedBody, Direction, ObserveExchangeLayer, Observed, Observer, Transferred,
    /// };
    /// use bytes::Bytes;
    /// use http_body_util::{BodyExt, Full};
    /// use std::sync::Arc;
    /// use tower::{ServiceBuilder, ServiceExt, service_fn};
    ///
    /// struct Print;
    ///
    /// impl Observer for Print {
    ///     fn transferred(&self, of: &Observed, event: &Transferred) {
    ///         assert_eq!(of.host, "");
    ///         assert_eq!(event.direction, Direction::Received);
    ///         println!("{} bytes {}", event.bytes, event.direction.as_str());
    ///     }
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// let server = ServiceBuilder::new()
    ///     .layer(ObserveExchangeLayer::new(Arc::new(Print)).server())
    ///     .service(service_fn(|request: http::Request<CountedBody<Full<Bytes>>>| async {
    ///         request.into_body().collect().await?;
    ///         Ok::<_, std::convert::Infallible>(http::Response::new(Full::new(Bytes::new())))
    ///     }));
    /// let request = http::Request::put("http://any-name.example/").body(Full::new(Bytes::from("x")))?;
    /// server.oneshot(request).await?;
    /// # Ok::<_, Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn server(mut self) -> Self {
        self.side = Side::Server;
        self
    }
}

impl<S> Layer<S> for ObserveExchangeLayer {
    type Service = ObserveExchange<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ObserveExchange { inner, observer: Arc::clone(&self.observer), side: self.side }
    }
}

impl<S, B, R> Service<http::Request<B>> for ObserveExchange<S>
where
    S: Service<http::Request<CountedBody<B>>, Response = http::Response<R>, Error: 'static>,
    B: Body,
    R: Body,
{
    type Response = http::Response<CountedBody<R>>;
    type Error = S::Error;
    type Future = ObserveExchangeFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let reporter = Reporter::new(&self.observer, &request, self.side);
        let running = reporter.clone().exchange(request.extensions());
        let mut request =
            request.map(|body| CountedBody::new(body, reporter.clone(), self.side.of_requests()));
        Marks::add_exchange(request.extensions_mut(), reporter);
        ObserveExchangeFuture { future: self.inner.call(request), running, side: self.side }
    }
}

pin_project! {
    /// The future of [`ObserveExchange`].
    pub struct ObserveExchangeFuture<F> {
        #[pin]
        future: F,
        running: Running,
        side: Side,
    }
}

impl<F, R, E> Future for ObserveExchangeFuture<F>
where
    F: Future<Output = Result<http::Response<R>, E>>,
    E: 'static,
    R: Body,
{
    type Output = Result<http::Response<CountedBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = ready!(this.future.poll(cx));
        this.running.end(&result);
        let answer = result?;
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            let retry_after = RetryAfter::of(answer.headers(), SystemTime::now());
            this.running.throttled(&Throttled { retry_after });
        }
        let (reporter, direction) = (this.running.reporter().clone(), this.side.of_answers());
        Poll::Ready(Ok(answer.map(|body| CountedBody::new(body, reporter, direction))))
    }
}

impl fmt::Debug for ObserveExchangeLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObserveExchangeLayer").finish_non_exhaustive()
    }
}

impl<S: fmt::Debug> fmt::Debug for ObserveExchange<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObserveExchange").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<F> fmt::Debug for ObserveExchangeFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObserveExchangeFuture").finish_non_exhaustive()
    }
}
