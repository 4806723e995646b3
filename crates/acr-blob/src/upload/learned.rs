//! What a registry answered before, for the next upload.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use crate::upload::machine::Plan;

/// What the uploads of one client learned about its registry. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Learned(Arc<Facts>);

#[derive(Debug)]
struct Facts {
    max_chunk: AtomicU64,
    takes_one_body: AtomicBool,
    rides: AtomicBool,
}

impl Learned {
    /// A plan, cut down to what the registry takes.
    pub(crate) fn apply(&self, plan: Plan) -> Plan {
        Plan {
            chunk: plan.chunk.min(self.0.max_chunk.load(Ordering::Relaxed)),
            one_body: plan.one_body && self.0.takes_one_body.load(Ordering::Relaxed),
            rides: plan.rides && self.0.rides.load(Ordering::Relaxed),
            ..plan
        }
    }

    /// Notes that somebody on the way refuses more than this at once.
    pub(crate) fn note_limit(&self, chunk: u64) {
        self.0.max_chunk.fetch_min(chunk, Ordering::Relaxed);
        self.0.takes_one_body.store(false, Ordering::Relaxed);
    }

    /// Notes that the closing request of an upload in chunks may have no body.
    pub(crate) fn note_empty_commit(&self) {
        self.0.rides.store(false, Ordering::Relaxed);
    }
}

impl Default for Learned {
    fn default() -> Self {
        Self(Arc::new(Facts {
            max_chunk: AtomicU64::new(u64::MAX),
            takes_one_body: AtomicBool::new(true),
            rides: AtomicBool::new(true),
        }))
    }
}
