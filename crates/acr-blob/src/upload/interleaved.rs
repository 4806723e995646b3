//! The hash of an upload in the interleavings of its threads: `ordered` once more, with
//! the locks of loom.

#![allow(clippy::duplicate_mod, reason = "the same code with other locks")]

use acr_core::{Digest, Digester};
use bytes::Bytes;

use self::ordered::Ordered;

mod sync {
    pub(super) use loom::sync::{Arc, Mutex, MutexGuard};

    pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap()
    }
}

#[allow(dead_code, reason = "only what threads share is looked at here")]
#[path = "ordered.rs"]
mod ordered;

/// Runs a function in all interleavings with so many unforced switches between threads, in
/// which nearly all mistakes of this kind show.
fn model(function: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(function);
}

/// A caller that was dropped twice, and the threads that it left behind.
#[test]
fn a3_hashing_keeps_the_order_however_threads_take_turns() {
    model(|| {
        let whole = Bytes::from_static(b"abcdef");
        let hashed = Ordered::new(Digester::default());
        let mut left = Vec::new();
        for (start, piece) in [(0, whole.slice(..3)), (3, whole.slice(3..5))] {
            hashed.push(start, &piece).unwrap();
            let hashed = hashed.clone();
            left.push(loom::thread::spawn(move || hashed.drain()));
        }
        hashed.push(5, &whole.slice(5..)).unwrap();
        assert_eq!(hashed.digester().finish(), Digest::sha256(&whole));
        left.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(hashed.given(), 6);
    });
}

/// A body that was given up reads and hashes a piece that another body has read again.
#[test]
fn a3_a_piece_that_is_given_twice_is_hashed_once() {
    model(|| {
        let whole = Bytes::from_static(b"abcdef");
        let hashed = Ordered::new(Digester::default());
        hashed.push(0, &whole.slice(..3)).unwrap();
        let (late, piece) = (hashed.clone(), whole.slice(3..6));
        let thread = loom::thread::spawn(move || {
            late.push(3, &piece).unwrap();
            late.drain();
        });
        hashed.push(3, &whole.slice(3..5)).unwrap();
        hashed.push(5, &whole.slice(5..)).unwrap();
        hashed.drain();
        thread.join().unwrap();
        assert_eq!(hashed.digester().finish(), Digest::sha256(&whole));
    });
}
