//! How to property-test code of your own on the types of these crates.
//!
//! The code under test is a store of parts, such as a cache or a mirror has: it cuts what
//! arrives, keeps each part under its digest, and gives back any range. Chunks, ranges and
//! digests are pure values, and `acr_testkit::strategy` makes the input.

use std::collections::BTreeMap;

use acr_blob::Chunker;
use acr_core::{ByteRange, Digest, Digester, value::ContentRange};
use acr_testkit::strategy;
use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

const CHUNK: usize = 64;

/// Content in parts of one size, each under its digest.
struct Parts {
    order: Vec<Digest>,
    parts: BTreeMap<String, Bytes>,
    whole: Digest,
    len: u64,
}

impl Parts {
    fn of(pieces: impl IntoIterator<Item = Bytes>) -> Self {
        let mut digester = Digester::default();
        let mut chunker = Chunker::new(CHUNK);
        let mut parts = Vec::new();
        for piece in pieces {
            digester.update(&piece);
            chunker.push(piece);
            while let Some(chunk) = chunker.next_chunk() {
                parts.push(chunk);
            }
        }
        parts.extend(chunker.finish());
        let order: Vec<Digest> = parts.iter().map(|part| Digest::sha256(part)).collect();
        let keys = order.iter().map(ToString::to_string);
        let len = digester.len();
        Self { parts: keys.zip(parts).collect(), order, whole: digester.finish(), len }
    }

    /// The bytes of a range and how the answer names them; `None` where there are none.
    fn range(&self, range: ByteRange) -> Option<(ContentRange, Bytes)> {
        let last = range.last().unwrap_or(u64::MAX).min(self.len.checked_sub(1)?);
        let named = ContentRange::new(range.first(), last, Some(self.len)).ok()?;
        let mut content = BytesMut::new();
        for part in &self.order {
            content.extend_from_slice(self.parts.get(part.as_str())?);
        }
        let from = usize::try_from(named.first()).ok()?;
        let to = usize::try_from(named.last()).ok()?;
        Some((named, content.freeze().slice(from..=to)))
    }
}

proptest! {
    #[test]
    fn parts_are_full_but_for_the_last_and_make_the_whole(
        (content, pieces) in strategy::pieces(1_000),
    ) {
        let parts = Parts::of(pieces);
        prop_assert_eq!(&parts.whole, &Digest::sha256(&content));
        prop_assert_eq!(parts.len, content.len() as u64);
        prop_assert_eq!(parts.order.len(), content.len().div_ceil(CHUNK));
        let sizes: Vec<usize> =
            parts.order.iter().map(|part| parts.parts[part.as_str()].len()).collect();
        let full = sizes.iter().take(sizes.len().saturating_sub(1));
        prop_assert!(full.copied().all(|size| size == CHUNK));
    }

    #[test]
    fn a_range_has_the_bytes_that_it_names(
        content in strategy::content(1_000),
        range in strategy::byte_range(),
    ) {
        let parts = Parts::of([content.clone()]);
        match parts.range(range) {
            None => prop_assert!(range.first() >= content.len() as u64),
            Some((named, bytes)) => {
                prop_assert_eq!(named.first(), range.first());
                prop_assert_eq!(bytes.len() as u64, named.last() - named.first() + 1);
                let from = usize::try_from(named.first()).unwrap_or(usize::MAX);
                prop_assert_eq!(&bytes[..], &content[from..from + bytes.len()]);
                // What goes over the wire comes back.
                prop_assert_eq!(named.to_string().parse::<ContentRange>().ok(), Some(named));
            }
        }
    }
}
