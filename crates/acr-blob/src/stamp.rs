//! What a file system says about a file, to notice that it changed.

use serde::{Deserialize, Serialize};

/// Length, times and identity of a file at some moment. Part of checkpoints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    len: u64,
    modified: Option<Moment>,
    /// Only Unix tells it; without it nothing proves that a file is the same one.
    identity: Option<Identity>,
    /// The last change lay far enough back, so that another one has another time, and that time
    /// is one that nobody can set: without an identity a content is read again to be sure.
    is_settled: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Identity {
    device: u64,
    inode: u64,
    /// Moves with every change of content or attributes, and nobody can set it.
    changed: Moment,
}

/// Seconds since 1970, and nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Moment(i64, i64);

impl Stamp {
    #[cfg(feature = "fs")]
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Whether a change since then would show.
    #[cfg(feature = "fs")]
    pub(crate) fn is_settled(&self) -> bool {
        self.is_settled
    }

    /// Whether a file that looks like this now cannot have changed since.
    pub(crate) fn proves(&self, now: &Self) -> bool {
        self.is_settled && self.identity.is_some() && self.change(now).is_none()
    }

    /// What is visibly different now.
    pub(crate) fn change(&self, now: &Self) -> Option<&'static str> {
        if now.len < self.len {
            Some("it became shorter")
        } else if now.len > self.len {
            Some("it became longer")
        } else if now.modified != self.modified {
            Some("it was written to")
        } else if now.identity != self.identity {
            Some("it was changed or replaced")
        } else {
            None
        }
    }
}

#[cfg(feature = "fs")]
impl Stamp {
    pub(crate) fn of(metadata: &std::fs::Metadata) -> Self {
        Self::at(metadata, Moment::of(std::time::SystemTime::now()))
    }

    fn at(metadata: &std::fs::Metadata, now: Option<Moment>) -> Self {
        let modified = metadata.modified().ok().and_then(Moment::of);
        let identity = identity(metadata);
        let changed = identity.as_ref().map(|identity| identity.changed);
        let is_settled = match (now, modified) {
            (Some(now), Some(modified)) => {
                now.is_well_after(modified) && changed.is_some_and(|at| now.is_well_after(at))
            }
            _ => false,
        };
        Self { len: metadata.len(), modified, identity, is_settled }
    }
}

#[cfg(all(feature = "fs", unix))]
fn identity(metadata: &std::fs::Metadata) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt as _;
    let changed = Moment(metadata.ctime(), metadata.ctime_nsec());
    Some(Identity { device: metadata.dev(), inode: metadata.ino(), changed })
}

#[cfg(all(feature = "fs", not(unix)))]
fn identity(_: &std::fs::Metadata) -> Option<Identity> {
    None
}

#[cfg(feature = "fs")]
impl Moment {
    fn of(time: std::time::SystemTime) -> Option<Self> {
        let since = time.duration_since(std::time::UNIX_EPOCH).ok()?;
        Some(Self(i64::try_from(since.as_secs()).ok()?, i64::from(since.subsec_nanos())))
    }

    /// Whether another change at this moment would have got a later time. Kernels move the
    /// times of files on with their timer, every few milliseconds; some file systems know
    /// only whole seconds, FAT every second one.
    fn is_well_after(self, earlier: Self) -> bool {
        let grain = if earlier.1 == 0 { 3_000_000_000 } else { 50_000_000 };
        let nanos = |at: Self| i128::from(at.0) * 1_000_000_000 + i128::from(at.1);
        nanos(self) - nanos(earlier) >= grain
    }
}

#[cfg(all(test, feature = "fs", unix))]
mod tests {
    use super::*;

    fn stamp(moment: Moment, now: Moment) -> Stamp {
        let is_settled = now.is_well_after(moment);
        let identity = Some(Identity { device: 1, inode: 2, changed: moment });
        Stamp { len: 3, modified: Some(moment), identity, is_settled }
    }

    #[test]
    fn only_a_settled_stamp_proves_anything() {
        for (moment, now, is_settled) in [
            (Moment(10, 5), Moment(10, 50_000_004), false),
            (Moment(10, 5), Moment(10, 50_000_005), true),
            // A clock of another machine.
            (Moment(11, 5), Moment(10, 0), false),
            // Whole seconds.
            (Moment(10, 0), Moment(12, 999_999_999), false),
            (Moment(10, 0), Moment(13, 0), true),
        ] {
            let stamp = stamp(moment, now);
            assert_eq!(stamp.is_settled(), is_settled, "{moment:?} {now:?}");
            assert_eq!(stamp.proves(&stamp), is_settled);
        }
    }

    #[test]
    fn each_part_shows_a_change_and_without_an_identity_nothing_is_proven() {
        let now = Moment(20, 0);
        let first = stamp(Moment(10, 5), now);
        let identity = |change: fn(&mut Identity)| {
            let mut other = first.clone();
            other.identity.as_mut().into_iter().for_each(change);
            other
        };
        for other in [
            Stamp { len: 2, ..first.clone() },
            Stamp { len: 4, ..first.clone() },
            Stamp { modified: Some(Moment(10, 6)), ..first.clone() },
            identity(|identity| identity.device = 3),
            identity(|identity| identity.inode = 3),
            identity(|identity| identity.changed = Moment(10, 6)),
        ] {
            assert!(first.change(&other).is_some() && !first.proves(&other), "{other:?}");
        }
        let foreign = Stamp { identity: None, ..first };
        assert!(foreign.change(&foreign).is_none() && !foreign.proves(&foreign));
    }

    #[test]
    fn a_file_that_was_just_written_is_not_settled() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let metadata = file.as_file().metadata().unwrap();
        assert!(!Stamp::of(&metadata).is_settled());
        let later = Moment(i64::from(u32::MAX), 0);
        assert!(Stamp::at(&metadata, Some(later)).is_settled());
        assert_eq!(Stamp::of(&metadata).len(), 0);
    }
}
