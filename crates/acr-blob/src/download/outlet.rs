//! The one place where content leaves a reader, whichever interface asks for it. Pure.

use acr_core::Digester;
use bytes::Bytes;

/// Content that may be given out, and the digester after it.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) bytes: Bytes,
    pub(crate) after: Digester,
}

/// The piece that is being given out, in one or many parts, and what the caller holds.
#[derive(Clone, Debug)]
pub(crate) struct Outlet {
    /// Over all that was given out before the piece.
    before: Digester,
    piece: Option<Piece>,
    /// How much of the piece was given out.
    used: usize,
}

impl Outlet {
    /// Nothing to give out; the caller holds what the digester has seen.
    pub(crate) fn new(held_by_caller: Digester) -> Self {
        Self { before: held_by_caller, piece: None, used: 0 }
    }

    /// How many bytes the caller holds.
    pub(crate) fn position(&self) -> u64 {
        self.before.len().saturating_add(self.used as u64)
    }

    /// What is left of the piece.
    pub(crate) fn is_empty(&self) -> bool {
        self.piece.is_none()
    }

    /// Takes in the next piece; the one before it must be used up.
    pub(crate) fn fill(&mut self, piece: Piece) {
        debug_assert!(self.is_empty(), "a piece would be lost");
        if !piece.bytes.is_empty() {
            self.piece = Some(piece);
        }
    }

    /// Gives out up to so many bytes.
    pub(crate) fn take(&mut self, most: usize) -> Bytes {
        let Some(piece) = self.piece.take() else {
            return Bytes::new();
        };
        let end = self.used.saturating_add(most).min(piece.bytes.len());
        let part = piece.bytes.slice(self.used..end);
        if end == piece.bytes.len() {
            self.before = piece.after;
            self.used = 0;
        } else {
            self.used = end;
            self.piece = Some(piece);
        }
        part
    }

    /// The digester over exactly what the caller holds. A piece that was given out in part
    /// is hashed again that far: it costs something only who asks.
    pub(crate) fn digester(&self) -> Digester {
        let mut digester = self.before.clone();
        if let Some(part) = self.piece.as_ref().and_then(|piece| piece.bytes.get(..self.used)) {
            digester.update(part);
        }
        digester
    }
}

#[cfg(test)]
mod tests {
    use acr_core::Digest;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a2_what_counts_is_what_was_given_out(
            pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..12),
            takes in proptest::collection::vec(0usize..50, 1..60),
        ) {
            let mut outlet = Outlet::new(Digester::default());
            let (mut hashed, mut held) = (Digester::default(), Vec::new());
            let mut pieces = pieces.into_iter();
            for most in takes {
                if outlet.is_empty() && let Some(bytes) = pieces.next() {
                    hashed.update(&bytes);
                    outlet.fill(Piece { bytes: bytes.into(), after: hashed.clone() });
                }
                let part = outlet.take(most);
                prop_assert!(part.len() <= most);
                held.extend_from_slice(&part);
                prop_assert_eq!(outlet.position(), held.len() as u64);
                let digester = outlet.digester();
                prop_assert_eq!(digester.len(), held.len() as u64);
                prop_assert_eq!(digester.finish(), Digest::sha256(&held));
            }
        }
    }
}
