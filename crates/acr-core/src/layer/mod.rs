//! The tower layers, each usable in any stack over [`Request`], [`Response`] and [`Error`].
//!
//! Order, outside to inside, and why (docs/architecture.md has the whole argument):
//!
//! | layer | stands outside of | because |
//! |---|---|---|
//! | [`RequestIdLayer`] | retry | all attempts of a call share one id |
//! | [`RetryLayer`] | redirect, auth, timeout | each attempt gets a fresh signed link, a live token and its own deadline |
//! | [`RedirectLayer`] | auth | every hop is judged by its own origin, and a hop is built before a credential exists |
//! | authentication | user agent, trace, log, timeout | token calls reuse all of these, and the one retry loop outside |
//! | [`UserAgentLayer`], [`TraceLayer`], [`LogLayer`] | timeout | they see exactly what goes on the wire |
//! | [`TimeoutLayer`] | the transport | it measures one exchange, neither waiting nor token calls |
//!
//! Wrong orders and what they cost: authentication outside retry sends a dead
//! token after a long `Retry-After`; redirect outside retry repeats an expired
//! signed link; redirect inside authentication carries the token to the storage;
//! a request id inside retry gives every attempt another name, inside redirect it names
//! the caller to the storage; log and trace outside authentication leave out token calls
//! and repetitions; a time-out outside retry ends the waits of the retry, and outside
//! authentication it makes a token call part of the answer's time.

mod backoff;
mod budget;
mod deadline;
mod drain;
mod log;
mod redirect;
mod request_id;
mod retry;
mod timeout;
mod trace;
mod user_agent;

use std::{
    any::Any,
    future::{Future, pending, poll_fn},
    pin::Pin,
};

use tower_service::Service;

#[cfg(feature = "rustls")]
pub(crate) use self::redirect::ForeignHop;
pub use self::{
    drain::drain,
    log::{Log, LogLayer},
    redirect::{Redirect, RedirectLayer, is_redirect_hop},
    request_id::{RequestId, RequestIdLayer, RequestIdService},
    retry::{Retry, RetryLayer, RetryPolicy},
    timeout::{Timeout, TimeoutLayer, Timeouts},
    trace::{Trace, TraceLayer},
    user_agent::{UserAgent, UserAgentLayer},
};
use crate::{
    error::{Error, Result},
    operation::Operation,
    request::Request,
    response::{Context, Response},
};

/// A service every layer here can wrap. Implemented for all that fit; nothing to do by hand.
pub trait HttpService:
    Service<Request, Response = Response, Error = Error, Future: Send> + Clone + Send + Sync + 'static
{
}

impl<S> HttpService for S where
    S: Service<Request, Response = Response, Error = Error, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static
{
}

/// The future of the layers that await.
pub type ResponseFuture = Pin<Box<dyn Future<Output = Result<Response>> + Send>>;

/// Boxes a future that is not a [`ResponseFuture`] already.
pub(crate) fn boxed<F>(future: F) -> ResponseFuture
where
    F: Future<Output = Result<Response>> + Send + 'static,
{
    let mut future = Some(future);
    let boxed = match (&mut future as &mut dyn Any).downcast_mut::<Option<ResponseFuture>>() {
        Some(boxed) => boxed.take(),
        None => future.map(|future| Box::pin(future) as ResponseFuture),
    };
    boxed.unwrap_or_else(|| Box::pin(pending()))
}

/// Waits until a service is ready and calls it in the same moment.
///
/// Readiness is a reservation: of a concurrency limit's permit, of a buffer's place. A layer
/// that holds one while it awaits something else (a token, the end of a wait, another call
/// through the same limit) can wait for what only itself keeps. So a layer that awaits, or
/// calls more than once, answers `poll_ready` at once, moves a clone of its inner service
/// into its future, and makes every call with this function. A layer that calls once, and at
/// once, passes `poll_ready` on.
///
/// # Errors
///
/// Those of the service.
///
/// # Cancellation
///
/// Dropping the future drops the reservation or the exchange.
pub async fn call<S: HttpService>(service: &mut S, request: Request) -> Result<Response> {
    poll_fn(|cx| service.poll_ready(cx)).await?;
    service.call(request).await
}

/// Sends one request through a service and notes on the result what it was for.
///
/// Errors made later from the response (by [`crate::response::expect`]) then name
/// the operation, the URL and the request id.
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
