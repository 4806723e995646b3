//! How content is cut into requests. Pure.

/// How content is cut into requests; it adapts to what the registry refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The length of a chunk.
    pub(crate) chunk: u64,
    pub(crate) sending: Sending,
    pub(crate) closing: Closing,
}

/// When bytes are sent, and how many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sending {
    /// A full chunk each time.
    Chunks,
    /// All that is there, whatever its length.
    Whole,
    /// What was given, at once, in pieces of a chunk at most.
    Given,
}

/// What the closing request may carry. Each allows what those before it allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Closing {
    Nothing,
    /// The whole content of an upload that has not more than a chunk.
    ShortContent,
    /// The last chunk.
    LastChunk,
    /// Whatever is left.
    Anything,
}

impl Plan {
    /// What one body could not do, chunks may.
    pub(crate) fn cut(&mut self) {
        if self.sending == Sending::Whole {
            self.sending = Sending::Chunks;
        }
        self.chunk = self.chunk.min(CHUNK);
        self.closing = self.closing.min(Closing::LastChunk);
    }
}

impl Closing {
    /// Whether so many bytes from here to the end may ride.
    pub(crate) fn takes(self, from: u64, rest: u64, chunk: u64) -> bool {
        rest == 0
            || match self {
                Self::Nothing => false,
                Self::ShortContent => from == 0 && rest <= chunk,
                Self::LastChunk => rest <= chunk,
                Self::Anything => true,
            }
    }

    /// What is left after bytes from here on were refused.
    pub(crate) fn without(self, from: u64) -> Self {
        if from == 0 { Self::Nothing } else { self.min(Self::ShortContent) }
    }
}

/// Large enough to make requests rare, small enough for every front end.
pub(crate) const CHUNK: u64 = 8 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_ride_on_the_closing_request() {
        use Closing as C;
        for (closing, from, rest, rides) in [
            (C::Nothing, 5, 0, true),
            (C::Nothing, 0, 1, false),
            (C::ShortContent, 0, 10, true),
            (C::ShortContent, 0, 11, false),
            (C::ShortContent, 1, 10, false),
            (C::ShortContent, 1, 0, true),
            (C::LastChunk, 1, 10, true),
            (C::LastChunk, 1, 11, false),
            (C::Anything, 1, 11, true),
        ] {
            assert_eq!(closing.takes(from, rest, 10), rides, "{closing:?} {from} {rest}");
        }
        assert_eq!(C::Anything.without(0), C::Nothing);
        assert_eq!(C::Anything.without(1), C::ShortContent);
        assert_eq!(C::Nothing.without(1), C::Nothing);
    }
}
