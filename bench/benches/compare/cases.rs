//! What is compared, and what the yardstick took where it was made.

/// A case, as both sides know it.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) work: Work,
    /// The yardstick's seconds on the machine of [`HASH`]: of a GiB, of one operation, of the list.
    pub(crate) expected: f64,
    pub(crate) target: &'static str,
}

/// What is done.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Work {
    Get,
    PutFile,
    Ping { tasks: u64 },
    SmallGet { tasks: u64 },
    Tags,
}

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) blob: u64,
    pub(crate) count: u64,
}

pub(crate) const CASES: &[Case] = &[
    case("download to nowhere", Work::Get, 0.934, "≤ 1.05"),
    case("upload of a file", Work::PutFile, 1.112, "≤ 0.80"),
    case("get of 16 KiB, 1 task", Work::SmallGet { tasks: 1 }, 41e-6, "≤ 1.20"),
    case("get of 16 KiB, 64 tasks", Work::SmallGet { tasks: 64 }, 27.7e-6, "≤ 1.20"),
    case("request without a body, 1 task", Work::Ping { tasks: 1 }, 17.2e-6, "+ 2.5 µs"),
    case("request without a body, 64 tasks", Work::Ping { tasks: 64 }, 9.9e-6, "+ 2.5 µs"),
    case("10,000 tags", Work::Tags, 0.005, "≤ 20 ms"),
];

/// Seconds that a GiB took to be hashed there.
pub(crate) const HASH: f64 = 0.76;

impl Work {
    /// Whether it is done many times, so that one takes the difference of two counts.
    pub(crate) fn is_small(self) -> bool {
        matches!(self, Self::Ping { .. } | Self::SmallGet { .. })
    }
}

const fn case(name: &'static str, work: Work, expected: f64, target: &'static str) -> Case {
    Case { name, work, expected, target }
}
