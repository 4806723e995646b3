//! The tower layers. Order, outside to inside, and why (docs/architecture.md has the whole argument):
//!
//! | layer | stands outside of | because |
//! |---|---|---|
//! | [`ObserveCallLayer`], if there is an observer | all others | it tells what the program waits for |
//! | [`RequestIdLayer`] | retry | all attempts of a call share one id |
//! | [`RetryLayer`] | redirect, governor, auth, timeout | each attempt gets a fresh signed link, a live token and its own deadline |
//! | [`RedirectLayer`] | governor, auth | every hop is judged, and governed, by its own origin, and a hop is built before a credential exists |
//! | [`GovernorLayer`], if there is a governor | auth | token calls go around it: no call waits for a place that its own token needs |
//! | authentication | user agent, trace, log, timeout | token calls reuse all of these, and the one retry loop outside |
//! | [`UserAgentLayer`], [`TraceLayer`], [`LogLayer`], [`ObserveExchangeLayer`] | timeout | they see exactly what goes on the wire |
//! | [`TimeoutLayer`] | the transport | it measures one exchange, neither waiting nor token calls |
//!
//! Wrong orders and what they cost: authentication outside retry sends a dead
//! token after a long `Retry-After`; redirect outside retry repeats an expired
//! signed link; redirect inside authentication carries the token to the storage;
//! a request id inside retry gives every attempt another name, inside redirect it names
//! the caller to the storage; log and trace outside authentication leave out token calls
//! and repetitions; a time-out outside retry ends the waits of the retry, and outside
//! authentication it makes a token call part of the answer's time.
//!
//! All but redirect and authentication wrap any client or server of [`http::Request`] and
//! [`http::Response`], whatever its bodies and errors are. A layer that never fails by itself
//! keeps the inner service's error; [`RetryLayer`], [`GovernorLayer`] and [`TimeoutLayer`] give a
//! [`BoxError`], which is that error or an [`Error`] of ours. Redirect and authentication send requests of
//! their own making, so theirs have a [`Body`]; what is inside of them may
//! answer with any body and any error ([`HttpService`]). `docs/embed.md` of the repository
//! says which layer fits where.
//!
//! ```
//! use acr_core::{http::BoxError, layer::{RequestIdLayer, RetryLayer, RetryPolicy, TimeoutLayer, Timeouts}};
//! use bytes::Bytes;
//! use http_body_util::Full;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
//! // Any service over `http::Request<_>`: hyper-util's client, reqwest, one of your own.
//! let client = service_fn(|_: http::Request<_>| async {
//!     Ok::<_, std::io::Error>(http::Response::new(Full::new(Bytes::from("hello"))))
//! });
//! let stack = ServiceBuilder::new()
//!     .layer(RequestIdLayer::new())
//!     .layer(RetryLayer::new(RetryPolicy::default()))
//!     .layer(TimeoutLayer::new(Timeouts::default()))
//!     .service(client);
//! let request = http::Request::get("https://service.example/").body(Full::new(Bytes::new()))?;
//! assert_eq!(stack.oneshot(request).await?.status(), 200);
//! # Ok::<_, BoxError>(()) }).unwrap();
//! ```

mod backoff;
mod budget;
pub(crate) mod call_options;
mod deadline;
mod drain;
mod governor;
mod hop;
mod log;
mod observe;
mod pieces;
mod redirect;
mod request_id;
mod retry;
mod timeout;
mod trace;
mod user_agent;

use std::{
    future::{Future, poll_fn},
    pin::Pin,
};

use bytes::Bytes;
use tower_service::Service;

#[cfg(feature = "_transport")]
pub(crate) use self::hop::ForeignHop;
pub(crate) use self::hop::Unidentified;
#[cfg(feature = "_transport")]
pub(crate) use self::observe::Marks;
pub use self::{
    deadline::DeadlineBody,
    drain::drain,
    governor::{Governed, GovernedFuture, Governor, GovernorLayer, LaneState},
    log::{Log, LogFuture, LogLayer},
    observe::{
        AttemptEnded, BodyEnd, CallEnded, CallStarted, Connected, Connection, CountedBody,
        Direction, Ending, ObserveCall, ObserveCallFuture, ObserveCallLayer, ObserveExchange,
        ObserveExchangeFuture, ObserveExchangeLayer, Observed, Observer, Target, Throttled,
        TokenCallEnded, Transferred, Waited,
    },
    redirect::{Redirect, RedirectLayer, is_redirect_hop},
    request_id::{CLIENT_REQUEST_ID, RequestId, RequestIdLayer, RequestIdService},
    retry::{CloneBody, CopyBody, Recheck, Retry, RetryFuture, RetryLayer, RetryPolicy},
    timeout::{Timeout, TimeoutBody, TimeoutFuture, TimeoutLayer, Timeouts, WatchedBody},
    trace::{Trace, TraceFuture, TraceLayer},
    user_agent::{UserAgent, UserAgentLayer},
};
pub(crate) use self::{observe::Meter, pieces::Pieces, timeout::Progress};
use crate::http::{
    body::Body,
    error::{BoxError, Error, Result},
    operation::Operation,
    request::Request,
    response::{Context, Response},
};

/// A service of somebody's that can stand in a [`Pipeline`](crate::Pipeline), or inside of
/// redirect and authentication: it takes our requests and answers with any body of bytes and
/// any error. Implemented for all that fit; nothing to do by hand.
///
/// What it must be is cheap to clone, and `Send + Sync`. tower's rate limit cannot be cloned: put
/// tower's `BufferLayer` around it. tower's `BoxCloneService` is not `Sync`, since it forgets
/// whether what it erased was: `BoxCloneSyncService` remembers. (The stack is cloned when it is
/// called, by whoever calls; without `Sync` that would need a lock in the way of each request.)
///
/// ```
/// use acr_core::http::{Body, Request, Response};
/// use acr_core::{Endpoint, Error, Pipeline, Transport};
/// use tower::{layer::layer_fn, service_fn, util::BoxCloneSyncService};
///
/// # let transport = Transport::new(service_fn(|_: Request| async {
/// #     Ok::<_, Error>(http::Response::new(Body::empty()))
/// # }));
/// let erased = layer_fn(BoxCloneSyncService::<Request, Response, Error>::new);
/// let endpoint: Endpoint = "myregistry.azurecr.io".parse()?;
/// let pipeline =
///     Pipeline::builder(endpoint).transport(transport).layer_per_hop(erased).build()?;
/// # let _ = pipeline;
/// # Ok::<(), Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot stand in a pipeline",
    note = "it must take `acr_core::http::Request`, answer with an `http::Response` of bytes, and be `Clone + Send + Sync + 'static`",
    note = "tower's `RateLimit` goes in behind tower's `BufferLayer`; instead of `BoxCloneService` take `BoxCloneSyncService`"
)]
pub trait HttpService:
    Service<
        Request,
        Response = http::Response<<Self as HttpService>::Body>,
        Error: Into<BoxError>,
        Future: Send,
    > + Clone
    + Send
    + Sync
    + 'static
{
    /// The body of its answers.
    type Body: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static;
}

impl<S, B> HttpService for S
where
    S: Service<Request, Response = http::Response<B>, Error: Into<BoxError>, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static,
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Body = B;
}

/// The future of the layers that send requests of their own.
pub type ResponseFuture = Pin<Box<dyn Future<Output = Result<Response>> + Send>>;

/// Waits until a service is ready and calls it in the same moment.
///
/// Readiness is a reservation: of a concurrency limit's permit, of a buffer's place. A layer
/// that holds one while it awaits something else (a token, the end of a wait, another call
/// through the same limit) can wait for what only itself keeps. So a layer that awaits, or
/// calls more than once, answers `poll_ready` at once, moves a clone of its inner service
/// into its future, and makes every call with this function. A layer that calls once, and at
/// once, passes `poll_ready` on.
///
/// ```
/// use acr_core::{Error, http::{Body, Request}, layer::call};
/// use tower::{limit::ConcurrencyLimit, service_fn};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// let inner = service_fn(|_: Request| async { Ok::<_, std::io::Error>(http::Response::new(Body::from("x"))) });
/// let mut limited = ConcurrencyLimit::new(inner, 1);
/// assert_eq!(call(&mut limited, Request::default()).await?.status(), 200);
/// # Ok::<_, Error>(()) }).unwrap();
/// ```
///
/// # Errors
///
/// Those of the service; what is none of ours becomes one ([`Error::from`]).
///
/// # Cancellation
///
/// Dropping the future drops the reservation or the exchange.
pub async fn call<S: HttpService>(service: &mut S, request: Request) -> Result<Response> {
    let answer = ready_call(service, request).await.map_err(|error| Error::from(error.into()))?;
    Ok(answer.map(Body::new))
}

/// The same for any service, whose answers and errors stay what they are.
pub(crate) async fn ready_call<S: Service<Q>, Q>(
    service: &mut S,
    request: Q,
) -> Result<S::Response, S::Error> {
    poll_fn(|cx| service.poll_ready(cx)).await?;
    service.call(request).await
}

/// Sends one request through a service and notes on the result what it was for.
///
/// Errors made later from the response (by [`crate::http::response::expect`]) then name
/// the operation, the URL and the request id.
///
/// ```
/// use acr_core::{Error, Transport, http::{Body, Operation, Request, response}, layer::send};
/// use http::StatusCode;
/// # use tower::service_fn;
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// let transport = Transport::new(service_fn(|_: Request| async {
///     Ok::<_, Error>(http::Response::builder().status(404).body(Body::empty()).unwrap())
/// }));
/// let mut request = Request::default();
/// request.extensions_mut().insert(Operation::new("get_thing").on("a"));
/// let answer = send(transport, request).await?;
/// let error = response::expect(answer, &[StatusCode::OK]).await.unwrap_err();
/// assert_eq!(error.operation(), Some("get_thing"));
/// # Ok::<_, Error>(()) }).unwrap();
/// ```
///
/// # Errors
///
/// Those of the service.
///
/// # Cancellation
///
/// As the service: dropping the future drops the exchange.
pub async fn send<S: HttpService>(mut service: S, request: Request) -> Result<Response> {
    let context = Context {
        operation: request.extensions().get::<Operation>().cloned(),
        uri: request.uri().clone(),
        request_id: request.extensions().get::<RequestId>().cloned(),
    };
    match call(&mut service, request).await {
        Ok(mut response) => {
            response.extensions_mut().insert(context);
            Ok(response)
        }
        Err(error) => Err(error
            .with_operation(context.operation.as_ref())
            .with_url(&context.uri)
            .with_request_id(context.request_id.as_ref().map(RequestId::as_str))),
    }
}
