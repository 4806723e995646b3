//! What a fake shall answer instead of what it would, and how often it was asked.

use std::{
    collections::VecDeque,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use http::{Response, StatusCode};

use super::answers;
use crate::sync::lock;

/// Planned answers, in order, and a count of the calls.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    answers: Mutex<VecDeque<(StatusCode, String)>>,
    calls: AtomicUsize,
}

impl Plan {
    pub(crate) fn add(&self, status: StatusCode, body: String) {
        lock(&self.answers).push_back((status, body));
    }

    /// Counts a call and hands out its planned answer, if there is one.
    pub(crate) fn next(&self) -> Option<Response<Bytes>> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let (status, body) = lock(&self.answers).pop_front()?;
        Some(answers::json(status, body))
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}
