//! What a program can see of a governor.

use std::time::Duration;

/// One lane of a [`Governor`](super::Governor): the reads or the writes at one host.
///
/// ```
/// use acr_core::{CallOptions, layer::{Governor, GovernorLayer}};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
/// # use bytes::Bytes;
/// # use http_body_util::Empty;
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// let governor = Governor::new();
/// let client = service_fn(|_: http::Request<Empty<Bytes>>| async {
///     Ok::<_, std::io::Error>(http::Response::new(Empty::<Bytes>::new()))
/// });
/// let stack = ServiceBuilder::new().layer(GovernorLayer::new(&governor)).service(client);
/// let mut request = http::Request::get("https://service.example/").body(Empty::new())?;
/// CallOptions::new().governed().apply_to(&mut request);
/// stack.oneshot(request).await?;
///
/// let lanes = governor.snapshot();
/// assert_eq!((lanes[0].host.as_str(), lanes[0].is_read), ("service.example", true));
/// assert_eq!((lanes[0].taken, lanes[0].throttled), (1, 0));
/// assert_eq!(lanes[0].calls_per_second, None, "nothing was refused yet");
/// # Ok::<_, acr_core::http::BoxError>(()) }).unwrap();
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LaneState {
    /// Host and port, as they stand in the URL.
    pub host: String,
    /// `GET` and `HEAD`, or all other methods.
    pub is_read: bool,
    /// What the host takes as far as is known; `None` before it refused anything.
    pub calls_per_second: Option<f64>,
    /// How long nothing is sent any more, after a 429.
    pub paused: Option<Duration>,
    /// How many calls may be on the way at once.
    pub window: u32,
    /// How many are on the way.
    pub in_flight: u32,
    /// How many wait for their turn.
    pub waiting: usize,
    /// Answers other than 429 so far.
    pub taken: u64,
    /// Answers 429 so far.
    pub throttled: u64,
}
