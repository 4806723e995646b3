//! What was counted: requests, connections, bytes.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use http::Method;
use serde::Serialize;

use crate::sync::lock;

/// What a [`Sink`](super::Sink) counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SinkStats {
    /// Requests by method and what they asked for, such as `GET blob` or `PATCH upload`.
    pub requests: BTreeMap<String, u64>,
    /// Connections on which a request came.
    pub connections: u64,
    /// How many of them were open at once, at most.
    pub most_open: u64,
    /// Bytes of request bodies.
    pub received: u64,
    /// Bytes of the content of blobs, and of pages.
    pub sent: u64,
}

impl SinkStats {
    /// All requests together.
    pub fn requests_in_all(&self) -> u64 {
        self.requests.values().fold(0, |sum, count| sum.saturating_add(*count))
    }
}

/// The counters of all connections.
#[derive(Debug, Default)]
pub(super) struct Counters {
    requests: Mutex<BTreeMap<(&'static str, &'static str), u64>>,
    connections: AtomicU64,
    open: AtomicU64,
    most_open: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
}

/// Whether a connection was counted. One that only asks for the statistics is not.
#[derive(Debug, Default)]
pub(super) struct Visit(AtomicBool);

impl Counters {
    pub(super) fn request(&self, method: &Method, label: &'static str, visit: &Visit) {
        let mut requests = lock(&self.requests);
        let count = requests.entry((name(method), label)).or_default();
        *count = count.saturating_add(1);
        drop(requests);
        if visit.0.swap(true, Ordering::Relaxed) {
            return;
        }
        self.connections.fetch_add(1, Ordering::Relaxed);
        let open = self.open.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        self.most_open.fetch_max(open, Ordering::Relaxed);
    }

    /// A connection has ended.
    pub(super) fn leave(&self, visit: &Visit) {
        if visit.0.load(Ordering::Relaxed) {
            self.open.fetch_sub(1, Ordering::Relaxed);
        }
    }

    pub(super) fn received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> SinkStats {
        let requests = lock(&self.requests);
        let requests =
            requests.iter().map(|((method, label), n)| (format!("{method} {label}"), *n));
        SinkStats {
            requests: requests.collect(),
            connections: self.connections.load(Ordering::Relaxed),
            most_open: self.most_open.load(Ordering::Relaxed),
            received: self.received.load(Ordering::Relaxed),
            sent: self.sent.load(Ordering::Relaxed),
        }
    }

    /// Counts anew. What is open stays open, and its next request opens nothing.
    pub(super) fn forget(&self) {
        lock(&self.requests).clear();
        for counter in [&self.connections, &self.received, &self.sent] {
            counter.store(0, Ordering::Relaxed);
        }
        self.most_open.store(self.open.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

/// A few names, so that no client decides how many there are.
fn name(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PATCH" => "PATCH",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        _ => "OTHER",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_counted_by_their_first_request() {
        let (counters, visits) = (Counters::default(), [(); 3].map(|()| Visit::default()));
        let [first, second, silent] = &visits;
        for visit in [first, second, first] {
            counters.request(&Method::GET, "ping", visit);
        }
        counters.leave(first);
        counters.leave(silent);
        let stats = counters.read();
        assert_eq!((stats.connections, stats.most_open, stats.requests_in_all()), (2, 2, 3));
        counters.forget();
        counters.request(&Method::PUT, "upload", second);
        let stats = counters.read();
        assert_eq!((stats.connections, stats.most_open), (0, 1), "it was open before");
        assert_eq!(stats.requests, BTreeMap::from([("PUT upload".to_owned(), 1)]));
    }
}
