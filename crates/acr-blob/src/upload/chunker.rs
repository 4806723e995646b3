//! Cuts pieces of any size into chunks of one size. Pure.

use std::collections::VecDeque;

use bytes::{Buf as _, Bytes, BytesMut};

/// Cuts pieces of any size into chunks of one size: small pieces are joined, large ones
/// are cut without a copy. Knows no I/O.
///
/// ```
/// use acr_blob::Chunker;
///
/// let mut chunker = Chunker::new(4);
/// chunker.push("hello ".into());
/// chunker.push("world".into());
/// assert_eq!(chunker.next_chunk().unwrap(), "hell");
/// assert_eq!(chunker.next_chunk().unwrap(), "o wo");
/// assert_eq!(chunker.next_chunk(), None);
/// assert_eq!(chunker.finish().unwrap(), "rld");
/// ```
#[derive(Debug)]
pub struct Chunker {
    size: usize,
    partial: BytesMut,
    rest: VecDeque<Bytes>,
    len: usize,
}

impl Chunker {
    /// Cuts chunks of this many bytes, at least one.
    ///
    /// ```
    /// use acr_blob::Chunker;
    ///
    /// let mut chunker = Chunker::new(8 << 20);
    /// chunker.push("less than a chunk".into());
    /// assert_eq!(chunker.next_chunk(), None);
    /// ```
    pub fn new(size: usize) -> Self {
        Self { size: size.max(1), partial: BytesMut::new(), rest: VecDeque::new(), len: 0 }
    }

    /// Takes in the next piece.
    ///
    /// ```
    /// use acr_blob::Chunker;
    ///
    /// let mut chunker = Chunker::new(4);
    /// chunker.push("lay".into());
    /// chunker.push("er".into());
    /// assert_eq!(chunker.next_chunk().unwrap(), "laye");
    /// ```
    pub fn push(&mut self, piece: Bytes) {
        self.len = self.len.saturating_add(piece.len());
        self.rest.push_back(piece);
        self.join();
    }

    /// The next full chunk, if there is one.
    ///
    /// ```
    /// use acr_blob::Chunker;
    ///
    /// let mut chunker = Chunker::new(4);
    /// chunker.push("sample layer".into());
    /// let chunks: Vec<_> = std::iter::from_fn(|| chunker.next_chunk()).collect();
    /// assert_eq!(chunks, ["samp", "le l", "ayer"]);
    /// ```
    pub fn next_chunk(&mut self) -> Option<Bytes> {
        (self.len >= self.size).then(|| self.cut(self.size))
    }

    /// What is left in the end, shorter than a chunk; call [`Chunker::next_chunk`] until
    /// it gives nothing before.
    ///
    /// ```
    /// use acr_blob::Chunker;
    ///
    /// let mut chunker = Chunker::new(8);
    /// chunker.push("layer".into());
    /// assert_eq!(chunker.finish().unwrap(), "layer");
    /// ```
    pub fn finish(mut self) -> Option<Bytes> {
        self.drain()
    }

    /// How many bytes wait to be taken.
    ///
    /// ```
    /// use acr_blob::Chunker;
    ///
    /// let mut chunker = Chunker::new(4);
    /// chunker.push("layer".into());
    /// chunker.next_chunk();
    /// assert_eq!(chunker.len(), 1);
    /// ```
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing waits to be taken.
    ///
    /// ```
    /// use acr_blob::Chunker;
    ///
    /// let mut chunker = Chunker::new(4);
    /// assert!(chunker.is_empty());
    /// chunker.push("layer".into());
    /// assert!(!chunker.is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether more must be read to know if the next chunk is the last one.
    pub(crate) fn is_not_over(&self) -> bool {
        self.len <= self.size
    }

    pub(crate) fn drain(&mut self) -> Option<Bytes> {
        (self.len > 0).then(|| self.cut(self.len.min(self.size)))
    }

    fn cut(&mut self, len: usize) -> Bytes {
        self.len = self.len.saturating_sub(len);
        let chunk = match self.rest.front_mut() {
            Some(piece) if self.partial.is_empty() => piece.split_to(len.min(piece.len())),
            _ => self.partial.split().freeze(),
        };
        self.join();
        chunk
    }

    /// Joins small pieces up to one chunk, so that no more than that is copied at once.
    fn join(&mut self) {
        while let Some(piece) = self.rest.front_mut() {
            let missing = self.size.saturating_sub(self.partial.len());
            if missing == 0 || (self.partial.is_empty() && piece.len() >= self.size) {
                return;
            }
            let taken = missing.min(piece.len());
            self.partial.extend_from_slice(piece.get(..taken).unwrap_or_default());
            piece.advance(taken);
            if piece.is_empty() {
                self.rest.pop_front();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_split_gives_the_same_chunks(
            split in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..12),
            size in 1usize..50,
        ) {
            let whole = split.concat();
            let mut chunker = Chunker::new(size);
            let mut seen = Vec::new();
            for piece in split {
                chunker.push(piece.into());
                seen.extend(std::iter::from_fn(|| chunker.next_chunk()));
            }
            seen.extend(chunker.finish());
            let expected: Vec<Bytes> = whole.chunks(size).map(Bytes::copy_from_slice).collect();
            prop_assert_eq!(seen, expected);
        }
    }
}
