//! Deadlines of one exchange: no answer, and no progress in either direction.

mod answered;
mod future;
#[cfg(test)]
mod tests;
mod timeouts;
mod watched;

use std::task::{Context, Poll};

use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

pub(crate) use self::watched::{PIECE, Progress};
pub use self::{
    answered::TimeoutBody, future::TimeoutFuture, timeouts::Timeouts, watched::WatchedBody,
};
#[cfg(doc)]
use crate::http::error::{Error, ErrorKind};
use crate::{http::error::BoxError, layer::call_options::CallOptions};

/// Bounds every exchange in time.
///
/// The answer's head must come within [`Timeouts::head`] after the last piece of
/// the request body was handed over, and no more than [`Timeouts::idle`] may pass
/// between two pieces of either body. A breach is [`ErrorKind::Timeout`]. Waiting
/// between attempts and fetching tokens is not counted, so the layer must stand
/// directly around the transport.
///
/// It stands around any service of `http::Request<WatchedBody<B>>`: a request body is handed
/// on in pieces of 64 KiB, whose taking is the only sign of progress there is. A client that
/// is generic over the body, as hyper-util's is, takes it as it stands; for others, such as
/// reqwest, `map_request` makes of it what they take. The error is a [`BoxError`]: that of
/// the service, or an [`Error`].
///
/// ```
/// use acr_core::{Error, ErrorKind, layer::{TimeoutLayer, Timeouts}};
/// use bytes::Bytes;
/// use http_body_util::Empty;
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// let silent = service_fn(|_: http::Request<_>| {
///     std::future::pending::<Result<http::Response<Empty<Bytes>>, std::io::Error>>()
/// });
/// let stack = ServiceBuilder::new().layer(TimeoutLayer::new(Timeouts::default())).service(silent);
/// let error = stack.oneshot(http::Request::new(Empty::<Bytes>::new())).await.unwrap_err();
/// assert_eq!(Error::from(error).kind(), ErrorKind::Timeout);
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct TimeoutLayer {
    timeouts: Timeouts,
}

/// The service of [`TimeoutLayer`].
#[derive(Clone, Debug)]
pub struct Timeout<S> {
    inner: S,
    timeouts: Timeouts,
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
        Timeout { inner, timeouts: self.timeouts.clone() }
    }
}

impl<S, B, R> Service<http::Request<B>> for Timeout<S>
where
    S: Service<http::Request<WatchedBody<B>>, Response = http::Response<R>, Error: Into<BoxError>>,
    B: Body,
    R: Body,
{
    type Response = http::Response<TimeoutBody<R>>;
    type Error = BoxError;
    type Future = TimeoutFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let options = request.extensions().get::<CallOptions>();
        let timeouts = options.and_then(CallOptions::exchange_timeouts).unwrap_or(&self.timeouts);
        let (head, idle) = (timeouts.head_of(request.extensions().get().copied()), timeouts.idle);
        let request = request.map(WatchedBody::watch);
        let progress = request.body().progress().cloned();
        TimeoutFuture::new(self.inner.call(request), progress, head, idle)
    }
}
