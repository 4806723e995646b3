//! What the cases are made of.

use std::time::Duration;

use proptest::prelude::*;

use super::source::Change;
use crate::unkind::{Manners, Wrong};

/// How the content is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Given {
    Bytes,
    File,
    Stream,
    Reader,
    Session,
}

/// One process of several.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub(crate) wrong: Vec<Wrong>,
    /// The future is dropped after so many polls.
    pub(crate) polls: usize,
    /// What happens to the source before this process, and while its n-th request passes.
    pub(crate) before: Change,
    pub(crate) during: Option<(u32, Change)>,
    pub(crate) chunk: Option<usize>,
    pub(crate) is_known: bool,
    /// It gives only what comes after the checkpoint.
    pub(crate) vouches: bool,
    /// Which of the checkpoints it goes on from, from the newest.
    pub(crate) checkpoint: usize,
    pub(crate) loses_sessions: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) len: usize,
    pub(crate) given: Given,
    pub(crate) manners: Manners,
    pub(crate) is_settled: bool,
    pub(crate) processes: Vec<Process>,
}

fn wrong() -> impl Strategy<Value = Wrong> {
    prop_oneof![
        8 => Just(Wrong::Nothing),
        2 => (0usize..3000).prop_map(Wrong::Cut),
        2 => Just(Wrong::Unanswered),
        1 => Just(Wrong::Forgotten),
        2 => prop::sample::select(vec![400, 404, 409, 413, 416, 500, 503, 504, 200, 204])
            .prop_map(Wrong::Status),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        6 => Just(Change::None),
        1 => Just(Change::SameLength),
        1 => Just(Change::SameTime),
        1 => Just(Change::Longer),
        1 => Just(Change::Shorter),
        1 => Just(Change::Replaced),
    ]
}

fn process() -> impl Strategy<Value = Process> {
    (
        prop_oneof![Just(Vec::new()), prop::collection::vec(wrong(), 0..8)],
        prop_oneof![1usize..40, Just(usize::MAX)],
        change(),
        prop_oneof![3 => Just(None), 1 => (0u32..8, change()).prop_map(Some)],
        prop_oneof![1 => Just(None), 3 => (200usize..2500).prop_map(Some)],
        any::<bool>(),
        any::<bool>(),
        0usize..3,
        prop::bool::weighted(0.1),
    )
        .prop_map(
            |(
                wrong,
                polls,
                before,
                during,
                chunk,
                is_known,
                vouches,
                checkpoint,
                loses_sessions,
            )| Process {
                wrong,
                polls,
                before,
                during,
                chunk,
                is_known,
                vouches,
                checkpoint,
                loses_sessions,
            },
        )
}

fn manners() -> impl Strategy<Value = Manners> {
    (
        prop::sample::select(vec![200, 202, 202, 204]),
        prop::sample::select(vec![200, 201, 201, 202, 204]),
        (any::<bool>(), any::<bool>(), any::<bool>()),
        prop::sample::select(vec![None, None, None, Some(400), Some(404)]),
        prop::sample::select(vec![None, None, Some(500u64), Some(3000)]),
        prop::sample::select(vec![Duration::ZERO, Duration::from_secs(200)]),
    )
        .prop_map(
            |(patch, put, (names_range, names_place, names_digest), first_put, least, storing)| {
                Manners {
                    patch,
                    put,
                    names_range,
                    names_place,
                    names_digest,
                    first_put,
                    least,
                    storing,
                    front_end: Duration::from_secs(60),
                    ..Manners::default()
                }
            },
        )
}

pub(crate) fn case() -> impl Strategy<Value = Case> {
    let given = prop::sample::select(vec![
        Given::Bytes,
        Given::File,
        Given::File,
        Given::File,
        Given::Stream,
        Given::Reader,
        Given::Session,
    ]);
    let len = prop_oneof![4 => 0usize..8000, 1 => Just(300_000)];
    let manners = prop_oneof![Just(Manners::default()), manners()];
    (len, given, manners, any::<bool>(), prop::collection::vec(process(), 1..4)).prop_map(
        |(len, given, manners, is_settled, processes)| Case {
            len,
            given,
            manners,
            is_settled,
            processes,
        },
    )
}
