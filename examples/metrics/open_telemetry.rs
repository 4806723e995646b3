//! An observer that feeds instruments of OpenTelemetry.

use acr_core::layer::{
    AttemptEnded, CallEnded, CallStarted, Connected, Observed, Observer, Throttled, TokenCallEnded,
    Transferred, Waited,
};
use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram, Meter, UpDownCounter},
};

use crate::labels::{BUCKETS, Labels, base, with};

/// Instruments of a meter. Cheap to clone, as instruments are.
#[derive(Clone, Debug)]
pub(crate) struct Instruments {
    active: UpDownCounter<i64>,
    calls: Histogram<f64>,
    attempts: Histogram<f64>,
    token_calls: Histogram<f64>,
    waits: Histogram<f64>,
    throttled: Counter<u64>,
    transferred: Counter<u64>,
    connections: Counter<u64>,
}

impl Instruments {
    pub(crate) fn of(meter: &Meter) -> Self {
        let seconds = |name: &'static str, what: &'static str| {
            let histogram = meter.f64_histogram(name).with_description(what).with_unit("s");
            histogram.with_boundaries(BUCKETS.to_vec()).build()
        };
        let count = |name: &'static str, what: &'static str, unit: &'static str| {
            meter.u64_counter(name).with_description(what).with_unit(unit).build()
        };
        Self {
            active: meter
                .i64_up_down_counter("acr.client.calls.active")
                .with_description("Calls that have begun and not ended")
                .with_unit("{call}")
                .build(),
            calls: seconds("acr.client.call.duration", "From a call to the head of its answer"),
            attempts: seconds("acr.client.attempt.duration", "Attempts and hops of redirects"),
            token_calls: seconds("acr.client.token_call.duration", "Requests to token services"),
            waits: seconds("acr.client.wait.duration", "Waits between two attempts"),
            throttled: count("acr.client.throttled", "Answers 429", "{answer}"),
            transferred: count("acr.client.transferred", "Content of bodies", "By"),
            connections: count("acr.client.connections", "Whence exchanges got theirs", "{use}"),
        }
    }
}

impl Observer for Instruments {
    fn call_started(&self, of: &Observed, _: &CallStarted) {
        self.active.add(1, &attributes(base(of)));
    }

    fn call_ended(&self, of: &Observed, call: &CallEnded) {
        self.active.add(-1, &attributes(base(of)));
        let labels = with(of, "outcome", call.ending.as_str());
        self.calls.record(call.duration.as_secs_f64(), &attributes(labels));
    }

    fn attempt_ended(&self, of: &Observed, attempt: &AttemptEnded) {
        let mut labels = with(of, "outcome", attempt.ending.as_str());
        labels.push(("target", of.target.as_str().to_owned()));
        // What sign-in sends once more is an exchange, and no attempt.
        labels.push(("signed_anew", attempt.is_signed_anew.to_string()));
        self.attempts.record(attempt.duration.as_secs_f64(), &attributes(labels));
    }

    fn token_call_ended(&self, of: &Observed, call: &TokenCallEnded) {
        let labels = with(of, "outcome", call.ending.as_str());
        self.token_calls.record(call.duration.as_secs_f64(), &attributes(labels));
    }

    fn throttled(&self, of: &Observed, _: &Throttled) {
        self.throttled.add(1, &attributes(base(of)));
    }

    fn waited(&self, of: &Observed, wait: &Waited) {
        let labels = with(of, "reason", wait.reason.as_str());
        self.waits.record(wait.duration.as_secs_f64(), &attributes(labels));
    }

    fn transferred(&self, of: &Observed, transfer: &Transferred) {
        let labels = with(of, "direction", transfer.direction.as_str());
        self.transferred.add(transfer.bytes, &attributes(labels));
    }

    fn connected(&self, of: &Observed, event: &Connected) {
        let labels = with(of, "connection", event.connection.as_str());
        self.connections.add(1, &attributes(labels));
    }
}

fn attributes(labels: Labels) -> Vec<KeyValue> {
    labels.into_iter().map(|(name, value)| KeyValue::new(name, value)).collect()
}
