//! The finished stack. The order of the layers is written here and nowhere else.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use http::HeaderName;
use tower_layer::Layer;
use tower_service::Service;
use tracing::Instrument as _;

use crate::{
    hashing::{Hasher, Hashing},
    http::{
        endpoint::Endpoint,
        error::{Error, Result},
        operation::Operation,
        redact::{Redaction, shown_host, shown_subject},
        request::Request,
        response::Response,
    },
    layer::{
        self, Governor, GovernorLayer, HttpService, LogLayer, ObserveCallLayer,
        ObserveExchangeLayer, Observer, RedirectLayer, RequestIdLayer, ResponseFuture, RetryLayer,
        RetryPolicy, TimeoutLayer, Timeouts, TraceLayer, UserAgentLayer, call_options::CallOptions,
    },
    transport::Transport,
};

/// Everything that is sent to a registry goes through a pipeline: retry,
/// redirect, authentication, user agent, tracing, logging, time-outs, transport.
///
/// Cheap to clone. It is a tower service, so it can stand in any tower stack or
/// behind a hyper server.
///
/// ```
/// use acr_core::{http::{Body, Operation, Request, RequestBuilder}, Endpoint, Pipeline, Transport};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let transport = Transport::new(tower::service_fn(|_: Request| async {
///     Ok::<_, acr_core::Error>(http::Response::new(Body::from("{}")))
/// }));
/// let endpoint: Endpoint = "myregistry.azurecr.io".parse()?;
/// let pipeline = Pipeline::builder(endpoint).transport(transport).build()?;
/// let request = RequestBuilder::new(http::Method::GET, pipeline.endpoint(), &["v2", ""])
///     .operation(Operation::new("ping"))
///     .build()?;
/// assert_eq!(pipeline.send(request).await?.status(), 200);
/// # Ok::<_, acr_core::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Pipeline {
    endpoint: Endpoint,
    service: Transport,
    /// The same without the layers around calls.
    inside: Transport,
    request_id: RequestIdLayer,
    hasher: Hasher,
    options: Option<Arc<CallOptions>>,
}

/// Builds a [`Pipeline`].
///
/// ```
/// # use acr_core::{Endpoint, Error, Pipeline, Transport};
/// # use acr_core::http::{Body, Request, RequestBuilder};
/// # use tower::service_fn;
/// # fn get(pipeline: &Pipeline) -> Request {
/// #     RequestBuilder::new(http::Method::GET, pipeline.endpoint(), &["v2", ""]).build().unwrap()
/// # }
/// # let endpoint: Endpoint = "myregistry.azurecr.io".parse().unwrap();
///
/// use std::time::Duration;
/// use acr_core::layer::{RetryPolicy, Timeouts};
///
/// # let transport = Transport::new(service_fn(|_: Request| async {
/// #     Ok::<_, Error>(http::Response::new(Body::from("{}")))
/// # }));
/// let pipeline = Pipeline::builder(endpoint)
///     .transport(transport)
///     .application_id("my-service/1.0")
///     .retry(RetryPolicy::default().retries(5))
///     .timeouts(Timeouts::default().head(Duration::from_secs(10)))
///     .build()?;
/// assert_eq!(pipeline.endpoint().host(), "myregistry.azurecr.io");
/// # Ok::<_, Error>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct PipelineBuilder {
    endpoint: Endpoint,
    transport: Option<Transport>,
    retry: RetryPolicy,
    timeouts: Timeouts,
    application_id: Option<String>,
    request_id: RequestIdLayer,
    hashing: Hashing,
    redaction: Redaction,
    observers: Vec<Arc<dyn Observer>>,
    governor: Option<GovernorLayer>,
    per_call: Vec<ErasedLayer>,
    per_hop: Vec<ErasedLayer>,
}

type ErasedLayer = Arc<dyn Fn(Transport) -> Transport + Send + Sync>;

impl Pipeline {
    /// Starts with the defaults for a registry.
    ///
    /// ```
    /// # use acr_core::{Endpoint, Error, Pipeline, Transport};
    /// # use acr_core::http::{Body, Request, RequestBuilder};
    /// # use tower::service_fn;
    /// # fn get(pipeline: &Pipeline) -> Request {
    /// #     RequestBuilder::new(http::Method::GET, pipeline.endpoint(), &["v2", ""]).build().unwrap()
    /// # }
    /// # let endpoint: Endpoint = "myregistry.azurecr.io".parse().unwrap();
    /// # let transport = Transport::new(service_fn(|_: Request| async {
    /// #     Ok::<_, Error>(http::Response::new(Body::from("{}")))
    /// # }));
    /// let pipeline = Pipeline::builder(endpoint.clone()).transport(transport).build()?;
    /// assert_eq!(pipeline.endpoint(), &endpoint);
    /// # Ok::<_, Error>(())
    /// ```
    pub fn builder(endpoint: Endpoint) -> PipelineBuilder {
        PipelineBuilder {
            endpoint,
            transport: None,
            retry: RetryPolicy::default(),
            timeouts: Timeouts::default(),
            application_id: None,
            request_id: RequestIdLayer::new(),
            hashing: Hashing::default(),
            redaction: Redaction::new(),
            observers: Vec::new(),
            governor: None,
            per_call: Vec::new(),
            per_hop: Vec::new(),
        }
    }

    /// The registry this pipeline was built for.
    ///
    /// ```
    /// # use acr_core::{Endpoint, Error, Pipeline, Transport};
    /// # use acr_core::http::{Body, Request, RequestBuilder};
    /// # use tower::service_fn;
    /// # fn get(pipeline: &Pipeline) -> Request {
    /// #     RequestBuilder::new(http::Method::GET, pipeline.endpoint(), &["v2", ""]).build().unwrap()
    /// # }
    /// # let endpoint: Endpoint = "myregistry.azurecr.io".parse().unwrap();
    /// # let transport = Transport::new(service_fn(|_: Request| async {
    /// #     Ok::<_, Error>(http::Response::new(Body::from("{}")))
    /// # }));
    /// # let pipeline = Pipeline::builder(endpoint).transport(transport).build()?;
    /// assert_eq!(pipeline.endpoint().uri("/v2/")?, "https://myregistry.azurecr.io/v2/");
    /// # Ok::<_, Error>(())
    /// ```
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// What hashes for everybody who transfers content through this pipeline or a clone of it.
    /// For authors of clients.
    ///
    /// ```
    /// # use acr_core::{Endpoint, Error, Pipeline, Transport};
    /// # use acr_core::http::{Body, Request};
    /// # use tower::service_fn;
    /// # let endpoint: Endpoint = "myregistry.azurecr.io".parse().unwrap();
    /// # let transport = Transport::new(service_fn(|_: Request| async {
    /// #     Ok::<_, Error>(http::Response::new(Body::from("{}")))
    /// # }));
    /// # let pipeline = Pipeline::builder(endpoint).transport(transport).build()?;
    /// use acr_core::{Digest, Digester, hashing::Lane};
    ///
    /// let lane = Lane::new(pipeline.hasher(), Digester::default());
    /// lane.give("sample layer".into());
    /// assert_eq!(lane.settle_now().finish(), Digest::sha256(b"sample layer"));
    /// # Ok::<_, Error>(())
    /// ```
    pub fn hasher(&self) -> &Hasher {
        &self.hasher
    }

    /// The same pipeline with further options for the calls made through it: a cheap clone.
    /// What these do not set stays as it was set before; see [`CallOptions::or`].
    ///
    /// ```
    /// # use acr_core::{Endpoint, Error, Pipeline, Transport};
    /// # use acr_core::http::{Body, Request, RequestBuilder};
    /// # use tower::service_fn;
    /// # fn get(pipeline: &Pipeline) -> Request {
    /// #     RequestBuilder::new(http::Method::GET, pipeline.endpoint(), &["v2", ""]).build().unwrap()
    /// # }
    /// # let endpoint: Endpoint = "myregistry.azurecr.io".parse().unwrap();
    /// use acr_core::CallOptions;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
    /// // Answers with the header of this name that it was sent.
    /// let transport = Transport::new(service_fn(|request: Request| async move {
    ///     let sent = request.headers().get("x-team").cloned();
    ///     let sent = sent.map(|value| value.as_bytes().to_vec()).unwrap_or_default();
    ///     Ok::<_, Error>(http::Response::new(Body::from(sent)))
    /// }));
    /// let pipeline = Pipeline::builder(endpoint).transport(transport).build()?;
    /// let ours = CallOptions::new().header("x-team".parse().unwrap(), "builds".parse().unwrap())?;
    /// let answer = pipeline.with(ours).send(get(&pipeline)).await?;
    /// assert_eq!(answer.into_body().bytes(100).await?, "builds");
    /// // The pipeline itself stays as it was.
    /// let answer = pipeline.send(get(&pipeline)).await?;
    /// assert_eq!(answer.into_body().bytes(100).await?, "");
    /// # Ok::<_, acr_core::Error>(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn with(&self, options: CallOptions) -> Self {
        let options = match &self.options {
            Some(before) => options.or(before),
            None => options,
        };
        Self { options: Some(Arc::new(options)), ..self.clone() }
    }

    /// The same pipeline without the layers around whole calls
    /// ([`PipelineBuilder::layer_per_call`]); all others stand where they stood.
    ///
    /// For what is sent on behalf of a call from inside of it, as the look of a
    /// [`Recheck`](crate::layer::Recheck) is. The layers stand around that call already, and one of
    /// them may keep a place for it, as a limit does: a second request that needs a place
    /// there could wait for ever.
    ///
    /// ```
    /// # use acr_core::{Endpoint, Error, Pipeline, Transport};
    /// # use acr_core::http::{Body, Request, RequestBuilder};
    /// # use tower::service_fn;
    /// # fn get(pipeline: &Pipeline) -> Request {
    /// #     RequestBuilder::new(http::Method::GET, pipeline.endpoint(), &["v2", ""]).build().unwrap()
    /// # }
    /// # let endpoint: Endpoint = "myregistry.azurecr.io".parse().unwrap();
    /// use std::sync::Arc;
    /// use tokio::sync::Semaphore;
    /// use tower::limit::GlobalConcurrencyLimitLayer;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
    /// # let transport = Transport::new(service_fn(|_: Request| async {
    /// #     Ok::<_, Error>(http::Response::new(Body::from("{}")))
    /// # }));
    /// let places = Arc::new(Semaphore::new(1));
    /// let pipeline = Pipeline::builder(endpoint)
    ///     .transport(transport)
    ///     .layer_per_call(GlobalConcurrencyLimitLayer::with_semaphore(places.clone()))
    ///     .build()?;
    /// // Somebody has the only place.
    /// let place = places.acquire().await.unwrap();
    /// assert_eq!(pipeline.without_layers_per_call().send(get(&pipeline)).await?.status(), 200);
    /// # drop(place);
    /// # Ok::<_, acr_core::Error>(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn without_layers_per_call(&self) -> Self {
        Self { service: self.inside.clone(), ..self.clone() }
    }

    /// Sends a request and returns the answer, whatever its status.
    ///
    /// ```
    /// # use acr_core::{Endpoint, Error, Pipeline, Transport};
    /// # use acr_core::http::{Body, Request, RequestBuilder};
    /// # use tower::service_fn;
    /// # fn get(pipeline: &Pipeline) -> Request {
    /// #     RequestBuilder::new(http::Method::GET, pipeline.endpoint(), &["v2", ""]).build().unwrap()
    /// # }
    /// # let endpoint: Endpoint = "myregistry.azurecr.io".parse().unwrap();
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
    /// # let transport = Transport::new(service_fn(|_: Request| async {
    /// #     Ok::<_, Error>(http::Response::builder().status(404).body(Body::from("{}")).unwrap())
    /// # }));
    /// # let pipeline = Pipeline::builder(endpoint).transport(transport).build()?;
    /// let request = RequestBuilder::new(http::Method::GET, pipeline.endpoint(), &["v2", "none"]).build()?;
    /// assert_eq!(pipeline.send(request).await?.status(), 404, "an answer like any other");
    /// # Ok::<_, acr_core::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// When no answer came or a layer refused the request. A 404 is an answer; see
    /// [`crate::http::response::expect`].
    ///
    /// # Cancellation
    ///
    /// Dropping the future sends nothing more. Whether a write took effect is then
    /// unknown.
    pub async fn send(&self, mut request: Request) -> Result<Response> {
        let own = request.extensions().get::<CallOptions>().cloned();
        let options = match (own, self.options.as_deref()) {
            (Some(own), Some(client)) => Some(own.or(client)),
            (own, client) => own.or_else(|| client.cloned()),
        };
        if let Some(options) = options {
            options.apply_to(&mut request);
        }
        // Known out here, so that an error can name it.
        self.request_id.note(&mut request);
        let operation = request.extensions().get::<Operation>();
        let span = tracing::info_span!(
            "acr.operation",
            otel.kind = "internal",
            otel.name = operation.map(Operation::name),
            acr.operation = operation.map(Operation::name),
            acr.subject = operation.and_then(Operation::subject).map(|s| shown_subject(s).to_string()),
            server.address = %shown_host(self.endpoint.host()),
        );
        // On the heap: callers hold this future within theirs, and those within others.
        Box::pin(layer::send(self.service.clone(), request)).instrument(span).await
    }
}

impl PipelineBuilder {
    /// Replaces the transport. Without this call the one on hyper-util and rustls is
    /// used, which needs a feature that brings a cryptography provider.
    ///
    /// ```
    /// # use acr_core::{Endpoint, Error, Pipeline, Transport};
    /// # use acr_core::http::{Body, Request, RequestBuilder};
    /// # use tower::service_fn;
    /// # fn get(pipeline: &Pipeline) -> Request {
    /// #     RequestBuilder::new(http::Method::GET, pipeline.endpoint(), &["v2", ""]).build().unwrap()
    /// # }
    /// # let endpoint: Endpoint = "myregistry.azurecr.io".parse().unwrap();
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
    /// // Any HTTP client; here a function.
    /// let transport = Transport::new(service_fn(|request: Request| async move {
    ///     let host = request.uri().host().unwrap_or_default().to_owned();
    ///     Ok::<_, std::io::Error>(http::Response::new(Body::from(host)))
    /// }));
    /// let pipeline = Pipeline::builder(endpoint).transport(transport).build()?;
    /// let answer = pipeline.send(get(&pipeline)).await?;
    /// assert_eq!(answer.into_body().bytes(100).await?, "myregistry.azurecr.io");
    /// # Ok::<_, acr_core::Error>(()) }).unwrap();
    /// ```
    pub fn transport(mut self, transport: Transport) -> Self {
        self.transport = Some(transport);
        self
    }

    /// Sets how often and how long to retry.
    ///
    /// ```
    /// # use acr_core::{Endpoint, Error, Pipeline, Transport};
    /// # use acr_core::http::{Body, Request, RequestBuilder};
    /// # use tower::service_fn;
    /// # fn get(pipeline: &Pipeline) -> Request {
    /// #     RequestBuilder::new(http::Method::GET, pipeline.endpoint(), &["v2", ""]).build().unwrap()
    /// # }
    /// # let endpoint: Endpoint = "myregistry.azurecr.io".parse().unwrap();
    /// use acr_core::http::Attempt;
    /// use acr_core::layer::RetryPolicy;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
    /// let busy = Transport::new(service_fn(|_: Request| async {
    ///     Ok::<_, Error>(http::Response::builder().status(503).body(Body::empty()).unwrap())
    /// }));
    /// let policy = RetryPolicy::default().retries(1);
    /// let pipeline = Pipeline::builder(endpoint).transport(busy).retry(policy).build()?;
    /// let answer = pipeline.send(get(&pipeline)).await?;
    /// assert_eq!(answer.extensions().get::<Attempt>(), Some(&Attempt::new(2)));
    /// # Ok::<_, acr_core::Error>(()) }).unwrap();
    /// ```
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// Sets the time-outs of an exchange.
    ///
    /// ```
    /// # use acr_core::{Endpoint, Error, Pipeline, Transport};
    /// # use acr_core::http::{Body, Request, RequestBuilder};
    /// # use tower::service_fn;
    /// # fn get(pipeline: &Pipeline) -> Request {
    /// #     RequestBuilder::new(http::Method::GET, pipeline.endpoint(), &["v2", ""]).build().unwrap()
    /// # }
    /// # let endpoint: Endpoint = "myregistry.azurecr.io".parse().unwrap();
    /// use std::time::Duration;
    /// use acr_core::{ErrorKind, layer::{RetryPolicy, Timeouts}};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
    /// let silent = Transport::new(service_fn(|_: Request| {
    ///     std::future::pending::<Result<http::Response<Body>, Error>>()
    /// }));
    /// let pipeline = Pipeline::builder(endpoint)
    ///     .transport(silent)
    ///     .timeouts(Timeouts::default().head(Duration::from_secs(5)))
    ///     .retry(RetryPolicy::default().retries(0))
    ///     .build()?;
    /// let error = pipeline.send(get(&pipeline)).await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Timeout);
    /// # Ok::<_, acr_core::Error>(()) }).unwrap();
    /// ```
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Puts the application's name in front of the user agent.
    ///
    /// ```
    /// # use acr_core::{Endpoint, Error, Pipeline, Transport};
    /// # use acr_core::http::{Body, Request, RequestBuilder};
    /// # use tower::service_fn;
    /// # fn get(pipeline: &Pipeline) -> Request {
    /// #     RequestBuilder::new(http::Method::GET, pipeline.endpoint(), &["v2", ""]).build().unwrap()
    /// # }
    /// # let endpoint: Endpoint = "myregistry.azurecr.io".parse().unwrap();
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
    /// // Answers with the header of this name that it was sent.
    /// let transport = Transport::new(service_fn(|request: Request| async move {
    ///     let sent = request.headers().get("user-agent").cloned();
    ///     let sent = sent.map(|value| value.as_bytes().to_vec()).unwrap_or_default();
    ///     Ok::<_, Error>(http::Response::new(Body::from(sent)))
    /// }));
    /// let pipeline =
    ///     Pipeline::builder(endpoint).transport(transport).application_id("my-service/1.0").build()?;
    /// let sent = pipeline.send(get(&pipeline)).await?.into_body().bytes(300).await?;
    /// assert!(sent.starts_with(b"my-service/1.0 acr-rust/"));
    /// # Ok::<_, acr_core::Error>(()) }).unwrap();
    /// ```
    pub fn application_id(mut self, id: impl Into<String>) -> Self {
        self.application_id = Some(id.into());
        self
    }

    /// Sends the id of a call in another header than `x-ms-client-request-id`, which
    /// registries of Azure log: `x-request-id`, or whatever others look at.
    ///
    /// ```
    /// # use acr_core::{Endpoint, Error, Pipeline, Transport};
    /// # use acr_core::http::{Body, Request, RequestBuilder};
    /// # use tower::service_fn;
    /// # fn get(pipeline: &Pipeline) -> Request {
    /// #     RequestBuilder::new(http::Method::GET, pipeline.endpoint(), &["v2", ""]).build().unwrap()
    /// # }
    /// # let endpoint: Endpoint = "myregistry.azurecr.io".parse().unwrap();
    /// use http::HeaderName;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
    /// // Answers with the header of this name that it was sent.
    /// let transport = Transport::new(service_fn(|request: Request| async move {
    ///     let sent = request.headers().get("x-request-id").cloned();
    ///     let sent = sent.map(|value| value.as_bytes().to_vec()).unwrap_or_default();
    ///     Ok::<_, Error>(http::Response::new(Body::from(sent)))
    /// }));
    /// let pipeline = Pipeline::builder(endpoint)
    ///     .transport(transport)
    ///     .request_id_header(HeaderName::from_static("x-request-id"))
    ///     .build()?;
    /// let sent = pipeline.send(get(&pipeline)).await?.into_body().bytes(100).await?;
    /// assert_eq!(sent.len(), 36);
    /// # Ok::<_, acr_core::Error>(()) }).unwrap();
    /// ```
    pub fn request_id_header(mut self, name: HeaderName) -> Self {
        self.request_id = self.request_id.header(name);
        self
    }

    /// Sets where content that is downloaded is hashed. By default a thread does it beside the task
    /// that reads, where that is worth it; it is made when it is first needed, and ended by the last
    /// clone of the pipeline. Uploads hash long content on tokio's blocking threads, whatever is set.
    ///
    /// ```
    /// # use acr_core::{Endpoint, Error, Pipeline, Transport};
    /// # use acr_core::http::{Body, Request};
    /// # use tower::service_fn;
    /// # let endpoint: Endpoint = "myregistry.azurecr.io".parse().unwrap();
    /// # let transport = Transport::new(service_fn(|_: Request| async {
    /// #     Ok::<_, Error>(http::Response::new(Body::from("{}")))
    /// # }));
    /// use acr_core::hashing::Hashing;
    ///
    /// // A program that may have no further threads.
    /// let pipeline =
    ///     Pipeline::builder(endpoint).transport(transport).hashing(Hashing::Here).build()?;
    /// # let _ = pipeline;
    /// # Ok::<_, Error>(())
    /// ```
    pub fn hashing(mut self, hashing: Hashing) -> Self {
        self.hashing = hashing;
        self
    }

    /// Sets which further names logs and spans may show the values of.
    ///
    /// ```
    /// # use acr_core::{Endpoint, Error, Pipeline, Transport};
    /// # use acr_core::http::{Body, Request, RequestBuilder};
    /// # use tower::service_fn;
    /// # fn get(pipeline: &Pipeline) -> Request {
    /// #     RequestBuilder::new(http::Method::GET, pipeline.endpoint(), &["v2", ""]).build().unwrap()
    /// # }
    /// # let endpoint: Endpoint = "myregistry.azurecr.io".parse().unwrap();
    /// use acr_core::http::Redaction;
    ///
    /// # let transport = Transport::new(service_fn(|_: Request| async {
    /// #     Ok::<_, Error>(http::Response::new(Body::from("{}")))
    /// # }));
    /// let redaction = Redaction::new().show_query("page");
    /// assert_eq!(redaction.url(&"https://r.example/?page=2&other=3".parse().unwrap()),
    ///     "https://r.example/?page=2&other=REDACTED");
    /// let pipeline = Pipeline::builder(endpoint).transport(transport).redaction(redaction).build()?;
    /// # let _ = pipeline;
    /// # Ok::<_, Error>(())
    /// ```
    pub fn redaction(mut self, redaction: Redaction) -> Self {
        self.redaction = redaction;
        self
    }

    /// Adds an observer: it is told of all calls of the pipeline and its clones, their attempts,
    /// waits, token calls and bytes, and, by our own transport, connections. Calls begin
    /// outside of all layers, exchanges are told inside of sign-in. A second observer is told
    /// too, after the first. Without one, nothing is counted.
    ///
    /// ```
    /// use acr_core::http::{Body, Operation, Request, RequestBuilder};
    /// use acr_core::layer::{CallEnded, Observed, Observer};
    /// use acr_core::{Endpoint, Pipeline, Transport};
    /// use std::sync::{Arc, Mutex};
    ///
    /// #[derive(Default)]
    /// struct Calls(Mutex<Vec<String>>);
    ///
    /// impl Observer for Calls {
    ///     fn call_ended(&self, of: &Observed, call: &CallEnded) {
    ///         let operation = of.operation.unwrap_or("other");
    ///         self.0.lock().unwrap().push(format!("{operation} {}", call.ending.as_str()));
    ///     }
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// # let transport = Transport::new(tower::service_fn(|_: Request| async {
    /// #     Ok::<_, acr_core::Error>(http::Response::new(Body::from("{}")))
    /// # }));
    /// let calls = Arc::new(Calls::default());
    /// let endpoint: Endpoint = "myregistry.azurecr.io".parse()?;
    /// let pipeline =
    ///     Pipeline::builder(endpoint).transport(transport).observer(calls.clone()).build()?;
    /// let request = RequestBuilder::new(http::Method::GET, pipeline.endpoint(), &["v2", ""])
    ///     .operation(Operation::new("ping"))
    ///     .build()?;
    /// pipeline.send(request).await?;
    /// assert_eq!(*calls.0.lock().unwrap(), ["ping 2xx"]);
    /// # Ok::<_, acr_core::Error>(()) }).unwrap();
    /// ```
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observers.push(observer);
        self
    }

    /// Lets a governor hold back calls with [`CallOptions::governed`], so that they are not refused;
    /// all others go past it. Give clones of one governor to all pipelines of a program that ask the same
    /// registry.
    ///
    /// ```
    /// use acr_core::{Endpoint, Pipeline, layer::Governor};
    ///
    /// # let transport = acr_core::Transport::new(tower::service_fn(|_: acr_core::http::Request| async {
    /// #     Ok::<_, acr_core::Error>(http::Response::new(acr_core::http::Body::empty()))
    /// # }));
    /// let endpoint: Endpoint = "myregistry.azurecr.io".parse()?;
    /// let governor = Governor::new();
    /// let pipeline = Pipeline::builder(endpoint).transport(transport).governor(&governor).build()?;
    /// assert!(governor.snapshot().is_empty(), "nothing was asked yet");
    /// # let _ = pipeline;
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    pub fn governor(mut self, governor: &Governor) -> Self {
        self.governor = Some(GovernorLayer::new(governor));
        self
    }

    /// Adds a layer around the whole call, outside of all others: a cache, a
    /// concurrency limit, a log of calls. The layer added last stands outermost.
    ///
    /// What changes requests, or must see each of them, belongs to [`PipelineBuilder::layer_per_hop`]: a
    /// header that a gateway asks for, an audit log. What a call sends from inside of its retry loop
    /// (`layer::Recheck`: the second look of `if_absent` and `if_tag_is`) goes around the layers added here.
    ///
    /// Any layer fits whose service answers with an `http::Response<B>`, whatever bytes `B`
    /// carries and whatever its errors are ([`Error::from`] says what becomes of them): those of
    /// tower and tower-http, and several of them as one `ServiceBuilder`. `docs/embed.md` of the
    /// repository has a table. A layer that changes the type of the request body, as a limit of
    /// its length does, makes of it one that can be sent only once, unless it is empty.
    ///
    /// ```
    /// use acr_core::{Endpoint, Pipeline, Transport};
    /// use std::time::Duration;
    /// use tower::{ServiceBuilder, limit::ConcurrencyLimitLayer};
    ///
    /// # let transport = Transport::new(tower::service_fn(|_: acr_core::http::Request| async {
    /// #     Ok::<_, acr_core::Error>(http::Response::new(acr_core::http::Body::empty()))
    /// # }));
    /// let endpoint: Endpoint = "myregistry.azurecr.io".parse()?;
    /// let pipeline = Pipeline::builder(endpoint)
    ///     .transport(transport)
    ///     .layer_per_hop(ConcurrencyLimitLayer::new(32))
    ///     .layer_per_call(ServiceBuilder::new().timeout(Duration::from_secs(60)))
    ///     .build()?;
    /// # let _ = pipeline;
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    pub fn layer_per_call<L>(mut self, layer: L) -> Self
    where
        L: Layer<Transport, Service: HttpService> + Send + Sync + 'static,
    {
        self.per_call.push(erased(layer));
        self
    }

    /// Adds a layer around every hop of every attempt: this is where authentication stands.
    /// The layer added last stands outermost. What fits is what fits around a call.
    ///
    /// ```
    /// # use acr_core::{Endpoint, Error, Pipeline, Transport};
    /// # use acr_core::http::{Body, Request, RequestBuilder};
    /// # use tower::service_fn;
    /// # fn get(pipeline: &Pipeline) -> Request {
    /// #     RequestBuilder::new(http::Method::GET, pipeline.endpoint(), &["v2", ""]).build().unwrap()
    /// # }
    /// # let endpoint: Endpoint = "myregistry.azurecr.io".parse().unwrap();
    /// use tower::util::MapRequestLayer;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
    /// // Answers with the header of this name that it was sent.
    /// let transport = Transport::new(service_fn(|request: Request| async move {
    ///     let sent = request.headers().get("x-zone").cloned();
    ///     let sent = sent.map(|value| value.as_bytes().to_vec()).unwrap_or_default();
    ///     Ok::<_, Error>(http::Response::new(Body::from(sent)))
    /// }));
    /// let zone = MapRequestLayer::new(|mut request: Request| {
    ///     request.headers_mut().insert("x-zone", "2".parse().unwrap());
    ///     request
    /// });
    /// let pipeline = Pipeline::builder(endpoint).transport(transport).layer_per_hop(zone).build()?;
    /// let answer = pipeline.send(get(&pipeline)).await?;
    /// assert_eq!(answer.into_body().bytes(100).await?, "2");
    /// # Ok::<_, acr_core::Error>(()) }).unwrap();
    /// ```
    pub fn layer_per_hop<L>(mut self, layer: L) -> Self
    where
        L: Layer<Transport, Service: HttpService> + Send + Sync + 'static,
    {
        self.per_hop.push(erased(layer));
        self
    }

    /// Builds the stack.
    ///
    /// ```
    /// # use acr_core::{Endpoint, Error, Pipeline, Transport};
    /// # use acr_core::http::{Body, Request, RequestBuilder};
    /// # use tower::service_fn;
    /// # fn get(pipeline: &Pipeline) -> Request {
    /// #     RequestBuilder::new(http::Method::GET, pipeline.endpoint(), &["v2", ""]).build().unwrap()
    /// # }
    /// # let endpoint: Endpoint = "myregistry.azurecr.io".parse().unwrap();
    /// use acr_core::ErrorKind;
    ///
    /// # let transport = Transport::new(service_fn(|_: Request| async {
    /// #     Ok::<_, Error>(http::Response::new(Body::from("{}")))
    /// # }));
    /// let builder = Pipeline::builder(endpoint).transport(transport);
    /// let error = builder.clone().application_id("line\nbreak").build().unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::InvalidInput);
    /// assert!(builder.build().is_ok());
    /// ```
    ///
    /// # Errors
    ///
    /// [`crate::ErrorKind::InvalidInput`] for an unusable application id, or when there is no
    /// transport.
    pub fn build(self) -> Result<Pipeline> {
        let transport = match self.transport {
            Some(transport) => transport,
            None => default_transport()?,
        };
        let user_agent = UserAgentLayer::new(self.application_id.as_deref())?;

        let observer = combined(self.observers);

        let exchange = TimeoutLayer::new(self.timeouts).layer(transport);
        let exchange = match &observer {
            Some(observer) => {
                let observe = ObserveExchangeLayer::new(Arc::clone(observer));
                logged(observe.layer(exchange), &self.redaction, &user_agent)
            }
            None => logged(exchange, &self.redaction, &user_agent),
        };
        let hop = self.per_hop.iter().fold(exchange, |inner, layer| layer(inner));
        let inside = match &self.governor {
            Some(governor) => repeated(governor.layer(hop), self.retry, &self.request_id),
            None => repeated(hop, self.retry, &self.request_id),
        };
        let service = self.per_call.iter().fold(inside.clone(), |inner, layer| layer(inner));
        let [service, inside] = [service, inside].map(|service| match &observer {
            Some(observer) => {
                Transport::new(ObserveCallLayer::new(Arc::clone(observer)).layer(service))
            }
            None => service,
        });

        Ok(Pipeline {
            endpoint: self.endpoint,
            service,
            inside,
            request_id: self.request_id,
            hasher: Hasher::new(self.hashing),
            options: None,
        })
    }
}

/// User agent, trace and log around an exchange.
fn logged<S: HttpService>(
    exchange: S,
    redaction: &Redaction,
    user_agent: &UserAgentLayer,
) -> Transport {
    let exchange = LogLayer::new(redaction.clone()).layer(exchange);
    let exchange = TraceLayer::new(redaction.clone()).layer(exchange);
    Transport::new(user_agent.layer(exchange))
}

/// Request id, retry and redirect around a hop.
fn repeated<S: HttpService>(hop: S, retry: RetryPolicy, request_id: &RequestIdLayer) -> Transport {
    let call = RetryLayer::new(retry).layer(RedirectLayer::new().layer(hop));
    Transport::new(request_id.layer(call))
}

fn combined(mut observers: Vec<Arc<dyn Observer>>) -> Option<Arc<dyn Observer>> {
    if observers.len() > 1 {
        return Some(Arc::new(observers));
    }
    observers.pop()
}

fn erased<L>(layer: L) -> ErasedLayer
where
    L: Layer<Transport, Service: HttpService> + Send + Sync + 'static,
{
    Arc::new(move |inner| Transport::new(layer.layer(inner)))
}

impl Service<Request> for Pipeline {
    type Response = Response;
    type Error = Error;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        // Readiness is awaited inside of `send`, on the instance that is called.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let pipeline = self.clone();
        Box::pin(async move { pipeline.send(request).await })
    }
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl fmt::Debug for PipelineBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipelineBuilder")
            .field("endpoint", &self.endpoint)
            .field("retry", &self.retry)
            .field("timeouts", &self.timeouts)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "_transport")]
fn default_transport() -> Result<Transport> {
    Transport::rustls()
}

#[cfg(not(feature = "_transport"))]
fn default_transport() -> Result<Transport> {
    let text = "no transport: give one, or enable the feature `aws-lc-rs` or `ring` of acr-core";
    Err(Error::new(crate::http::error::ErrorKind::InvalidInput, text))
}
