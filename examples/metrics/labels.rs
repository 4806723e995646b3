//! The labels that all metrics have, and their order.

use acr_core::layer::Observed;

/// Names and values of labels. All of them come from the program, none from a server.
pub(crate) type Labels = Vec<(&'static str, String)>;

/// Operation and host, as both exporters tell them.
pub(crate) fn base(of: &Observed) -> Labels {
    let operation = of.operation.unwrap_or("other").to_owned();
    vec![("operation", operation), ("host", of.host.clone())]
}

/// The same, with what an event adds.
pub(crate) fn with(of: &Observed, name: &'static str, value: &'static str) -> Labels {
    let mut labels = base(of);
    labels.push((name, value.to_owned()));
    labels
}

/// Seconds: from an answer of the next rack to the time-out of a commit.
pub(crate) const BUCKETS: [f64; 9] = [0.005, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0, 30.0, 120.0];
