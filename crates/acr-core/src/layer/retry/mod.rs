//! The one retry loop, as a layer.

mod attempts;
mod copy;
mod outcome;
mod policy;
mod recheck;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod unready;

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use http_body::Body;
use tokio::time::Instant;
use tower_layer::Layer;
use tower_service::Service;

use self::attempts::Call;
pub use self::{
    copy::{CloneBody, CopyBody},
    policy::RetryPolicy,
    recheck::Recheck,
};
#[cfg(doc)]
use crate::http::{
    error::{Error, ErrorKind},
    operation::Effect,
};
use crate::{
    http::error::{BoxError, Result},
    layer::{budget::Budget, call_options::CallOptions, deadline::DeadlineBody},
};

/// Repeats what is safe to repeat; the only place in a stack that does.
///
/// | outcome | repeated |
/// |---|---|
/// | [`ErrorKind::Connect`], or any retryable failure before the request itself was sent | always |
/// | [`ErrorKind::Timeout`], [`ErrorKind::Transport`], 408, 500, 502, 503, 504 | if the request's [`Effect`] is repeatable |
/// | 429 | always |
/// | anything else | never |
///
/// A request without an [`Effect`] gets one from its method, by the rules of HTTP
/// ([`Effect::of`]), unless [`RetryPolicy::only_declared_effects`] says otherwise.
/// A body that cannot be cloned is sent once, whatever happens. A request with a [`Recheck`] is
/// sent again only if that look, taken after the wait, still allows it. `Retry-After` is
/// obeyed up to a minute; a longer wish ends the call at once with the answer.
/// All clones of a layer share one budget of retries, so that a service that is down
/// gets hardly more requests than one that is up. A failure that many calls met as one, such
/// as that of a token they all waited for ([`Error::shared`]), is paid for once. Before it waits, the layer
/// reads the rest of the discarded answer, so that its connection is used again. Must stand outside of redirect and authentication.
///
/// It stands around any service of `http::Request<B>` that answers with an `http::Response<R>`
/// and can be cloned. A `B` that is not `Clone` needs [`RetryLayer::copy_bodies`]. An error that
/// is none of ours counts as what [`Error::from`] makes of it, mostly
/// [`ErrorKind::Transport`]. The error is a [`BoxError`]: that of the service, or an [`Error`].
///
/// ```
/// use acr_core::layer::{RetryLayer, RetryPolicy};
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use http_body_util::Empty;
/// use std::sync::{Arc, atomic::{AtomicU32, Ordering}};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// let calls = Arc::new(AtomicU32::new(0));
/// let counter = Arc::clone(&calls);
/// let flaky = service_fn(move |_: Request<Empty<Bytes>>| {
///     let status = if counter.fetch_add(1, Ordering::Relaxed) == 0 { 503 } else { 200 };
///     let response = Response::builder().status(status).body(Empty::<Bytes>::new());
///     async move { Ok::<_, std::io::Error>(response.unwrap()) }
/// });
/// let stack = ServiceBuilder::new().layer(RetryLayer::new(RetryPolicy::default())).service(flaky);
/// let request = Request::get("https://service.example/").body(Empty::new())?;
/// assert_eq!(stack.oneshot(request).await?.status(), 200);
/// assert_eq!(calls.load(Ordering::Relaxed), 2);
/// # Ok::<_, acr_core::http::BoxError>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct RetryLayer<C = CloneBody> {
    policy: RetryPolicy,
    budget: Budget,
    copy: C,
}

/// The service of [`RetryLayer`].
#[derive(Clone)]
pub struct Retry<S, C = CloneBody> {
    inner: S,
    policy: RetryPolicy,
    budget: Budget,
    copy: C,
}

/// The future of [`Retry`].
pub type RetryFuture<R> =
    Pin<Box<dyn Future<Output = Result<http::Response<DeadlineBody<R>>, BoxError>> + Send>>;

impl RetryLayer {
    /// The layer.
    pub fn new(policy: RetryPolicy) -> Self {
        Self { policy, budget: Budget::new(), copy: CloneBody::default() }
    }
}

impl<C> RetryLayer<C> {
    /// Says how a body is sent again that cannot be cloned: the function gives the same body
    /// once more, or `None` if it can be sent only once.
    ///
    /// ```
    /// use acr_core::layer::{RetryLayer, RetryPolicy};
    /// use http_body::Body as _;
    /// use http_body_util::combinators::UnsyncBoxBody;
    ///
    /// type Body = UnsyncBoxBody<bytes::Bytes, std::io::Error>;
    ///
    /// // Requests without content are repeated, others are sent once.
    /// let layer = RetryLayer::new(RetryPolicy::default())
    ///     .copy_bodies(|body: &Body| body.is_end_stream().then(Body::default));
    /// # let _ = layer;
    /// ```
    #[must_use]
    pub fn copy_bodies<F, B>(self, copy: F) -> RetryLayer<F>
    where
        F: Fn(&B) -> Option<B>,
    {
        RetryLayer { policy: self.policy, budget: self.budget, copy }
    }
}

impl<S, C: Clone> Layer<S> for RetryLayer<C> {
    type Service = Retry<S, C>;

    fn layer(&self, inner: S) -> Self::Service {
        let (policy, budget) = (self.policy.clone(), self.budget.clone());
        Retry { inner, policy, budget, copy: self.copy.clone() }
    }
}

impl<S, C, B, R> Service<http::Request<B>> for Retry<S, C>
where
    S: Service<http::Request<B>, Response = http::Response<R>, Error: Into<BoxError>, Future: Send>
        + Clone
        + Send
        + 'static,
    C: CopyBody<B> + Clone + Send + Sync + 'static,
    B: Send + 'static,
    R: Body + Send + 'static,
{
    type Response = http::Response<DeadlineBody<R>>;
    type Error = BoxError;
    type Future = RetryFuture<R>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        // Each attempt waits for its own: nothing is reserved between two of them.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let options = request.extensions().get::<CallOptions>();
        let policy = options.and_then(CallOptions::retry_policy).unwrap_or(&self.policy).clone();
        let (budget, copy) = (self.budget.clone(), self.copy.clone());
        let call = Call { policy, budget, copy, start: Instant::now() };
        Box::pin(call.run(self.inner.clone(), request))
    }
}

impl<C> fmt::Debug for RetryLayer<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryLayer").field("policy", &self.policy).finish_non_exhaustive()
    }
}

impl<S: fmt::Debug, C> fmt::Debug for Retry<S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Retry");
        shown.field("inner", &self.inner).field("policy", &self.policy).finish_non_exhaustive()
    }
}
