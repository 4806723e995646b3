//! How long the parts of an exchange may take.

use std::time::Duration;

use crate::http::{
    error::{BoxError, Error, ErrorKind},
    operation::Effect,
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    head: Duration,
    commit: Duration,
    pub(super) idle: Duration,
}

impl Timeouts {
    /// How long the head of an answer may take (default 30 s).
    ///
    /// ```
    /// use acr_core::layer::{TimeoutLayer, Timeouts};
    /// use std::time::Duration;
    /// # use acr_core::http::Effect;
    /// # use bytes::Bytes;
    /// # use http_body_util::{BodyExt, Empty, StreamBody, combinators::UnsyncBoxBody};
    /// # use tower::{ServiceBuilder, ServiceExt, service_fn};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
    /// let timeouts = Timeouts::default().head(Duration::from_secs(5));
    /// # let silent = service_fn(|_: http::Request<_>| {
    /// #     std::future::pending::<Result<http::Response<Empty<Bytes>>, std::io::Error>>()
    /// # });
    /// # let stack = ServiceBuilder::new().layer(TimeoutLayer::new(timeouts)).service(silent);
    /// # let request = http::Request::new(Empty::<Bytes>::new());
    /// let error = stack.oneshot(request).await.unwrap_err();
    /// assert_eq!(error.to_string(), "no answer within 5s");
    /// # });
    /// ```
    #[must_use]
    pub fn head(mut self, limit: Duration) -> Self {
        self.head = limit;
        self
    }

    /// The same where the registry has to hash or check content first: the end
    /// of an upload and a manifest put (default 120 s).
    ///
    /// ```
    /// use acr_core::layer::{TimeoutLayer, Timeouts};
    /// use std::time::Duration;
    /// # use acr_core::http::Effect;
    /// # use bytes::Bytes;
    /// # use http_body_util::{BodyExt, Empty, StreamBody, combinators::UnsyncBoxBody};
    /// # use tower::{ServiceBuilder, ServiceExt, service_fn};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
    /// let timeouts = Timeouts::default().commit(Duration::from_secs(300));
    /// # let silent = service_fn(|_: http::Request<_>| {
    /// #     std::future::pending::<Result<http::Response<Empty<Bytes>>, std::io::Error>>()
    /// # });
    /// # let stack = ServiceBuilder::new().layer(TimeoutLayer::new(timeouts)).service(silent);
    /// # let mut request = http::Request::new(Empty::<Bytes>::new());
    /// request.extensions_mut().insert(Effect::Commit);
    /// let error = stack.oneshot(request).await.unwrap_err();
    /// assert_eq!(error.to_string(), "no answer within 300s");
    /// # });
    /// ```
    #[must_use]
    pub fn commit(mut self, limit: Duration) -> Self {
        self.commit = limit;
        self
    }

    /// How long a body in either direction may make no progress (default 30 s).
    ///
    /// ```
    /// use acr_core::layer::{TimeoutLayer, Timeouts};
    /// use std::time::Duration;
    /// # use acr_core::http::Effect;
    /// # use bytes::Bytes;
    /// # use http_body_util::{BodyExt, Empty, StreamBody, combinators::UnsyncBoxBody};
    /// # use tower::{ServiceBuilder, ServiceExt, service_fn};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
    /// let timeouts = Timeouts::default().idle(Duration::from_secs(5));
    /// // A body that never comes.
    /// let stuck = service_fn(|_: http::Request<_>| async {
    ///     let body = StreamBody::new(futures_util::stream::pending());
    ///     Ok::<_, std::io::Error>(http::Response::new(UnsyncBoxBody::<Bytes, std::io::Error>::new(body)))
    /// });
    /// let stack = ServiceBuilder::new().layer(TimeoutLayer::new(timeouts)).service(stuck);
    /// let answer = stack.oneshot(http::Request::new(Empty::<Bytes>::new())).await.unwrap();
    /// let error = answer.into_body().collect().await.unwrap_err();
    /// assert_eq!(error.to_string(), "the response body makes no progress within 5s");
    /// # });
    /// ```
    #[must_use]
    pub fn idle(mut self, limit: Duration) -> Self {
        self.idle = limit;
        self
    }

    /// What holds for the head of the answer to a request of this effect.
    pub(super) fn head_of(&self, effect: Option<Effect>) -> Duration {
        match effect {
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

pub(super) fn timed_out(what: &str, limit: Duration) -> BoxError {
    Error::new(ErrorKind::Timeout, format!("{what} within {limit:?}")).into()
}
