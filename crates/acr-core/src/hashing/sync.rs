//! Locks and threads, in one place, so that a test can put others in theirs.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::PoisonError,
    time::Duration,
};
pub(super) use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread::JoinHandle,
};

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn wait<'a, T>(signal: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    signal.wait(guard).unwrap_or_else(PoisonError::into_inner)
}

/// Waits, but not long; whether it was in vain.
pub(super) fn wait_briefly<'a, T>(
    signal: &Condvar,
    guard: MutexGuard<'a, T>,
) -> (MutexGuard<'a, T>, bool) {
    let (guard, result) =
        signal.wait_timeout(guard, BRIEFLY).unwrap_or_else(PoisonError::into_inner);
    (guard, result.timed_out())
}

/// A thread with this name, if there can be one.
pub(super) fn spawn(
    name: &str,
    work: impl FnOnce() + Send + 'static,
) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work)
}

/// Whether this is the thread that asks.
pub(super) fn is_this_thread(thread: &JoinHandle<()>) -> bool {
    thread.thread().id() == std::thread::current().id()
}

/// Runs what others wrote; a panic of theirs ends there.
pub(super) fn guarded(foreign: impl FnOnce()) {
    // The hook of the program has told of it already.
    let _ = catch_unwind(AssertUnwindSafe(foreign));
}

/// A slice of a content takes a fifth of a millisecond.
const BRIEFLY: Duration = Duration::from_millis(50);
