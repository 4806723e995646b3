//! Keeps the calls of whole runs at what a host takes.

mod ending;
mod future;
mod lane;
mod rate;
#[cfg(test)]
mod simulated;
mod snapshot;
#[cfg(test)]
mod tests;
mod window;

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use http::{Method, Uri, uri::Scheme};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use self::lane::{Lane, Place};
pub use self::{future::GovernedFuture, snapshot::LaneState};
#[cfg(doc)]
use crate::http::error::{Error, ErrorKind};
use crate::{http::error::BoxError, layer::call_options::CallOptions};

/// Learns what hosts take, and holds calls back so that they are not refused. A handle: give a
/// clone to each pipeline of a program, so that they share what was learned.
///
/// No rate is kept before a host answers 429. Then nothing is sent to it for as long as it says, up
/// to a minute, or a second, and after that so many calls a second as it was seen to take:
/// between two refusals it took exactly what it allows, if what it took comes back little by
/// little. (A quota that comes back as a whole each minute is used less.) From there the rate creeps
/// up until the host refuses again, about one call of four hundred. Independently of it, and before any
/// 429 too, no more calls are on the way at once than the host answers quickly: 64 at first. Reads (`GET`, `HEAD`) and writes are governed apart, and each
/// host by itself. Waiting calls go in the order in which they came.
///
/// It acts on calls with [`CallOptions::governed`] only: those of whole runs, such as a copy or
/// a purge. It holds back and never repeats: that is for [`RetryLayer`](crate::layer::RetryLayer), whose deadline and
/// `last_start` go on while a call waits here. A host that refuses everything for minutes keeps
/// nobody waiting any more, so that each call ends by its own refusals.
///
/// **Poll what you have begun.** Whoever is first in the line, or on the way as the only one that asks
/// whether the host takes any again, holds up all others of its lane. So never await a governed call
/// while others of the same run lie in a `buffered` stream or a `select!` that nobody polls meanwhile: put
/// them into tasks.
///
/// ```
/// use acr_core::{CallOptions, Endpoint, Error, Pipeline, Transport, layer::Governor};
/// use acr_core::http::{Body, Request, RequestBuilder};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// # let transport = Transport::new(tower::service_fn(|_: Request| async {
/// #     Ok::<_, Error>(http::Response::new(Body::empty()))
/// # }));
/// let governor = Governor::new();
/// let endpoint: Endpoint = "myregistry.azurecr.io".parse()?;
/// let pipeline = Pipeline::builder(endpoint).transport(transport).governor(&governor).build()?;
/// let run = pipeline.with(CallOptions::new().governed());
/// run.send(RequestBuilder::new(http::Method::GET, run.endpoint(), &["v2", ""]).build()?).await?;
/// assert_eq!(governor.snapshot()[0].taken, 1);
/// # Ok::<_, Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Governor {
    hosts: Arc<Mutex<Hosts>>,
    most_waiting: Arc<AtomicUsize>,
}

/// Asks a [`Governor`] before each call that is [governed](CallOptions::governed); all others
/// pass, after a look at their options.
///
/// Must stand inside of retry, so that a call that waits for another attempt keeps no place,
/// and inside of redirect, since a storage has limits of its own. Must stand outside of
/// authentication: token calls go around it, so that no call waits for a place that its own
/// token needs.
///
/// It stands around any service of `http::Request<B>` that answers with an `http::Response<R>`
/// and can be cloned. The error is a [`BoxError`]: that of the service, or an [`Error`] of kind
/// [`ErrorKind::Throttled`], [unsent](Error::is_unsent), when too many calls wait
/// ([`Governor::most_waiting`]). Dropping a call, while it waits or later, lets the next one come
/// up. A call that waits costs no task and no timer but that of the first one in the queue.
///
/// ```
/// use std::time::Duration;
/// use acr_core::{CallOptions, layer::{Governor, GovernorLayer}};
/// # use bytes::Bytes;
/// # use http_body_util::Empty;
/// use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// let busy = service_fn(|_: http::Request<Empty<Bytes>>| async {
///     http::Response::builder().status(429).header("retry-after", "7").body(Empty::<Bytes>::new())
/// });
/// let mut stack = ServiceBuilder::new().layer(GovernorLayer::new(&Governor::new())).service(busy);
/// let governed = || {
///     let mut request = http::Request::get("https://service.example/").body(Empty::new()).unwrap();
///     CallOptions::new().governed().apply_to(&mut request);
///     request
/// };
/// let start = tokio::time::Instant::now();
/// stack.ready().await?.call(governed()).await?;
/// // The second call knows already.
/// stack.ready().await?.call(governed()).await?;
/// assert!(start.elapsed() >= Duration::from_secs(7));
/// # Ok::<_, acr_core::http::BoxError>(()) }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct GovernorLayer {
    governor: Governor,
}

/// The service of [`GovernorLayer`].
#[derive(Clone, Debug)]
pub struct Governed<S> {
    inner: S,
    governor: Governor,
}

#[derive(Default)]
struct Hosts {
    known: Vec<Host>,
    /// How often one was looked up.
    looks: u64,
}

/// What is governed by itself. A replica of a host, told by the address of its connection, would
/// be another field, and the lanes one pair for each.
struct Host {
    name: Box<str>,
    port: Option<u16>,
    reads: Arc<Lane>,
    writes: Arc<Lane>,
    used: u64,
}

impl Governor {
    /// A governor that knows nothing yet.
    pub fn new() -> Self {
        Self { hosts: Arc::default(), most_waiting: Arc::new(AtomicUsize::new(MOST_WAITING)) }
    }

    /// Sets how many calls may wait in one lane; 10,000 by default. One more is an error,
    /// unsent, which retry repeats like any other.
    /// Holds for all clones.
    ///
    /// ```
    /// use acr_core::layer::Governor;
    ///
    /// let governor = Governor::new().most_waiting(100_000);
    /// # let _ = governor;
    /// ```
    #[must_use]
    pub fn most_waiting(self, calls: usize) -> Self {
        self.most_waiting.store(calls, Ordering::Relaxed);
        self
    }

    /// What is known now: two lanes for each host that was asked, up to 64 hosts. See [`LaneState`].
    pub fn snapshot(&self) -> Vec<LaneState> {
        let hosts = self.lock();
        let lanes = hosts.known.iter().flat_map(|host| {
            let name = match host.port {
                Some(port) => format!("{}:{port}", host.name),
                None => host.name.to_string(),
            };
            [host.reads.snapshot(&name, true), host.writes.snapshot(&name, false)]
        });
        lanes.collect()
    }

    fn lane(&self, method: &Method, uri: &Uri) -> Arc<Lane> {
        let name = uri.host().unwrap_or_default();
        let usual = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => Some(443),
            Some(scheme) if *scheme == Scheme::HTTP => Some(80),
            _ => None,
        };
        let port = uri.port_u16().filter(|port| Some(*port) != usual);
        let is_read = matches!(*method, Method::GET | Method::HEAD);
        self.lock().lane(name, port, is_read, &self.most_waiting)
    }

    fn lock(&self) -> MutexGuard<'_, Hosts> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Governor {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Governor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Governor").field("lanes", &self.snapshot()).finish_non_exhaustive()
    }
}

impl Hosts {
    /// The lane of a host, which takes the place of the host that was not asked for longest if
    /// there are too many. Calls to that one stay in order: they have their lane.
    fn lane(
        &mut self,
        name: &str,
        port: Option<u16>,
        is_read: bool,
        most_waiting: &Arc<AtomicUsize>,
    ) -> Arc<Lane> {
        self.looks += 1;
        let is_it = |host: &&mut Host| host.port == port && host.name.eq_ignore_ascii_case(name);
        if let Some(host) = self.known.iter_mut().find(is_it) {
            host.used = self.looks;
            return host.lane(is_read);
        }
        if self.known.len() >= MOST_HOSTS {
            let oldest = self.known.iter().map(|host| host.used).min();
            self.known.retain(|host| Some(host.used) != oldest);
        }
        let [reads, writes] = [(), ()].map(|()| Arc::new(Lane::new(Arc::clone(most_waiting))));
        let new = Host { name: name.into(), port, reads, writes, used: self.looks };
        let lane = new.lane(is_read);
        self.known.push(new);
        lane
    }
}

impl Host {
    fn lane(&self, is_read: bool) -> Arc<Lane> {
        Arc::clone(if is_read { &self.reads } else { &self.writes })
    }
}

impl GovernorLayer {
    /// The layer, around as many services as share the governor.
    pub fn new(governor: &Governor) -> Self {
        Self { governor: governor.clone() }
    }
}

impl<S> Layer<S> for GovernorLayer {
    type Service = Governed<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Governed { inner, governor: self.governor.clone() }
    }
}

impl<S, B, R> Service<http::Request<B>> for Governed<S>
where
    S: Service<http::Request<B>, Response = http::Response<R>, Error: Into<BoxError> + 'static>
        + Clone,
    B: Body,
{
    type Response = http::Response<R>;
    type Error = BoxError;
    type Future = GovernedFuture<S, B>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        // A call may wait for its turn, and must not keep a place meanwhile.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let options = request.extensions().get::<CallOptions>();
        let place = options
            .is_some_and(CallOptions::is_governed)
            .then(|| Place::new(self.governor.lane(request.method(), request.uri())));
        GovernedFuture::new(self.inner.clone(), request, place)
    }
}

/// Calls of a lane. A waiting one is small, but its program holds all of it.
const MOST_WAITING: usize = 10_000;

/// A registry, its storages and those of a few more.
const MOST_HOSTS: usize = 64;
