//! Bytes that are sent while somebody watches.

use bytes::Bytes;

use super::{
    observe::Meter,
    timeout::{PIECE, Progress},
};

/// Bytes that are handed out piece by piece, to be watched and counted by any number of layers,
/// and can still be sent again.
pub(crate) struct Pieces {
    bytes: Bytes,
    watches: Vec<Progress>,
    meters: Vec<Meter>,
    /// Whether somebody has begun to take them.
    is_begun: bool,
}

impl Pieces {
    pub(crate) fn new(bytes: Bytes) -> Self {
        Self { bytes, watches: Vec::new(), meters: Vec::new(), is_begun: false }
    }

    /// Notes each piece here too.
    pub(crate) fn watched(mut self, progress: Progress) -> Self {
        self.watches.push(progress);
        self
    }

    /// Counts each piece here too.
    pub(crate) fn counted(mut self, meter: Meter) -> Self {
        self.meters.push(meter);
        self
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn next(&mut self) -> Option<Bytes> {
        if self.bytes.is_empty() {
            return None;
        }
        self.is_begun = true;
        let piece = self.bytes.split_to(PIECE.min(self.bytes.len()));
        self.watches.iter().for_each(|progress| progress.note(!self.bytes.is_empty()));
        self.meters.iter_mut().for_each(|meter| meter.count(piece.len()));
        Some(piece)
    }
}

impl Clone for Pieces {
    fn clone(&self) -> Self {
        let length = self.bytes.len() as u64;
        let meters = self.meters.iter().map(|meter| meter.again(length)).collect();
        Self { bytes: self.bytes.clone(), watches: self.watches.clone(), meters, is_begun: false }
    }
}

/// Who lets go of them in the midst takes no more. A copy that nobody began with says nothing.
impl Drop for Pieces {
    fn drop(&mut self) {
        if self.is_begun {
            self.watches.iter().for_each(Progress::end);
        }
    }
}
