//! Tells an observer of whole calls.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::{
    marks::Marks,
    observer::Observer,
    reporter::{Reporter, Running, Side},
};

/// Tells an [`Observer`] of calls, and of their waits.
///
/// Must stand outside of retry, so that a call is one whatever number of attempts it takes: it
/// marks the request, and retry tells the observer of its waits. What each attempt does is told
/// by [`ObserveExchangeLayer`](super::ObserveExchangeLayer), inside of retry. Of several around
/// each other all are told. It is made for clients; around a server it is told so
/// ([`ObserveCallLayer::server`]). It stands around any service of `http::Request<B>` that answers with an `http::Response<R>`, and changes
/// nothing of its answers and errors. A future that is dropped ends the call too, as
/// [`Ending::Cancelled`](super::Ending::Cancelled).
///
/// ```
/// use acr_core::layer::{
///     AttemptEnded, CallEnded, Ending, ObserveCallLayer, ObserveExchangeLayer, Observed, Observer,
///     RetryLayer, RetryPolicy, Waited,
/// };
/// use bytes::Bytes;
/// use http_body_util::Full;
/// use std::sync::{Arc, Mutex};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// #[derive(Default)]
/// struct Told(Mutex<Vec<String>>);
///
/// impl Observer for Told {
///     fn call_ended(&self, of: &Observed, call: &CallEnded) {
///         self.0.lock().unwrap().push(format!("{} at {}", call.ending.as_str(), of.host));
///     }
///     fn attempt_ended(&self, _: &Observed, attempt: &AttemptEnded) {
///         self.0.lock().unwrap().push(format!("attempt {}", attempt.number));
///     }
///     fn waited(&self, _: &Observed, wait: &Waited) {
///         self.0.lock().unwrap().push(format!("waited for a {}", wait.reason.as_str()));
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// // Answers 503, then 200.
/// let statuses = Arc::new(Mutex::new(vec![200, 503]));
/// let client = service_fn(move |_: http::Request<_>| {
///     let status = statuses.lock().unwrap().pop().unwrap_or(500);
///     let answer = http::Response::builder().status(status);
///     async move { answer.body(Full::new(Bytes::new())) }
/// });
/// let told = Arc::new(Told::default());
/// let stack = ServiceBuilder::new()
///     .layer(ObserveCallLayer::new(told.clone()))
///     .layer(RetryLayer::new(RetryPolicy::default()))
///     .layer(ObserveExchangeLayer::new(told.clone()))
///     .service(client);
/// let request = http::Request::get("https://service.example/").body(Full::new(Bytes::new()))?;
/// stack.oneshot(request).await?;
/// let told = told.0.lock().unwrap();
/// assert_eq!(*told, ["attempt 1", "waited for a 5xx", "attempt 2", "2xx at service.example"]);
/// # Ok::<_, acr_core::http::BoxError>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct ObserveCallLayer {
    observer: Arc<dyn Observer>,
    side: Side,
}

/// The service of [`ObserveCallLayer`].
#[derive(Clone)]
pub struct ObserveCall<S> {
    inner: S,
    observer: Arc<dyn Observer>,
    side: Side,
}

impl ObserveCallLayer {
    /// The layer.
    pub fn new(observer: Arc<dyn Observer>) -> Self {
        Self { observer, side: Side::Client }
    }

    /// For a layer around a server of one's own: the name of the host, which each client
    /// chooses at will, is left out ([`Observed::host`](super::Observed::host) is empty).
    ///
    /// ```
    /// use acr_core::layer::{CallEnded, ObserveCallLayer, Observed, Observer};
    /// use std::sync::Arc;
    /// use tower::{ServiceBuilder, ServiceExt, service_fn};
    ///
    /// struct Print;
    ///
    /// impl Observer for Print {
    ///     fn call_ended(&self, of: &Observed, call: &CallEnded) {
    ///         assert_eq!((of.host.as_str(), of.method), ("", "GET"));
    ///         println!("{} in {:?}", call.ending.as_str(), call.duration);
    ///     }
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let server = ServiceBuilder::new()
    ///     .layer(ObserveCallLayer::new(Arc::new(Print)).server())
    ///     .service(service_fn(|_: http::Request<()>| async {
    ///         Ok::<_, std::io::Error>(http::Response::new("hello"))
    ///     }));
    /// server.oneshot(http::Request::get("http://any-name.example/").body(())?).await?;
    /// # Ok::<_, Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn server(mut self) -> Self {
        self.side = Side::Server;
        self
    }
}

impl<S> Layer<S> for ObserveCallLayer {
    type Service = ObserveCall<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ObserveCall { inner, observer: Arc::clone(&self.observer), side: self.side }
    }
}

impl<S, B, R> Service<http::Request<B>> for ObserveCall<S>
where
    S: Service<http::Request<B>, Response = http::Response<R>, Error: 'static>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ObserveCallFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: http::Request<B>) -> Self::Future {
        let reporter = Reporter::new(&self.observer, &request, self.side);
        Marks::add_call(request.extensions_mut(), reporter.clone());
        let running = reporter.call();
        ObserveCallFuture { future: self.inner.call(request), running }
    }
}

pin_project! {
    /// The future of [`ObserveCall`].
    pub struct ObserveCallFuture<F> {
        #[pin]
        future: F,
        running: Running,
    }
}

impl<F, R, E> Future for ObserveCallFuture<F>
where
    F: Future<Output = Result<http::Response<R>, E>>,
    E: 'static,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let result = ready!(this.future.poll(cx));
        this.running.end(&result);
        Poll::Ready(result)
    }
}

impl fmt::Debug for ObserveCallLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObserveCallLayer").finish_non_exhaustive()
    }
}

impl<S: fmt::Debug> fmt::Debug for ObserveCall<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObserveCall").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<F> fmt::Debug for ObserveCallFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObserveCallFuture").finish_non_exhaustive()
    }
}
