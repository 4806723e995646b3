//! The one thread that hashes, and the contents that wait for it.

use std::collections::VecDeque;

use super::{
    sync::{
        Arc, Condvar, JoinHandle, Mutex, guarded, is_this_thread, lock, spawn, wait, wait_briefly,
    },
    work::Work,
};

/// A thread that is made when it is first needed, and ended when this is dropped.
pub(super) struct Thread {
    queue: Arc<Queue>,
    handle: Mutex<Handle>,
}

enum Handle {
    NotMade,
    Made(JoinHandle<()>),
    /// It cannot be made, here or now.
    None,
}

struct Queue {
    state: Mutex<State>,
    /// There is something to do, or nothing any more.
    changed: Condvar,
    ended: Condvar,
}

#[derive(Default)]
struct State {
    works: VecDeque<Arc<Work>>,
    /// One of them is in the thread's hands.
    is_busy: bool,
    is_asleep: bool,
    is_over: bool,
    has_ended: bool,
}

impl Thread {
    pub(super) fn new() -> Self {
        let queue =
            Queue { state: Mutex::default(), changed: Condvar::new(), ended: Condvar::new() };
        Self { queue: Arc::new(queue), handle: Mutex::new(Handle::NotMade) }
    }

    /// One that cannot be made.
    #[cfg(test)]
    pub(super) fn none() -> Self {
        let thread = Self::new();
        *lock(&thread.handle) = Handle::None;
        thread
    }

    /// Lets the thread go on with a content, if there is one and it has fewer than so many in its
    /// queue; whether it does.
    pub(super) fn take_on(&self, work: &Arc<Work>, fewer_than: usize) -> bool {
        self.is_made() && self.queue.push(Arc::clone(work), fewer_than)
    }

    fn is_made(&self) -> bool {
        let mut handle = lock(&self.handle);
        if matches!(*handle, Handle::NotMade) {
            let queue = Arc::clone(&self.queue);
            *handle = match spawn(NAME, move || queue.run()) {
                Ok(made) => Handle::Made(made),
                Err(error) => {
                    tracing::debug!(%error, "no thread to hash on: it is done where content is read");
                    Handle::None
                }
            };
        }
        matches!(*handle, Handle::Made(_))
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        let handle = std::mem::replace(&mut *lock(&self.handle), Handle::None);
        let Handle::Made(thread) = handle else { return };
        // It may be the thread itself that drops this: what it wakes may own the last of us.
        if self.queue.end(is_this_thread(&thread)) {
            // It does nothing any more.
            let _ = thread.join();
        }
    }
}

impl Queue {
    fn push(&self, work: Arc<Work>, fewer_than: usize) -> bool {
        let mut state = lock(&self.state);
        if state.works.len().saturating_add(usize::from(state.is_busy)) >= fewer_than {
            return false;
        }
        state.works.push_back(work);
        if std::mem::take(&mut state.is_asleep) {
            self.changed.notify_one();
        }
        true
    }

    /// What the thread does: a slice of each content in turn.
    fn run(&self) {
        while let Some(work) = self.next() {
            let Some(mut turn) = work.take_queued(SLICE) else {
                continue;
            };
            turn.hash();
            let outcome = work.put_back(turn);
            if outcome.is_more {
                self.push(Arc::clone(&work), usize::MAX);
            }
            // Wakers and owners of bytes are not ours, and may drop what is.
            outcome.wakers.wake();
            guarded(|| drop(outcome.part));
        }
        let mut state = lock(&self.state);
        state.has_ended = true;
        self.ended.notify_all();
    }

    fn next(&self) -> Option<Arc<Work>> {
        let mut state = lock(&self.state);
        state.is_busy = false;
        loop {
            if state.is_over {
                return None;
            }
            if let Some(work) = state.works.pop_front() {
                state.is_busy = true;
                return Some(work);
            }
            state.is_asleep = true;
            state = wait(&self.changed, state);
        }
    }

    /// Ends the thread; whether it has ended. What it wakes belongs to others, who may wait for the
    /// one that drops us: so nobody waits long for it.
    fn end(&self, is_asked_by_thread: bool) -> bool {
        let mut state = lock(&self.state);
        state.is_over = true;
        self.changed.notify_one();
        while !state.has_ended && !is_asked_by_thread {
            let is_late;
            (state, is_late) = wait_briefly(&self.ended, state);
            if is_late {
                break;
            }
        }
        state.has_ended
    }
}

/// What it is called in lists of threads.
const NAME: &str = "acr-hash";

/// Hashed in one go: a quarter of a usual second-level cache, and a fifth of a millisecond.
const SLICE: usize = 256 * 1024;
