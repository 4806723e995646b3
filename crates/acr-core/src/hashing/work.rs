//! One content that is being hashed: what waits, who has the hash in hand, what is known.

use std::{collections::VecDeque, task::Waker};

use bytes::Bytes;

use super::sync::{Condvar, Mutex, guarded, lock, wait};
use crate::value::digest::Digester;

/// A content that threads and tasks hash together, in the order in which it was given.
///
/// Whoever has the digester in hand hashes outside of the lock. There is only one, so that no
/// two hash at the same time, and what comes next is decided under the lock.
pub(super) struct Work {
    state: Mutex<State>,
    /// Somebody put the digester back while a thread waited for it.
    back: Condvar,
}

/// What is known of a content under its lock.
pub(super) struct State {
    /// Away while somebody hashes with it.
    digester: Option<Digester>,
    /// How much was hashed, without what somebody has in hand.
    hashed: u64,
    /// The same, with it.
    taken: u64,
    given: u64,
    waiting: VecDeque<Bytes>,
    /// After which bytes the hash is to be kept, in their order.
    marks: VecDeque<u64>,
    kept: VecDeque<Digester>,
    /// The thread will go on with it.
    is_queued: bool,
    wakers: Wakers,
    /// How many threads wait for the digester.
    blocked: usize,
}

/// A part of a content in the hands of who hashes it.
pub(super) struct Turn {
    digester: Digester,
    part: Bytes,
}

/// What came of a turn.
pub(super) struct Outcome {
    /// More waits, and whoever has the content in its queue goes on.
    pub(super) is_more: bool,
    /// To be woken where no lock is held.
    pub(super) wakers: Wakers,
    /// To be dropped there.
    pub(super) part: Bytes,
}

/// What somebody who waits for a content has to do.
pub(super) enum Next<T> {
    Done(T),
    /// Hash some of it.
    Help,
    /// Somebody else does, and wakes.
    Wait,
}

/// Who waits.
#[derive(Default)]
pub(super) struct Wakers {
    first: Option<Waker>,
    others: Vec<Waker>,
}

impl Turn {
    pub(super) fn hash(&mut self) {
        self.digester.update(&self.part);
    }
}

impl Work {
    pub(super) fn new(digester: Digester) -> Self {
        let len = digester.len();
        let state = State {
            digester: Some(digester),
            hashed: len,
            taken: len,
            given: len,
            waiting: VecDeque::new(),
            marks: VecDeque::new(),
            kept: VecDeque::new(),
            is_queued: false,
            wakers: Wakers::default(),
            blocked: 0,
        };
        Self { state: Mutex::new(state), back: Condvar::new() }
    }

    /// Adds a piece behind all others, and perhaps a mark behind it.
    pub(super) fn give(&self, piece: Bytes, with_mark: bool) {
        if piece.is_empty() {
            return;
        }
        let mut state = lock(&self.state);
        state.given = state.given.saturating_add(piece.len() as u64);
        state.waiting.push_back(piece);
        if with_mark {
            let end = state.given;
            state.marks.push_back(end);
        }
    }

    /// Keeps the hash after so many bytes; whether it can still be had.
    pub(super) fn mark_at(&self, len: u64) -> bool {
        let mut state = lock(&self.state);
        if len < state.taken || state.marks.back().is_some_and(|last| len < *last) {
            return false;
        }
        match &state.digester {
            Some(digester) if len == state.hashed => {
                let digester = digester.clone();
                state.kept.push_back(digester);
            }
            _ => state.marks.push_back(len),
        }
        true
    }

    pub(super) fn take_kept(&self) -> Option<Digester> {
        lock(&self.state).kept.pop_front()
    }

    /// How many bytes were given.
    pub(super) fn given(&self) -> u64 {
        lock(&self.state).given
    }

    /// How many of them are not hashed yet.
    pub(super) fn waiting(&self) -> u64 {
        let state = lock(&self.state);
        state.given.saturating_sub(state.hashed)
    }

    pub(super) fn is_queued(&self) -> bool {
        lock(&self.state).is_queued
    }

    /// Says that the thread will go on with it; whether nobody has said so before.
    pub(super) fn queue(&self) -> bool {
        !std::mem::replace(&mut lock(&self.state).is_queued, true)
    }

    /// Says that it will not. Whoever relied on it is to be woken.
    pub(super) fn unqueue(&self) -> Wakers {
        let mut state = lock(&self.state);
        state.is_queued = false;
        state.wakers.take()
    }

    /// Takes some of what comes next, not beyond a mark. None if there is nothing, or if somebody
    /// else has the digester.
    pub(super) fn take(&self, most: usize) -> Option<Turn> {
        lock(&self.state).take(most)
    }

    /// The same for the thread, which does not come back if there is nothing for it: whoever has the
    /// digester wakes those who relied on it.
    pub(super) fn take_queued(&self, most: usize) -> Option<Turn> {
        let mut state = lock(&self.state);
        let turn = state.take(most);
        if turn.is_none() {
            state.is_queued = false;
        }
        turn
    }

    /// Gives back what was taken, and hashed.
    pub(super) fn put_back(&self, turn: Turn) -> Outcome {
        let Turn { digester, part } = turn;
        let mut state = lock(&self.state);
        state.hashed = digester.len();
        let mut is_marked = false;
        while state.marks.front().is_some_and(|mark| *mark <= state.hashed) {
            state.marks.pop_front();
            state.kept.push_back(digester.clone());
            is_marked = true;
        }
        state.digester = Some(digester);
        let is_more = !state.waiting.is_empty();
        state.is_queued &= is_more;
        // Where nobody is bound to go on, those who wait do.
        let wakers =
            if is_marked || !state.is_queued { state.wakers.take() } else { Wakers::default() };
        if state.blocked > 0 {
            self.back.notify_all();
        }
        Outcome { is_more: state.is_queued, wakers, part }
    }

    /// Whether what somebody waits for is there, and else what to do. If it is to wait, the waker is
    /// kept.
    pub(super) fn next_of<T>(&self, look: fn(&mut State) -> Option<T>, waker: &Waker) -> Next<T> {
        let mut state = lock(&self.state);
        if let Some(there) = look(&mut state) {
            return Next::Done(there);
        }
        if state.is_queued || state.digester.is_none() {
            state.wakers.add(waker);
            return Next::Wait;
        }
        Next::Help
    }

    /// Hashes all that was given, on this thread as far as nobody else does.
    pub(super) fn settle_now(&self, most: usize) -> Digester {
        loop {
            let mut turn = {
                let mut state = lock(&self.state);
                loop {
                    if state.waiting.is_empty()
                        && let Some(digester) = &state.digester
                    {
                        return digester.clone();
                    }
                    if let Some(turn) = state.take(most) {
                        break turn;
                    }
                    state.blocked = state.blocked.saturating_add(1);
                    state = wait(&self.back, state);
                    state.blocked = state.blocked.saturating_sub(1);
                }
            };
            turn.hash();
            let Outcome { wakers, .. } = self.put_back(turn);
            wakers.wake();
        }
    }

    /// Forgets what waits: nobody wants it any more.
    pub(super) fn abandon(&self) {
        let (waiting, wakers) = {
            let mut state = lock(&self.state);
            state.marks.clear();
            (std::mem::take(&mut state.waiting), state.wakers.take())
        };
        // What others wrote may run here.
        drop((waiting, wakers));
    }
}

impl State {
    /// The next hash that is kept; the inner None if none is to come of what was given.
    pub(super) fn kept(&mut self) -> Option<Option<Digester>> {
        match self.kept.pop_front() {
            None if self.settled().is_some() => Some(None),
            kept => kept.map(Some),
        }
    }

    /// Whether all is hashed.
    pub(super) fn settled(&mut self) -> Option<()> {
        (self.waiting.is_empty() && self.digester.is_some()).then_some(())
    }

    fn take(&mut self, most: usize) -> Option<Turn> {
        let first = self.waiting.front_mut()?;
        let digester = self.digester.take()?;
        let up_to_mark =
            self.marks.front().map_or(u64::MAX, |mark| mark.saturating_sub(self.taken));
        let most = usize::try_from(up_to_mark).unwrap_or(usize::MAX).min(most).max(1);
        let part = if first.len() > most {
            first.split_to(most)
        } else {
            self.waiting.pop_front().unwrap_or_default()
        };
        self.taken = self.taken.saturating_add(part.len() as u64);
        Some(Turn { digester, part })
    }
}

impl Wakers {
    fn add(&mut self, waker: &Waker) {
        match &self.first {
            None => self.first = Some(waker.clone()),
            Some(first) if first.will_wake(waker) => {}
            _ if self.others.iter().any(|other| other.will_wake(waker)) => {}
            _ => self.others.push(waker.clone()),
        }
    }

    fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    /// Wakes each of them, also where another one's code panics.
    pub(super) fn wake(self) {
        for waker in self.first.into_iter().chain(self.others) {
            guarded(|| waker.wake());
        }
    }
}
