//! An observer that a Prometheus server can read.

use acr_core::{
    http::BoxError,
    layer::{
        AttemptEnded, CallEnded, CallStarted, Connected, Observed, Observer, Throttled,
        TokenCallEnded, Transferred, Waited,
    },
};
use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use crate::labels::{BUCKETS, Labels, base, with};

type Seconds = Family<Labels, Histogram>;

/// Metrics in a registry of their own.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    active: Family<Labels, Gauge>,
    calls: Seconds,
    attempts: Seconds,
    token_calls: Seconds,
    waits: Seconds,
    throttled: Family<Labels, Counter>,
    transferred: Family<Labels, Counter>,
    connections: Family<Labels, Counter>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let seconds = || Seconds::new_with_constructor(|| Histogram::new(BUCKETS));
        let mut metrics = Self {
            registry: Registry::with_prefix("acr_client"),
            active: Family::default(),
            calls: seconds(),
            attempts: seconds(),
            token_calls: seconds(),
            waits: seconds(),
            throttled: Family::default(),
            transferred: Family::default(),
            connections: Family::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        let text = "Calls that have begun and not ended";
        registry.register("calls_active", text, self.active.clone());
        for (name, text, family) in [
            ("call_duration", "From a call to the head of its answer", &self.calls),
            ("attempt_duration", "Attempts and hops of redirects", &self.attempts),
            ("token_call_duration", "Requests to token services", &self.token_calls),
            ("wait_duration", "Waits between two attempts", &self.waits),
        ] {
            registry.register_with_unit(name, text, Unit::Seconds, family.clone());
        }
        registry.register("throttled", "Answers 429", self.throttled.clone());
        let bytes = self.transferred.clone();
        registry.register_with_unit("transferred", "Content of bodies", Unit::Bytes, bytes);
        let text = "Whence exchanges got theirs";
        registry.register("connections", text, self.connections.clone());
    }

    /// What a server answers to `GET /metrics`, as
    /// `application/openmetrics-text; version=1.0.0; charset=utf-8`.
    pub(crate) fn text(&self) -> Result<String, BoxError> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl Observer for Metrics {
    fn call_started(&self, of: &Observed, _: &CallStarted) {
        self.active.get_or_create(&base(of)).inc();
    }

    fn call_ended(&self, of: &Observed, call: &CallEnded) {
        self.active.get_or_create(&base(of)).dec();
        let labels = with(of, "outcome", call.ending.as_str());
        self.calls.get_or_create(&labels).observe(call.duration.as_secs_f64());
    }

    fn attempt_ended(&self, of: &Observed, attempt: &AttemptEnded) {
        let mut labels = with(of, "outcome", attempt.ending.as_str());
        labels.push(("target", of.target.as_str().to_owned()));
        // What sign-in sends once more is an exchange, and no attempt.
        labels.push(("signed_anew", attempt.is_signed_anew.to_string()));
        self.attempts.get_or_create(&labels).observe(attempt.duration.as_secs_f64());
    }

    fn token_call_ended(&self, of: &Observed, call: &TokenCallEnded) {
        let labels = with(of, "outcome", call.ending.as_str());
        self.token_calls.get_or_create(&labels).observe(call.duration.as_secs_f64());
    }

    fn throttled(&self, of: &Observed, _: &Throttled) {
        self.throttled.get_or_create(&base(of)).inc();
    }

    fn waited(&self, of: &Observed, wait: &Waited) {
        let labels = with(of, "reason", wait.reason.as_str());
        self.waits.get_or_create(&labels).observe(wait.duration.as_secs_f64());
    }

    fn transferred(&self, of: &Observed, transfer: &Transferred) {
        let labels = with(of, "direction", transfer.direction.as_str());
        self.transferred.get_or_create(&labels).inc_by(transfer.bytes);
    }

    fn connected(&self, of: &Observed, event: &Connected) {
        let labels = with(of, "connection", event.connection.as_str());
        self.connections.get_or_create(&labels).inc();
    }
}
