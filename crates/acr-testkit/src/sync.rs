//! A lock that outlives a panicking holder: a failed test must not hide behind a poisoned mutex.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks, also after another holder panicked.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
