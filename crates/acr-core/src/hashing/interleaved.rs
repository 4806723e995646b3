//! A lane and its thread in the interleavings of all threads: the same code with the locks and
//! threads of loom.

#![allow(
    clippy::duplicate_mod,
    dead_code,
    unreachable_pub,
    unnameable_types,
    reason = "the same code with other locks"
)]

use std::task::{Context, Poll, Wake, Waker};

use loom::sync::{Condvar, Mutex};

use self::{
    hasher::{Hasher, Hashing},
    lane::Lane,
};
use crate::value::digest::{Digest, Digester};

mod sync {
    pub(super) use loom::{
        sync::{Arc, Condvar, Mutex, MutexGuard},
        thread::JoinHandle,
    };

    pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap()
    }

    pub(super) fn wait<'a, T>(signal: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        signal.wait(guard).unwrap()
    }

    /// For ever: whoever relied on the time would hang here.
    pub(super) fn wait_briefly<'a, T>(
        signal: &Condvar,
        guard: MutexGuard<'a, T>,
    ) -> (MutexGuard<'a, T>, bool) {
        (wait(signal, guard), false)
    }

    #[allow(clippy::unnecessary_wraps, reason = "others can fail")]
    pub(super) fn spawn(
        _: &str,
        work: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<JoinHandle<()>> {
        Ok(loom::thread::spawn(work))
    }

    pub(super) fn is_this_thread(thread: &JoinHandle<()>) -> bool {
        thread.thread().id() == loom::thread::current().id()
    }

    pub(super) fn guarded(foreign: impl FnOnce()) {
        foreign();
    }
}

mod clock {
    pub(super) fn stands_still() -> bool {
        false
    }
}

#[path = "hasher.rs"]
mod hasher;
#[path = "lane.rs"]
mod lane;
#[path = "thread.rs"]
mod thread;
#[path = "work.rs"]
mod work;

/// Runs a function in all interleavings with so many unforced switches between threads, in
/// which nearly all mistakes of this kind show.
fn model(function: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(function);
}

/// A thread that sleeps until it is woken.
#[derive(Default)]
struct Sleeper {
    is_woken: Mutex<bool>,
    changed: Condvar,
}

impl Wake for Sleeper {
    fn wake(self: std::sync::Arc<Self>) {
        *self.is_woken.lock().unwrap() = true;
        self.changed.notify_one();
    }
}

/// Polls until it is there. Whoever is not woken sleeps for ever, which loom tells.
fn wait_for<T>(poll: impl Fn(&mut Context<'_>) -> Poll<T>) -> T {
    let sleeper = std::sync::Arc::new(Sleeper::default());
    let waker = Waker::from(std::sync::Arc::clone(&sleeper));
    loop {
        if let Poll::Ready(there) = poll(&mut Context::from_waker(&waker)) {
            return there;
        }
        let mut is_woken = sleeper.is_woken.lock().unwrap();
        while !*is_woken {
            is_woken = sleeper.changed.wait(is_woken).unwrap();
        }
        *is_woken = false;
    }
}

fn settled(lane: &Lane) {
    wait_for(|cx| lane.poll_settled(cx));
}

fn kept(lane: &Lane) -> Digest {
    wait_for(|cx| lane.poll_kept(cx)).expect("it is kept").finish()
}

#[test]
fn each_piece_has_its_hash_in_order() {
    model(|| {
        let lane = Lane::new(&Hasher::new(Hashing::Beside), Digester::default());
        lane.give_and_keep("abc".into());
        lane.give_and_keep("de".into());
        assert_eq!(kept(&lane), Digest::sha256(b"abc"));
        lane.give_and_keep("f".into());
        assert_eq!(kept(&lane), Digest::sha256(b"abcde"));
        assert_eq!(kept(&lane), Digest::sha256(b"abcdef"));
        assert!(wait_for(|cx| lane.poll_kept(cx)).is_none());
    });
}

#[test]
fn whoever_hashes_and_waits_it_is_one_content() {
    model(|| {
        let lane =
            loom::sync::Arc::new(Lane::new(&Hasher::new(Hashing::Beside), Digester::default()));
        assert!(lane.keep_at(2));
        lane.give("abc".into());
        let waits = loom::sync::Arc::clone(&lane);
        let waits = loom::thread::spawn(move || settled(&waits));
        lane.give_here("def".into());
        assert_eq!(lane.settle_now().finish(), Digest::sha256(b"abcdef"));
        waits.join().unwrap();
        assert_eq!(lane.kept().unwrap().finish(), Digest::sha256(b"ab"));
        assert_eq!((lane.given(), lane.waiting()), (6, 0));
    });
}

/// Two that wait, of whom the thread does not know.
#[test]
fn who_hashes_for_others_wakes_them() {
    model(|| {
        let lane =
            loom::sync::Arc::new(Lane::new(&Hasher::new(Hashing::Here), Digester::default()));
        lane.give_and_keep("ab".into());
        lane.give("cd".into());
        let waits = loom::sync::Arc::clone(&lane);
        let waits = loom::thread::spawn(move || settled(&waits));
        assert_eq!(kept(&lane), Digest::sha256(b"ab"));
        settled(&lane);
        waits.join().unwrap();
        assert_eq!(lane.settle_now().finish(), Digest::sha256(b"abcd"));
    });
}

#[test]
fn a_lane_may_be_left_at_any_moment() {
    model(|| {
        let hasher = Hasher::new(Hashing::Beside);
        let left = Lane::new(&hasher, Digester::default());
        left.give("abc".into());
        assert!(left.keep_at(3) || left.waiting() == 0);
        left.give("def".into());
        drop(left);
        let lane = Lane::new(&hasher, Digester::default());
        lane.give("gh".into());
        settled(&lane);
        assert_eq!(lane.settle_now().finish(), Digest::sha256(b"gh"));
    });
}

/// Owns the last of a client, as a task does that is dropped when it is woken.
struct Owner(Mutex<Option<Lane>>);

impl Wake for Owner {
    fn wake(self: std::sync::Arc<Self>) {
        let owned = self.0.lock().unwrap().take();
        drop(owned);
    }
}

#[test]
fn the_thread_may_drop_the_last_of_a_client() {
    model(|| {
        let owner = std::sync::Arc::new(Owner(Mutex::new(None)));
        let waker = Waker::from(std::sync::Arc::clone(&owner));
        let lane = Lane::new(&Hasher::new(Hashing::Beside), Digester::default());
        lane.give("abc".into());
        if lane.poll_settled(&mut Context::from_waker(&waker)).is_pending() {
            *owner.0.lock().unwrap() = Some(lane);
        }
    });
}
