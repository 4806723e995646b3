//! One content, as whoever reads or sends it sees its hash.

use std::{
    fmt,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use tokio::task::coop;

use super::{
    clock,
    hasher::Hasher,
    sync::Arc,
    work::{Next, State, Work},
};
use crate::value::digest::Digester;

/// One content whose pieces are hashed in the order in which they are given, by whoever has time:
/// the thread of the [`Hasher`], or whoever waits for it here.
///
/// A piece has its place from the moment it is given; it makes no difference who waits, and who is
/// dropped meanwhile. Dropping the lane forgets what is not hashed yet.
///
/// It keeps what it is given until that is hashed: whoever gives, looks at [`Lane::waiting`].
///
/// ```
/// use acr_core::{Digest, Digester, hashing::{Hasher, Lane}};
/// use std::future::poll_fn;
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let lane = Lane::new(&Hasher::default(), Digester::default());
/// assert!(lane.keep_at(3));
/// lane.give_and_keep("hello ".into());
/// lane.give("wor".into());
/// lane.give_here("ld".into());
/// assert_eq!(lane.given(), 11);
///
/// let first = poll_fn(|cx| lane.poll_kept(cx)).await;
/// assert_eq!(first.map(Digester::finish), Some(Digest::sha256(b"hel")));
/// poll_fn(|cx| lane.poll_settled(cx)).await;
/// assert_eq!(lane.waiting(), 0);
/// assert!(!lane.is_beside(), "the thread has nothing to do");
/// assert_eq!(lane.kept().map(Digester::finish), Some(Digest::sha256(b"hello ")));
/// assert_eq!(lane.settle_now().finish(), Digest::sha256(b"hello world"));
/// # });
/// ```
pub struct Lane {
    hasher: Hasher,
    work: Arc<Work>,
}

impl Lane {
    /// Goes on from a hash.
    pub fn new(hasher: &Hasher, digester: Digester) -> Self {
        Self { hasher: hasher.clone(), work: Arc::new(Work::new(digester)) }
    }

    /// Gives the next piece.
    pub fn give(&self, piece: Bytes) {
        self.begin(piece, false);
    }

    /// Gives the next piece; the hash after it is kept for [`Lane::poll_kept`].
    pub fn give_and_keep(&self, piece: Bytes) {
        self.begin(piece, true);
    }

    fn begin(&self, piece: Bytes, is_kept: bool) {
        let len = piece.len();
        self.work.give(piece, is_kept);
        if len > 0 {
            self.hasher.take_on(&self.work, len);
        }
    }

    /// Gives the next piece to whoever settles, and not to the thread: it is warm here.
    pub fn give_here(&self, piece: Bytes) {
        self.work.give(piece, false);
    }

    /// Keeps the hash after so many bytes too, behind those that are to be kept already; whether it
    /// can still be had.
    pub fn keep_at(&self, len: u64) -> bool {
        self.work.mark_at(len)
    }

    /// The next hash that was kept, if there is one by now.
    pub fn kept(&self) -> Option<Digester> {
        self.work.take_kept()
    }

    /// How many bytes were given and hashed, with those that were hashed before it began.
    pub fn given(&self) -> u64 {
        self.work.given()
    }

    /// How many of them are not hashed yet.
    pub fn waiting(&self) -> u64 {
        self.work.waiting()
    }

    /// Whether the thread goes on with it, so that there is time for something else.
    pub fn is_beside(&self) -> bool {
        self.work.is_queued()
    }

    /// Waits for the next hash that is kept. None if none is to come of what was given.
    pub fn poll_kept(&self, cx: &mut Context<'_>) -> Poll<Option<Digester>> {
        self.poll_until(cx, State::kept)
    }

    /// Waits until all that was given is hashed.
    pub fn poll_settled(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_until(cx, State::settled)
    }

    /// Hashes here and now whatever is not hashed yet; the hash of all that was given.
    pub fn settle_now(&self) -> Digester {
        self.work.settle_now(AT_ONCE)
    }

    fn poll_until<T>(&self, cx: &mut Context<'_>, look: fn(&mut State) -> Option<T>) -> Poll<T> {
        loop {
            match self.work.next_of(look, cx.waker()) {
                Next::Done(there) => return Poll::Ready(there),
                Next::Wait => {
                    if clock::stands_still() {
                        cx.waker().wake_by_ref();
                    }
                    return Poll::Pending;
                }
                Next::Help => {
                    let mind = ready!(coop::poll_proceed(cx));
                    if let Some(mut turn) = self.work.take(AT_ONCE) {
                        turn.hash();
                        self.work.put_back(turn).wakers.wake();
                    }
                    mind.made_progress();
                }
            }
        }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.work.abandon();
    }
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane")
            .field("given", &self.given())
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}

/// Hashed by a task before it looks whether others want to run: a tenth of a millisecond.
const AT_ONCE: usize = 128 * 1024;
