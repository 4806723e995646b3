//! What one call may do differently from the rest of its client.

use std::{fmt, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::{
    http::error::{Error, ErrorKind, Result},
    layer::{RetryPolicy, Timeouts},
};

/// Options of single calls: retry, time-outs, request id, further headers, quiet.
///
/// Every client has a method `with` that takes them and returns a clone which
/// uses them; so every method has a place for options without another argument.
/// They travel as a request extension, and each layer reads its own part; in a stack of
/// one's own [`CallOptions::apply_to`] puts them there.
///
/// ```
/// use std::time::Duration;
/// use acr_core::{CallOptions, layer::{RetryPolicy, Timeouts}};
///
/// let patient = CallOptions::new()
///     .retry(RetryPolicy::default().retries(10))
///     .timeouts(Timeouts::default().head(Duration::from_secs(300)))
///     .request_id("build-4711")
///     .header("x-meta-source-client".parse()?, "nightly".parse()?)?;
/// # let _ = patient;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct CallOptions {
    retry: Option<RetryPolicy>,
    timeouts: Option<Timeouts>,
    connect_timeout: Option<Duration>,
    request_id: Option<String>,
    headers: HeaderMap,
    is_quiet: bool,
    is_governed: bool,
}

impl CallOptions {
    /// No option set: everything as the client has it.
    ///
    /// ```
    /// use acr_core::CallOptions;
    ///
    /// let mut request = http::Request::new(());
    /// CallOptions::new().apply_to(&mut request);
    /// assert!(request.headers().is_empty());
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Retries by another policy. The client's retry budget stays in force.
    ///
    /// ```
    /// # use acr_core::CallOptions;
    /// # use tower::{ServiceBuilder, ServiceExt, service_fn};
    /// use acr_core::http::Attempt;
    /// use acr_core::layer::{RetryLayer, RetryPolicy};
    /// # use http_body_util::Empty;
    /// # use bytes::Bytes;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
    /// let busy = service_fn(|_: http::Request<Empty<Bytes>>| async {
    ///     http::Response::builder().status(503).body(Empty::<Bytes>::new())
    /// });
    /// let stack = ServiceBuilder::new().layer(RetryLayer::new(RetryPolicy::default())).service(busy);
    /// let mut request = http::Request::get("https://service.example/").body(Empty::new())?;
    /// CallOptions::new().retry(RetryPolicy::default().retries(0)).apply_to(&mut request);
    /// let answer = stack.oneshot(request).await?;
    /// assert_eq!(answer.extensions().get::<Attempt>(), Some(&Attempt::new(1)));
    /// # Ok::<_, acr_core::http::BoxError>(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = Some(policy);
        self
    }

    /// Uses other time-outs.
    ///
    /// ```
    /// # use acr_core::CallOptions;
    /// # use tower::{ServiceBuilder, ServiceExt, service_fn};
    /// use acr_core::layer::{TimeoutLayer, Timeouts};
    /// use std::time::Duration;
    /// # use http_body_util::Empty;
    /// # use bytes::Bytes;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
    /// let silent = service_fn(|_: http::Request<_>| {
    ///     std::future::pending::<Result<http::Response<Empty<Bytes>>, std::io::Error>>()
    /// });
    /// let stack = ServiceBuilder::new().layer(TimeoutLayer::new(Timeouts::default())).service(silent);
    /// let mut request = http::Request::new(Empty::<Bytes>::new());
    /// let hasty = Timeouts::default().head(Duration::from_secs(1));
    /// CallOptions::new().timeouts(hasty).apply_to(&mut request);
    /// let error = stack.oneshot(request).await.unwrap_err();
    /// assert_eq!(error.to_string(), "no answer within 1s");
    /// # });
    /// ```
    #[must_use]
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = Some(timeouts);
        self
    }

    /// Waits no longer than this for a connection: name resolution, TCP, TLS and a proxy's
    /// tunnel together, or one that gets free in the pool. Can only shorten what
    /// `TransportBuilder::connect_timeout` allows each phase, since connections are shared;
    /// a transport of one's own may ignore it.
    ///
    /// ```
    /// use acr_core::CallOptions;
    /// use std::time::Duration;
    ///
    /// let hasty = CallOptions::new().connect_timeout(Duration::from_millis(500));
    /// assert!(format!("{hasty:?}").contains("500ms"));
    /// ```
    #[must_use]
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = Some(limit);
        self
    }

    /// Sends this `x-ms-client-request-id` instead of a random one. An id that no
    /// header can carry is replaced by a random one.
    ///
    /// ```
    /// # use acr_core::CallOptions;
    /// # use tower::{ServiceBuilder, ServiceExt, service_fn};
    /// use acr_core::layer::RequestIdLayer;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
    /// let echo = service_fn(|request: http::Request<()>| async move {
    ///     Ok::<_, std::io::Error>(request.headers()["x-ms-client-request-id"].clone())
    /// });
    /// let stack = ServiceBuilder::new().layer(RequestIdLayer::new()).service(echo);
    /// let mut request = http::Request::new(());
    /// CallOptions::new().request_id("build-4711").apply_to(&mut request);
    /// assert_eq!(stack.oneshot(request).await?, "build-4711");
    /// # Ok::<_, std::io::Error>(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn request_id(mut self, id: impl Into<String>) -> Self {
        self.request_id = Some(id.into());
        self
    }

    /// Adds a header to requests to the registry; it does not travel along redirects.
    ///
    /// ```
    /// use acr_core::{CallOptions, ErrorKind};
    /// use http::{HeaderValue, header};
    ///
    /// let options = CallOptions::new().header("x-team".parse().unwrap(), HeaderValue::from_static("builds"));
    /// assert!(options.is_ok());
    /// let error = CallOptions::new().header(header::AUTHORIZATION, HeaderValue::from_static("x")).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::InvalidInput);
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] for headers that the stack sets itself:
    /// credentials, framing, ranges, media types.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Result<Self> {
        if RESERVED.contains(&name.as_str()) {
            let text = format!("the header `{name}` is set by the client itself");
            return Err(Error::new(ErrorKind::InvalidInput, text));
        }
        self.headers.insert(name, value);
        Ok(self)
    }

    /// Logs nothing of these calls below the level of warnings.
    ///
    /// ```
    /// use acr_core::CallOptions;
    ///
    /// // A health check every second need not be in the log.
    /// let quiet = CallOptions::new().quiet();
    /// assert!(format!("{quiet:?}").contains("is_quiet: true"));
    /// ```
    #[must_use]
    pub fn quiet(mut self) -> Self {
        self.is_quiet = true;
        self
    }

    /// Sends these calls no faster than their host takes them, as the pipeline's
    /// [`Governor`](crate::layer::Governor) learned; without one it changes nothing. For whole runs, such as a
    /// copy or a purge: a call may wait for its turn behind those that came before it.
    ///
    /// The retry policy's `last_start` and deadline go on meanwhile. A run of so many tasks that a turn takes
    /// minutes needs a later [`RetryPolicy::last_start`].
    ///
    /// ```
    /// use acr_core::CallOptions;
    ///
    /// let run = CallOptions::new().governed();
    /// assert!(format!("{run:?}").contains("is_governed: true"));
    /// ```
    #[must_use]
    pub fn governed(mut self) -> Self {
        self.is_governed = true;
        self
    }

    /// Puts the options into a request: as the extension that the layers read, and the
    /// further headers as headers, where the request does not have them. For stacks of one's
    /// own; [`crate::Pipeline::send`] does it by itself.
    ///
    /// ```
    /// use acr_core::CallOptions;
    ///
    /// let options = CallOptions::new().header("x-mine".parse()?, "1".parse()?)?;
    /// // Whatever its body is.
    /// let mut request = http::Request::get("https://service.example/").body("content")?;
    /// options.apply_to(&mut request);
    /// assert_eq!(request.headers()["x-mine"], "1");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn apply_to<B>(&self, request: &mut http::Request<B>) {
        for (name, value) in &self.headers {
            request.headers_mut().entry(name).or_insert_with(|| value.clone());
        }
        request.extensions_mut().insert(self.clone());
    }

    /// These options, and where they say nothing those of `others`. Headers are joined, and of
    /// two with one name it is this one's.
    ///
    /// ```
    /// use acr_core::{CallOptions, http::Request};
    ///
    /// let client = CallOptions::new().header("x-team".parse()?, "builds".parse()?)?;
    /// let call = CallOptions::new().request_id("build-4711").or(&client);
    /// let mut request = Request::default();
    /// call.apply_to(&mut request);
    /// assert_eq!(request.headers()["x-team"], "builds");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn or(mut self, others: &Self) -> Self {
        self.retry = self.retry.or_else(|| others.retry.clone());
        self.timeouts = self.timeouts.or_else(|| others.timeouts.clone());
        self.connect_timeout = self.connect_timeout.or(others.connect_timeout);
        self.request_id = self.request_id.or_else(|| others.request_id.clone());
        for (name, value) in &others.headers {
            self.headers.entry(name).or_insert_with(|| value.clone());
        }
        self.is_quiet |= others.is_quiet;
        self.is_governed |= others.is_governed;
        self
    }

    /// What a server that the caller did not choose is spared.
    pub(crate) fn for_hop(mut self) -> Self {
        self.request_id = None;
        self.headers.clear();
        self
    }

    pub(crate) fn retry_policy(&self) -> Option<&RetryPolicy> {
        self.retry.as_ref()
    }

    pub(crate) fn exchange_timeouts(&self) -> Option<&Timeouts> {
        self.timeouts.as_ref()
    }

    #[cfg(feature = "_transport")]
    pub(crate) fn connect_limit(&self) -> Option<Duration> {
        self.connect_timeout
    }

    pub(crate) fn client_request_id(&self) -> Option<HeaderValue> {
        let id = self.request_id.as_deref().and_then(|id| HeaderValue::from_str(id).ok());
        id.filter(|value| value.to_str().is_ok())
    }

    pub(crate) fn is_governed(&self) -> bool {
        self.is_governed
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.is_quiet
    }
}

impl fmt::Debug for CallOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Names only: a header of the caller's may hold a key.
        let headers: Vec<&str> = self.headers.keys().map(HeaderName::as_str).collect();
        f.debug_struct("CallOptions")
            .field("retry", &self.retry)
            .field("timeouts", &self.timeouts)
            .field("connect_timeout", &self.connect_timeout)
            .field("request_id", &self.request_id)
            .field("headers", &headers)
            .field("is_quiet", &self.is_quiet)
            .field("is_governed", &self.is_governed)
            .finish()
    }
}

/// Headers whose value decides what a request means or who sends it.
const RESERVED: &[&str] = &[
    "accept",
    "accept-encoding",
    "authorization",
    "connection",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "host",
    "proxy-authorization",
    "range",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-ms-client-request-id",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_the_stack_cannot_be_replaced() {
        for name in [
            "accept",
            "authorization",
            "content-length",
            "content-range",
            "content-type",
            "cookie",
            "host",
            "proxy-authorization",
            "range",
            "transfer-encoding",
            "x-ms-client-request-id",
        ] {
            let name: HeaderName = name.parse().unwrap();
            let error = CallOptions::new().header(name, HeaderValue::from_static("x")).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
        let name = HeaderName::from_static("x-meta-source-client");
        assert!(CallOptions::new().header(name, HeaderValue::from_static("x")).is_ok());
    }

    #[test]
    fn an_unusable_request_id_is_not_used() {
        assert_eq!(CallOptions::new().request_id("a\nb").client_request_id(), None);
        assert_eq!(
            CallOptions::new().request_id("ok").client_request_id(),
            Some(HeaderValue::from_static("ok"))
        );
    }
}
