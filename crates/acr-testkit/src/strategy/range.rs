//! Ranges of bytes.

use acr_core::{ByteRange, value::ContentRange};
use proptest::prelude::*;

/// What a `Range` header asks for: small offsets mostly, the largest at times, with and
/// without an end.
pub fn byte_range() -> impl Strategy<Value = ByteRange> {
    (offset(), proptest::option::of(offset())).prop_filter_map("ordered", |(first, last)| {
        ByteRange::new(first, last.map(|last| last.max(first))).ok()
    })
}

/// What a `Content-Range` header tells: a part, and mostly the length of the whole.
pub fn content_range() -> impl Strategy<Value = ContentRange> {
    let parts = (offset(), offset(), proptest::option::weighted(0.8, offset()));
    parts.prop_filter_map("within the total", |(one, other, beyond)| {
        let (first, last) = (one.min(other), one.max(other));
        let total = beyond.map(|beyond| last.saturating_add(1).max(beyond));
        ContentRange::new(first, last, total).ok()
    })
}

fn offset() -> impl Strategy<Value = u64> {
    prop_oneof![6 => 0u64..5_000, 1 => Just(u64::MAX), 1 => any::<u64>()]
}
