//! Who hashes: the task that reads, or a thread beside it.

use std::{fmt, sync::OnceLock, thread::available_parallelism};

use super::{clock, sync::Arc, thread::Thread, work::Work};

/// Where content is hashed: set with [`PipelineBuilder::hashing`](crate::PipelineBuilder::hashing).
///
/// Whatever is chosen, the same is hashed in the same order; it only decides who does it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hashing {
    /// Long content beside the task that reads it, on a thread of the client, while the
    /// next piece travels; short content within the task. Where there is one processor only, or
    /// tokio's clock is paused as tests do it, as [`Hashing::Here`].
    #[default]
    Auto,
    /// Within the task that reads it.
    Here,
    /// On the thread, however short it is. Under a paused clock of tokio the task looks again and
    /// again for what the thread does instead of sleeping, so that time does not pass meanwhile.
    Beside,
}

/// Hashes for all transfers of a client, perhaps on a thread of its own. Clones share it.
///
/// The thread, `acr-hash`, is made by the first content that is long enough, and ended by the last
/// clone. If it cannot be made, content is hashed by the tasks that read it.
///
/// ```
/// use acr_core::{Digest, Digester, hashing::{Hasher, Hashing, Lane}};
///
/// let lane = Lane::new(&Hasher::new(Hashing::Beside), Digester::default());
/// for piece in ["hello ", "world"] {
///     lane.give(piece.into());
/// }
/// assert_eq!(lane.settle_now().finish(), Digest::sha256(b"hello world"));
/// ```
#[derive(Clone)]
pub struct Hasher(Arc<Inner>);

struct Inner {
    hashing: Hashing,
    thread: Thread,
    has_one_processor: OnceLock<bool>,
}

impl Hasher {
    /// Hashes where it is told to.
    pub fn new(hashing: Hashing) -> Self {
        Self::with(hashing, Thread::new())
    }

    fn with(hashing: Hashing, thread: Thread) -> Self {
        Self(Arc::new(Inner { hashing, thread, has_one_processor: OnceLock::new() }))
    }

    /// As on a machine where no thread can be made.
    #[cfg(test)]
    pub(super) fn without_thread(hashing: Hashing) -> Self {
        Self::with(hashing, Thread::none())
    }

    /// Lets the thread go on with a content that was given a piece of some length, unless the task
    /// shall hash it.
    pub(super) fn take_on(&self, work: &Arc<Work>, piece: usize) {
        let fewer_than = match self.0.hashing {
            Hashing::Here => return,
            Hashing::Beside => usize::MAX,
            Hashing::Auto if piece < LARGE || work.given() < LONG || !self.can_be_beside() => {
                return;
            }
            Hashing::Auto => SHARED,
        };
        if work.queue() && !self.0.thread.take_on(work, fewer_than) {
            work.unqueue().wake();
        }
    }

    fn can_be_beside(&self) -> bool {
        // It knows which processors this process may use, and how much of them.
        let has_one = || available_parallelism().map_or(1, usize::from) == 1;
        !self.0.has_one_processor.get_or_init(has_one) && !clock::stands_still()
    }
}

impl Default for Hasher {
    fn default() -> Self {
        Self::new(Hashing::default())
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hasher").field("hashing", &self.0.hashing).finish_non_exhaustive()
    }
}

/// A piece of this length is worth waking a thread: it takes a tenth of a millisecond.
const LARGE: usize = 128 * 1024;

/// A content of this length is worth a thread.
const LONG: u64 = 1024 * 1024;

/// With as many contents in its queue the thread has enough to do: the tasks of others hash for
/// themselves, so that many transfers are not held to the pace of one processor.
const SHARED: usize = 2;
