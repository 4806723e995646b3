//! Bytes that are sent while somebody watches.

use bytes::Bytes;

use super::{
    observe::Meter,
    timeout::{PIECE, Progress},
};

/// Bytes that are handed out piece by piece, to be watched or counted, and can still be sent
/// again.
pub(crate) struct Pieces {
    bytes: Bytes,
    progress: Option<Progress>,
    meter: Option<Meter>,
}

impl Pieces {
    pub(crate) fn new(bytes: Bytes, progress: Option<Progress>, meter: Option<Meter>) -> Self {
        Self { bytes, progress, meter }
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn next(&mut self) -> Option<Bytes> {
        if self.bytes.is_empty() {
            return None;
        }
        let piece = self.bytes.split_to(PIECE.min(self.bytes.len()));
        if let Some(progress) = &self.progress {
            progress.note(!self.bytes.is_empty());
        }
        if let Some(meter) = &mut self.meter {
            meter.count(piece.len());
        }
        Some(piece)
    }
}

impl Clone for Pieces {
    fn clone(&self) -> Self {
        let meter = self.meter.as_ref().map(|meter| meter.again(self.bytes.len() as u64));
        Self { bytes: self.bytes.clone(), progress: self.progress.clone(), meter }
    }
}
