//! The pool, the one replay after a stale connection, and what an error means.

use std::time::Duration;

use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{self, Builder, Client, connect::Connect},
    rt::{TokioExecutor, TokioTimer},
};
use tracing::debug;

use crate::{
    http::{
        body::Body,
        error::{Error, ErrorKind, Result},
        operation::Effect,
        request::Request,
    },
    layer::{Marks, call_options::CallOptions},
    transport::{
        connect_error::{ConnectError, TlsFailure},
        connector::Connector,
        peer::Peer,
        stream::Usage,
        watch::Watch,
    },
};

/// The connections of one kind of host.
#[derive(Clone)]
pub(crate) struct Connections<C = Connector> {
    pooled: Client<C, Body>,
    /// Every request gets a new connection.
    fresh: Client<C, Body>,
}

impl<C: Connect + Clone + Send + Sync + 'static> Connections<C> {
    pub(crate) fn new(connector: C, idle_timeout: Duration, max_idle: usize) -> Self {
        let mut builder = Client::builder(TokioExecutor::new());
        builder
            // Without a pool timer hyper-util ignores the idle time-out.
            .pool_timer(TokioTimer::new())
            // The pool adds it to the clock.
            .pool_idle_timeout(idle_timeout.min(MAX_POOL_IDLE_TIMEOUT))
            .pool_max_idle_per_host(max_idle)
            // The one retry loop is the retry layer's, and the one replay is below.
            .retry_canceled_requests(false);
        http2(&mut builder);
        let pooled = builder.build(connector.clone());
        let fresh = builder.pool_max_idle_per_host(0).build(connector);
        Self { pooled, fresh }
    }

    pub(crate) async fn exchange(&self, mut request: Request) -> Result<http::Response<Incoming>> {
        let again = copy(&request);
        let peer = Peer::of(request.uri());
        let limit = request.extensions().get().and_then(CallOptions::connect_limit);
        let marks = request.extensions().get::<Marks>().cloned();
        let watch = Watch::new(&mut request, marks.as_ref(), limit);
        let answer = watch.exchange(&peer, self.pooled.request(request)).await;
        let error = match answer? {
            Ok(mut response) => {
                if let Some(usage) = response.extensions_mut().remove::<Usage>() {
                    usage.note_answer();
                }
                return bounded(response);
            }
            Err(error) => error,
        };
        match again {
            Some(mut request) if was_stale(&error) => {
                debug!("the server had closed the idle connection; sending again on a fresh one");
                let may_be_taken = !was_never_written(&error);
                let watch = Watch::new(&mut request, marks.as_ref(), limit);
                let answer = watch.exchange(&peer, self.fresh.request(request)).await;
                let answer = answer.and_then(|answer| answer.map_err(|e| classify(e, &peer)));
                let answer = match answer {
                    Err(error) if may_be_taken => Err(error.after_sending()),
                    other => other,
                };
                answer.and_then(bounded)
            }
            _ => Err(classify(error, &peer)),
        }
    }
}

/// Refuses an answer whose headers alone would fill memory: kept answers add up.
fn bounded(response: http::Response<Incoming>) -> Result<http::Response<Incoming>> {
    let headers = response.headers().iter();
    let bytes: usize = headers.map(|(name, value)| name.as_str().len() + value.len()).sum();
    if bytes <= MAX_HEADERS {
        return Ok(response);
    }
    let text = format!("the answer's headers have {bytes} bytes, more than {MAX_HEADERS}");
    Err(Error::new(ErrorKind::TooLarge, text).with_status(response.status()))
}

/// The same request once more, if it may be sent twice.
fn copy(request: &Request) -> Option<Request> {
    let effect = request.extensions().get::<Effect>()?;
    if !effect.is_repeatable() {
        return None;
    }
    let mut copy = Request::new(request.body().try_clone()?);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.version_mut() = request.version();
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
}

/// Whether the request died because the pool's connection was dead already.
fn was_stale(error: &legacy::Error) -> bool {
    let Some(connection) = error.connect_info().filter(|_| !error.is_connect()) else {
        return false;
    };
    was_never_written(error) || Usage::of(connection).is_some_and(|usage| usage.went_stale())
}

/// Whether the server cannot have got anything of the request.
fn was_never_written(error: &legacy::Error) -> bool {
    causes(error)
        .filter_map(|cause| cause.downcast_ref::<hyper::Error>())
        .any(hyper::Error::is_canceled)
}

fn classify(error: legacy::Error, peer: &Peer) -> Error {
    let known = causes(&error).find_map(|cause| meaning(cause, peer));
    let error_without_source = known.unwrap_or_else(|| {
        if error.is_connect() {
            Error::new(ErrorKind::Connect, format!("no connection to {peer}"))
        } else {
            let text = "the connection broke before the answer";
            Error::new(ErrorKind::Transport, text)
        }
    });
    error_without_source.with_source(error)
}

fn meaning(cause: &(dyn std::error::Error + 'static), peer: &Peer) -> Option<Error> {
    if let Some(connect) = cause.downcast_ref::<ConnectError>() {
        return Some(connect.to_error());
    }
    if let Some(ours) = cause.downcast_ref::<Error>() {
        // Our own body failed while it was sent; its kind says why. What it says of sending is
        // about another request, if anything: a part of this one has left.
        let failed = Error::new(ours.kind(), "the request body could not be sent").after_sending();
        return Some(if ours.is_permanent() { failed.permanent() } else { failed });
    }
    let failure = TlsFailure::known(cause.downcast_ref()?)?;
    let text = format!("no connection to {peer}: TLS failed: {}", failure.text);
    Some(Error::new(ErrorKind::Connect, text).permanent())
}

fn causes<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |cause| cause.source())
}

#[cfg(not(feature = "http2"))]
fn http2(_: &mut Builder) {}

/// A dead peer is noticed, and memory is bounded for each answer.
#[cfg(feature = "http2")]
fn http2(builder: &mut Builder) {
    builder
        .timer(TokioTimer::new())
        .http2_keep_alive_interval(HTTP2_PING_INTERVAL)
        .http2_keep_alive_timeout(HTTP2_PING_TIMEOUT)
        .http2_keep_alive_while_idle(false)
        .http2_initial_stream_window_size(HTTP2_STREAM_WINDOW)
        .http2_initial_connection_window_size(HTTP2_CONNECTION_WINDOW)
        .http2_max_header_list_size(HTTP2_MAX_HEADERS);
}

/// For good, as far as connections go: no clock overflows by it.
const MAX_POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Of one answer, names and values.
const MAX_HEADERS: usize = 64 * 1024;

/// How often a connection with open streams is asked whether it lives.
#[cfg(feature = "http2")]
const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(20);

/// How long it may take to say so.
#[cfg(feature = "http2")]
const HTTP2_PING_TIMEOUT: Duration = Duration::from_secs(10);

/// What the server may send of one answer before it is read: enough for 100 MB/s at 40 ms.
#[cfg(feature = "http2")]
const HTTP2_STREAM_WINDOW: u32 = 4 << 20;

/// The same for all answers of a connection: as good as no limit, as in Go. What is left of answers
/// that nobody reads for a while would else use it up, and no other answer came through.
#[cfg(feature = "http2")]
const HTTP2_CONNECTION_WINDOW: u32 = 1 << 30;

/// hyper's own limit, written down so that an update cannot loosen it.
#[cfg(feature = "http2")]
const HTTP2_MAX_HEADERS: u32 = 16 * 1024;

#[cfg(test)]
mod tests;
