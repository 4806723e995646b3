//! The content of all blobs: one piece of memory, over and over.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::counters::Counters;

/// What [`Sink`](super::Sink) has in its blobs, from the first byte on: this, repeated. It is short
/// enough to stay in a cache, so that a server that sends it hardly touches memory.
///
/// ```
/// let content = acr_testkit::sink_content();
/// assert_eq!(content.len(), 256 * 1024);
/// assert_eq!(content[..4], [0xad, 0x4d, 0xf3, 0x0b]);
/// ```
pub fn sink_content() -> Bytes {
    let mut state = SEED;
    let mut content = Vec::with_capacity(PERIOD);
    while content.len() < PERIOD {
        // Xorshift: nothing on the way can compress it, and every program can make it.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        content.extend_from_slice(&state.to_le_bytes());
    }
    content.into()
}

/// A stretch of it, as a body in large frames that copy nothing.
pub(super) struct Stretch {
    content: Bytes,
    at: u64,
    left: u64,
    counters: Arc<Counters>,
}

impl Stretch {
    pub(super) fn new(content: &Bytes, from: u64, len: u64, counters: &Arc<Counters>) -> Self {
        Self { content: content.clone(), at: from, left: len, counters: Arc::clone(counters) }
    }
}

impl Body for Stretch {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let start = usize::try_from(self.at % PERIOD as u64).unwrap_or(0);
        let most = usize::try_from(self.left).unwrap_or(PERIOD);
        let piece = self.content.slice(start..PERIOD.min(start.saturating_add(most)));
        self.at = self.at.wrapping_add(piece.len() as u64);
        self.left = self.left.saturating_sub(piece.len() as u64);
        self.counters.sent(piece.len());
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// Half of a small second-level cache, and as much as hyper hands to a socket at once.
const PERIOD: usize = 256 * 1024;

/// Any number but zero.
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn a_stretch_is_a_part_of_the_repeated_content() {
        let content = sink_content();
        let whole = content.repeat(3);
        for (from, len) in
            [(0, 0), (0, 1), (7, PERIOD), (PERIOD - 1, 2), (PERIOD, PERIOD), (5, 2 * PERIOD + 9)]
        {
            let stretch = Stretch::new(&content, from as u64, len as u64, &Arc::default());
            assert_eq!(stretch.size_hint().exact(), Some(len as u64));
            let sent = stretch.collect().await.unwrap().to_bytes();
            assert_eq!(sent, whole[from..from + len], "{from} {len}");
        }
    }
}
