//! Content and the ways to cut it.

use acr_core::{Algorithm, Digest, Digester};
use bytes::Bytes;
use proptest::{collection::vec, prelude::*, sample::Index};

/// A digest of some content: sha256 mostly, sha512 at times.
pub fn digest() -> impl Strategy<Value = Digest> {
    let algorithm = prop_oneof![4 => Just(Algorithm::Sha256), 1 => Just(Algorithm::Sha512)];
    (algorithm, any::<[u8; 8]>()).prop_map(|(algorithm, seed)| {
        let mut digester = Digester::new(algorithm);
        digester.update(&seed);
        digester.finish()
    })
}

/// Content of up to so many bytes: empty, one byte, random, or a repeated pattern.
pub fn content(max_len: usize) -> impl Strategy<Value = Bytes> {
    prop_oneof![
        1 => Just(Bytes::new()),
        4 => vec(any::<u8>(), 0..=max_len).prop_map(Bytes::from),
        2 => (any::<u8>(), 0..=max_len).prop_map(|(byte, len)| Bytes::from(vec![byte; len])),
    ]
}

/// The places to cut content of this length at, in order: up to eight, none twice, none at
/// the ends.
pub fn split(len: usize) -> impl Strategy<Value = Vec<usize>> {
    vec(any::<Index>(), 0..=8).prop_map(move |places| {
        let mut cuts: Vec<usize> =
            places.into_iter().filter(|_| len > 1).map(|place| 1 + place.index(len - 1)).collect();
        cuts.sort_unstable();
        cuts.dedup();
        cuts
    })
}

/// Content in pieces, as a stream would bring it: joined, they are the content. Some
/// pieces may be empty.
pub fn pieces(max_len: usize) -> impl Strategy<Value = (Bytes, Vec<Bytes>)> {
    let cut = content(max_len).prop_flat_map(|content| {
        let cuts = split(content.len());
        (Just(content), cuts, proptest::option::of(any::<Index>()))
    });
    cut.prop_map(|(content, cuts, empty)| {
        let mut rest = content.clone();
        let mut taken = 0;
        let mut pieces = Vec::with_capacity(cuts.len().saturating_add(2));
        for cut in cuts {
            pieces.push(rest.split_to(cut.saturating_sub(taken)));
            taken = cut;
        }
        pieces.push(rest);
        if let Some(place) = empty {
            pieces.insert(place.index(pieces.len()), Bytes::new());
        }
        (content, pieces)
    })
}
