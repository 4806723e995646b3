//! What to do next in an upload, and what an outcome means. Pure: outcomes in, actions out.

mod failures;

use crate::{
    range::Received,
    upload::{
        limit::Limit,
        outcome::{Action, Cause, Doubt, Event, Failure},
        plan::{Closing, Plan, Sending},
    },
};

/// The state of an upload, as far as it decides what comes next.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    plan: Plan,
    limit: Limit,
    /// The limit that was known before.
    given: Limit,
    /// The shortest chunk that the registry takes, but for the last one.
    min_chunk: u64,
    /// What the closing request may carry, after a body on it was refused.
    unwanted: Option<Closing>,
    /// The oldest byte that can still be sent.
    floor: u64,
    /// The bytes that can be sent end here; the whole content if `ended`.
    available: u64,
    ended: bool,
    is_open: bool,
    /// Bytes the registry has confirmed in this session, and the most it was ever sent.
    confirmed: u64,
    offered: u64,
    origin: Origin,
    /// What the session holds is known to this process.
    is_known: bool,
    /// A body of this session had no clear end, before anything was confirmed.
    may_hold_some: bool,
    /// A commit of this session had no clear end.
    may_be_stored: bool,
    recoveries: u32,
    restarts: u32,
    /// Of both, in all.
    retries: u32,
    pending: Action,
    queued: Option<Action>,
}

/// Who sent what the session holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// This process.
    Here,
    /// Another one, perhaps of other content.
    Unproven,
    /// Another one; what it wrote down fits this content.
    Proven,
}

impl Machine {
    /// An upload of which nothing was read yet.
    pub(crate) fn new(plan: Plan, limit: Limit) -> Self {
        Self {
            plan,
            limit,
            given: limit,
            min_chunk: 0,
            unwanted: None,
            floor: 0,
            available: 0,
            ended: false,
            is_open: false,
            confirmed: 0,
            offered: 0,
            origin: Origin::Here,
            is_known: true,
            may_hold_some: false,
            may_be_stored: false,
            recoveries: 0,
            restarts: 0,
            retries: 0,
            pending: Action::Read,
            queued: None,
        }
    }

    /// An upload whose session was opened by somebody else, who sent up to `offered` bytes of
    /// this content, as the caller says.
    pub(crate) fn resumed(plan: Plan, limit: Limit, confirmed: u64, offered: u64) -> Self {
        let mut machine = Self::new(plan, limit);
        (machine.is_open, machine.origin, machine.is_known) = (true, Origin::Proven, false);
        (machine.confirmed, machine.offered) = (confirmed, offered);
        machine.ask_now();
        machine
    }

    /// The same, but nobody knows whether it was this content.
    pub(crate) fn unproven(plan: Plan, limit: Limit, confirmed: u64, offered: u64) -> Self {
        Self { origin: Origin::Unproven, ..Self::resumed(plan, limit, confirmed, offered) }
    }

    /// What comes next.
    pub(crate) fn next(&mut self) -> Action {
        self.pending = self.queued.take().unwrap_or_else(|| self.step());
        match self.pending {
            Action::Append { to, .. } => self.offered = self.offered.max(to),
            Action::Commit { .. } => self.offered = self.offered.max(self.available),
            _ => {}
        }
        self.pending
    }

    /// The outcome of what came last.
    pub(crate) fn on(&mut self, event: Event) {
        self.queued = self.after(event);
    }

    /// The driver keeps no byte below this any more.
    pub(crate) fn forget(&mut self, below: u64) {
        self.floor = self.floor.max(below);
    }

    /// Bytes the registry has confirmed.
    pub(crate) fn confirmed(&self) -> u64 {
        self.confirmed
    }

    /// All bytes that can be sent, the confirmed ones included.
    pub(crate) fn available(&self) -> u64 {
        self.available
    }

    /// The length of the content, once it is known.
    pub(crate) fn len(&self) -> Option<u64> {
        self.ended.then_some(self.available)
    }

    /// Asks before anything else.
    pub(crate) fn ask_now(&mut self) {
        self.queued = Some(Action::Ask { recovery: 0, zero: u64::from(self.confirmed > 0) });
    }

    /// More bytes can be sent, up to here.
    pub(crate) fn extend(&mut self, to: u64, ended: bool) {
        self.available = self.available.max(to);
        self.ended = ended;
    }

    /// The content passes once, and its one body came to nothing, or not to its end: only what
    /// lies between these two is here now.
    pub(crate) fn take_back(&mut self, (from, to): (u64, u64), ended: bool) {
        self.forget(from);
        (self.available, self.ended) = (to, ended);
        self.offered = self.offered.min(to);
        self.plan.cut();
    }

    /// How many bytes are missing for a full chunk.
    pub(crate) fn missing(&self) -> u64 {
        self.chunk().saturating_sub(self.available.saturating_sub(self.confirmed))
    }

    /// The longest body of a chunk now, after what was learned.
    pub(crate) fn chunk(&self) -> u64 {
        self.limit.cap(self.plan.chunk).max(self.min_chunk)
    }

    /// What was known of the length of bodies before, and what is known now.
    pub(crate) fn limits(&self) -> (Limit, Limit) {
        (self.given, self.limit)
    }

    /// What the closing request may carry, if a body on it was refused.
    pub(crate) fn unwanted(&self) -> Option<Closing> {
        self.unwanted
    }

    /// Whether what came last needs nothing more.
    pub(crate) fn is_settled(&self) -> bool {
        self.queued.is_none()
    }

    /// Whether the session may hold something else than what was confirmed.
    fn is_in_doubt(&self) -> bool {
        let is_proven = self.is_known && self.origin != Origin::Unproven;
        self.may_hold_some || self.may_be_stored || !is_proven
    }

    /// How often something went wrong in a way that was mended.
    pub(crate) fn retries(&self) -> u32 {
        self.retries
    }

    /// Notes that an outcome may be missing, because whoever drove this was dropped: no
    /// failure of the registry, and counted as none.
    pub(crate) fn interrupted(&mut self) {
        match self.pending {
            Action::Append { .. } => {
                self.may_hold_some = true;
                self.ask_now();
            }
            Action::Ask { .. } => self.ask_now(),
            Action::Commit { .. } => self.on(Event::Failed(Failure::Doubtful)),
            // To be done again from their start; each may be done twice.
            Action::Verify(_) | Action::Abandon | Action::Prove { .. } if self.queued.is_none() => {
                self.queued = Some(self.pending);
            }
            _ => {}
        }
    }

    fn step(&self) -> Action {
        if self.confirmed < self.floor {
            return Action::Fail(Cause::Passed);
        }
        let rest = self.available.saturating_sub(self.confirmed);
        let (from, chunk, is_first) = (self.confirmed, self.chunk(), self.offered == 0);
        let wants_more = match self.plan.sending {
            Sending::Given => rest < self.min_chunk.max(1),
            Sending::Chunks | Sending::Whole => rest < chunk || self.available == 0,
        };
        if !self.ended && wants_more {
            return Action::Read;
        }
        if !self.is_open {
            return Action::Start;
        }
        let closing = match self.plan.closing {
            Closing::Anything if !self.limit.allows_whole(rest) => Closing::LastChunk,
            closing => closing,
        };
        if self.ended && closing.takes(from, rest, chunk) {
            return Action::Commit { from, is_first };
        }
        let to = match self.plan.sending {
            Sending::Whole => self.available,
            Sending::Chunks | Sending::Given => self.available.min(from.saturating_add(chunk)),
        };
        Action::Append { from, to, is_first }
    }

    fn after(&mut self, event: Event) -> Option<Action> {
        let pending = std::mem::replace(&mut self.pending, Action::Read);
        match event {
            Event::Available { to, ended } => {
                self.extend(to, ended);
                None
            }
            Event::Opened { min_chunk } => {
                self.is_open = true;
                self.min_chunk = self.min_chunk.max(min_chunk.unwrap_or(0));
                None
            }
            Event::Mounted => Some(Action::Verify(Doubt::Mounted)),
            Event::Present => Some(Action::Finish),
            Event::Absent => self.absent(pending),
            Event::Proven { to, ended } => {
                self.origin = Origin::Proven;
                self.extend(to, ended);
                None
            }
            Event::Disproven if self.floor > 0 => Some(Action::Fail(Cause::Changed)),
            Event::Disproven => Some(Action::Abandon),
            Event::Accepted(received) => self.accepted(pending, received),
            Event::Stored { named } => {
                if let Action::Commit { from, .. } = pending {
                    self.limit.take(self.available.saturating_sub(from), self.plan.chunk);
                }
                Some(if named { Action::Finish } else { Action::Verify(Doubt::Unnamed) })
            }
            Event::Status(Some(received)) => self.asked(pending, received),
            Event::Status(None) => self.failed(pending, Failure::NoStatus),
            Event::Abandoned => {
                (self.is_open, self.may_be_stored, self.may_hold_some) = (false, false, false);
                (self.confirmed, self.offered, self.recoveries) = (0, 0, 0);
                (self.origin, self.is_known) = (Origin::Here, true);
                None
            }
            Event::Failed(failure) => self.failed(pending, failure),
        }
    }

    fn absent(&mut self, pending: Action) -> Option<Action> {
        let Action::Verify(doubt) = pending else {
            return Some(Action::Fail(Cause::Unstored));
        };
        match doubt {
            Doubt::Unnamed => Some(Action::Fail(Cause::Unstored)),
            // The mount was none: a session is opened without asking for one.
            Doubt::Mounted => None,
            Doubt::Restart | Doubt::Commit { failure: Failure::Lost, .. } => self.restart(),
            Doubt::Commit { failure: Failure::OutOfStep(Some(received)), zero } => {
                if self.count_recovery() { self.take(received, zero) } else { self.restart() }
            }
            Doubt::Commit { zero, .. } => self.ask(zero),
        }
    }

    fn accepted(&mut self, pending: Action, received: Option<Received>) -> Option<Action> {
        let Action::Append { from, to, .. } = pending else {
            return Some(Action::Fail(Cause::Refused));
        };
        match received {
            Some(Received::Bytes(received)) if received != to => {
                Some(Action::Fail(Cause::Misreported { received, sent: to }))
            }
            // Two bytes or more, and it says one or none.
            Some(Received::OneOrNone) if to > 1 => {
                Some(Action::Fail(Cause::Misreported { received: 1, sent: to }))
            }
            _ => {
                self.confirmed = to;
                self.may_hold_some = false;
                self.recoveries = 0;
                self.limit.take(to.saturating_sub(from), self.plan.chunk);
                None
            }
        }
    }

    /// Takes over what the registry says it has, if that lies within what it was sent.
    fn take(&mut self, received: Received, zero: u64) -> Option<Action> {
        let received = match received {
            Received::Bytes(received) => received,
            Received::OneOrNone => zero,
        };
        if !(self.confirmed..=self.offered).contains(&received) {
            return self.restart();
        }
        if received > self.confirmed {
            self.recoveries = 0;
        }
        (self.confirmed, self.is_known) = (received, true);
        // What stands for none may stand for one.
        self.may_hold_some &= received == 0;
        (self.origin == Origin::Unproven).then_some(Action::Prove { from: received })
    }

    /// Goes on from what the registry says it has. If a body broke and nothing of it arrived,
    /// less is sent the next time: some front ends refuse a large body by closing the connection,
    /// so that their answer is lost.
    fn asked(&mut self, pending: Action, received: Received) -> Option<Action> {
        let Action::Ask { recovery, zero } = pending else {
            return Some(Action::Fail(Cause::Refused));
        };
        let (before, sent) = (self.confirmed, self.offered.saturating_sub(self.confirmed));
        let next = self.take(received, zero);
        if next.is_none() && self.confirmed == before && recovery > 0 && sent > 0 {
            let least = MIN_CHUNK.min(self.plan.chunk);
            self.plan.chunk = (self.plan.chunk.min(sent) / 4).max(least);
        }
        next
    }
}

/// A front end that refuses less than this takes no uploads.
const MIN_CHUNK: u64 = 16 * 1024;

#[cfg(test)]
mod tests;
