//! Hashes pieces in the order in which they were given, on whatever thread has time.

use std::collections::VecDeque;

use acr_core::{Digest, Digester};
use bytes::Bytes;

use super::sync::{Arc, Mutex, lock};

/// Pieces that wait to be hashed, and what was hashed. Clones share it.
///
/// A piece has its place from the moment it is given: who hashes it, and when, and whether
/// somebody is dropped meanwhile, changes nothing.
#[derive(Clone)]
pub(crate) struct Ordered(Arc<Mutex<Queue>>);

struct Queue {
    digester: Digester,
    waiting: VecDeque<Bytes>,
    proof: Option<Proof>,
}

/// What the first bytes must hash to.
struct Proof {
    expected: Digest,
    len: u64,
    holds: Option<bool>,
}

/// A piece would leave a gap behind what was given before.
#[derive(Debug)]
pub(crate) struct Gap {
    pub(crate) at: u64,
    pub(crate) given: u64,
}

impl Ordered {
    pub(crate) fn new(digester: Digester) -> Self {
        Self(Arc::new(Mutex::new(Queue { digester, waiting: VecDeque::new(), proof: None })))
    }

    /// Gives a piece that starts at an offset; what was given before is left out. How many
    /// bytes wait now.
    pub(crate) fn push(&self, at: u64, piece: &Bytes) -> Result<usize, Gap> {
        let mut queue = lock(&self.0);
        let given = queue.given();
        if at > given {
            return Err(Gap { at, given });
        }
        let known = usize::try_from(given.saturating_sub(at)).unwrap_or(usize::MAX);
        let new = piece.slice(known.min(piece.len())..);
        if !new.is_empty() {
            queue.waiting.push_back(new);
        }
        Ok(queue.waiting.iter().map(Bytes::len).fold(0, usize::saturating_add))
    }

    /// Hashes all that waits. Others may give or hash pieces meanwhile.
    pub(crate) fn drain(&self) {
        while lock(&self.0).step() {}
    }

    /// Where the next piece starts.
    pub(crate) fn given(&self) -> u64 {
        lock(&self.0).given()
    }

    /// The hash of all that was given.
    pub(crate) fn digester(&self) -> Digester {
        self.drain();
        lock(&self.0).digester.clone()
    }

    /// Compares the first bytes with what was hashed before.
    pub(crate) fn prove(&self, saved: &Digester) {
        let mut queue = lock(&self.0);
        let (expected, len) = (saved.clone().finish(), saved.len());
        queue.proof = Some(Proof { expected, len, holds: None });
        queue.compare();
    }

    /// Whether they are the same, once it is known.
    pub(crate) fn is_proven(&self) -> Option<bool> {
        lock(&self.0).proof.as_ref().and_then(|proof| proof.holds)
    }
}

impl Queue {
    fn given(&self) -> u64 {
        let waiting = self.waiting.iter().map(|piece| piece.len() as u64);
        waiting.fold(self.digester.len(), u64::saturating_add)
    }

    /// Hashes some of the first piece, so that nobody waits long for the lock; whether there
    /// was any.
    fn step(&mut self) -> bool {
        let boundary = self.boundary();
        let Some(first) = self.waiting.front_mut() else {
            return false;
        };
        let part = first.split_to(first.len().min(boundary));
        if first.is_empty() {
            self.waiting.pop_front();
        }
        self.digester.update(&part);
        self.compare();
        true
    }

    /// How many bytes may be hashed at once: no more than up to where the proof ends.
    fn boundary(&self) -> usize {
        let missing = self.proof.as_ref().map_or(0, |proof| proof.len);
        match usize::try_from(missing.saturating_sub(self.digester.len())) {
            Ok(missing) if missing > 0 => missing.min(HASHED_AT_ONCE),
            _ => HASHED_AT_ONCE,
        }
    }

    fn compare(&mut self) {
        let Some(proof) = &mut self.proof else { return };
        if proof.holds.is_none() && self.digester.len() >= proof.len {
            let is_there = self.digester.len() == proof.len;
            proof.holds = Some(is_there && self.digester.clone().finish() == proof.expected);
        }
    }
}

/// A quarter of a usual second-level cache.
const HASHED_AT_ONCE: usize = 512 * 1024;
