//! A lane: the calls of one kind to one host, those that are on the way and those that wait.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Waker},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    ending::Ending,
    rate::{Gate, Rate, Refusal},
    snapshot::LaneState,
    window::Window,
};
use crate::{
    http::error::{Error, ErrorKind},
    layer::deadline::after,
};

/// The calls of one kind to one host.
#[derive(Debug)]
pub(super) struct Lane {
    start: Instant,
    most_waiting: Arc<AtomicUsize>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    rate: Rate,
    window: Window,
    in_flight: u32,
    /// In the order in which they came.
    waiting: BTreeMap<u64, Waker>,
    next: u64,
    taken: u64,
    throttled: u64,
}

/// A call's place in the queue. Dropped, it lets the next one come up.
#[derive(Debug)]
pub(super) struct Place {
    lane: Arc<Lane>,
    number: Option<u64>,
}

/// What a look at the queue says.
#[derive(Debug)]
pub(super) enum Turn {
    Now(Permit),
    /// Look again at this time, or when woken.
    At(Instant),
    /// Look again when woken.
    Later,
    Full(Error),
}

/// A call that is on the way. Dropped without an ending, nothing is known of it.
#[derive(Debug)]
pub(super) struct Permit {
    lane: Arc<Lane>,
    epoch: u32,
    sent: f64,
    found_full: bool,
    ending: Ending,
}

impl Lane {
    pub(super) fn new(most_waiting: Arc<AtomicUsize>) -> Self {
        let state = State {
            rate: Rate::new(0.0),
            window: Window::new(0.0),
            in_flight: 0,
            waiting: BTreeMap::new(),
            next: 0,
            taken: 0,
            throttled: 0,
        };
        Self { start: Instant::now(), most_waiting, state: Mutex::new(state) }
    }

    pub(super) fn snapshot(&self, host: &str, is_read: bool) -> LaneState {
        let now = self.now();
        let state = self.lock();
        LaneState {
            host: host.to_owned(),
            is_read,
            calls_per_second: state.rate.per_second(now),
            paused: state.rate.pause(now).and_then(|pause| Duration::try_from_secs_f64(pause).ok()),
            window: state.window.size(),
            in_flight: state.in_flight,
            waiting: state.waiting.len(),
            taken: state.taken,
            throttled: state.throttled,
        }
    }

    /// Seconds since the lane was made.
    fn now(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    fn at(&self, seconds: f64) -> Instant {
        after(self.start, Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call has ended; whoever is first may go now.
    fn end(&self, permit: &Permit) {
        let now = self.now();
        let mut state = self.lock();
        state.in_flight = state.in_flight.saturating_sub(1);
        state.note(permit, now);
        let first = state.first();
        drop(state);
        first.inspect(Waker::wake_by_ref);
    }
}

impl State {
    fn gate(&mut self, now: f64) -> Gate {
        if self.in_flight >= self.window.size() { Gate::Held } else { self.rate.gate(now) }
    }

    fn first(&self) -> Option<Waker> {
        self.waiting.first_key_value().map(|(_, waker)| waker.clone())
    }

    fn note(&mut self, permit: &Permit, now: f64) {
        let (epoch, sent) = (permit.epoch, permit.sent);
        match permit.ending {
            Ending::Unknown => self.rate.lost(epoch),
            Ending::TimedOut => {
                self.rate.lost(epoch);
                self.window.strained(sent, now);
            }
            Ending::Throttled { wish } => {
                self.throttled += 1;
                let wish = wish.map(|wish| wish.as_secs_f64());
                if self.rate.refused(now, epoch, Refusal { wish, jitter: fastrand::f64() }) {
                    self.window.strained(sent, now);
                }
            }
            Ending::Answered { left, is_overloaded, is_comparable } => {
                self.taken += 1;
                self.rate.taken(now, epoch);
                left.into_iter().for_each(|left| self.rate.told(now, left));
                if is_overloaded {
                    self.window.strained(sent, now);
                    return;
                }
                if permit.found_full {
                    self.window.was_full(sent);
                }
                if is_comparable {
                    self.window.took(sent, now);
                }
            }
        }
    }
}

impl Place {
    pub(super) fn new(lane: Arc<Lane>) -> Self {
        Self { lane, number: None }
    }

    /// Takes the turn, or waits for it.
    pub(super) fn turn(&mut self, cx: &Context<'_>) -> Turn {
        let now = self.lane.now();
        let mut state = self.lane.lock();
        let first = state.waiting.first_key_value().map(|(number, _)| *number);
        let gate = if first == self.number { state.gate(now) } else { Gate::Held };
        if gate == Gate::Open {
            return go(&self.lane, state, self.number.take(), now);
        }
        if self.number.is_none() {
            let most = self.lane.most_waiting.load(Ordering::Relaxed);
            if state.waiting.len() >= most {
                return Turn::Full(full(most));
            }
            self.number = Some(state.next);
            state.next += 1;
        }
        if let Some(number) = self.number {
            let waker = state.waiting.entry(number).or_insert_with(|| cx.waker().clone());
            if !waker.will_wake(cx.waker()) {
                waker.clone_from(cx.waker());
            }
        }
        match gate {
            Gate::At(time) => Turn::At(self.lane.at(time)),
            Gate::Open | Gate::Held => Turn::Later,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        let mut state = self.lane.lock();
        let was_first = state.waiting.first_key_value().is_some_and(|(first, _)| *first == number);
        let own = state.waiting.remove(&number);
        let next = if was_first { state.first() } else { None };
        drop(state);
        drop(own);
        next.inspect(Waker::wake_by_ref);
    }
}

impl Permit {
    /// The call is over.
    pub(super) fn end(mut self, ending: Ending) {
        self.ending = ending;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.lane.end(self);
    }
}

/// Sends the call that is first.
fn go(lane: &Arc<Lane>, mut state: MutexGuard<'_, State>, number: Option<u64>, now: f64) -> Turn {
    let own = number.and_then(|number| state.waiting.remove(&number));
    let epoch = state.rate.send(now, number.is_some());
    state.in_flight += 1;
    let found_full = state.in_flight >= state.window.size();
    let next = state.first();
    drop(state);
    // A waker may run anything when it is dropped or woken, and so not under the lock.
    drop(own);
    next.inspect(Waker::wake_by_ref);
    Turn::Now(Permit {
        lane: Arc::clone(lane),
        epoch,
        sent: now,
        found_full,
        ending: Ending::Unknown,
    })
}

fn full(most: usize) -> Error {
    let text = format!(
        "{most} calls wait for their turn at this host already: wait for some of them, or raise \
         `Governor::most_waiting`"
    );
    Error::new(ErrorKind::Throttled, text).before_sending()
}
