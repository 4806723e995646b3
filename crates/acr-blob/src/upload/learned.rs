//! What a registry answered before, for the next upload.

use std::sync::{Arc, Mutex, PoisonError};

use crate::upload::{
    limit::Limit,
    machine::Machine,
    plan::{Closing, Plan, Sending},
};

/// What the uploads of one client learned about its registry. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Learned(Arc<Mutex<Facts>>);

#[derive(Debug)]
struct Facts {
    limit: Limit,
    closing: Closing,
    /// Uploads since that was learned, and how many of them keep to it.
    uploads: u32,
    wait: u32,
}

impl Learned {
    /// A plan for content of some length, cut down to what the registry takes.
    pub(crate) fn apply(&self, mut plan: Plan, len: Option<u64>) -> (Plan, Limit) {
        let mut facts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if facts.closing < Closing::Anything {
            facts.uploads = facts.uploads.saturating_add(1);
            // It may have been a whim, or was mended since.
            if facts.uploads > facts.wait {
                facts.closing = Closing::Anything;
            }
        }
        plan.closing = plan.closing.min(facts.closing);
        let is_whole = plan.sending == Sending::Whole;
        if is_whole && !len.is_some_and(|len| facts.limit.allows_whole(len)) {
            plan.cut();
        }
        (plan, facts.limit)
    }

    /// Takes over what an upload met.
    pub(crate) fn note(&self, machine: &Machine) {
        let mut facts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (given, now) = machine.limits();
        if facts.limit == given {
            facts.limit = now;
        } else if now != given {
            // Another upload met something meanwhile.
            facts.limit = facts.limit.stricter(now);
        }
        if let Some(closing) = machine.unwanted() {
            // Refused again after it was tried again.
            if facts.uploads > 0 && facts.closing == Closing::Anything {
                facts.wait = facts.wait.saturating_mul(2).min(MAX_WAIT);
            }
            facts.closing = closing.min(facts.closing);
            facts.uploads = 0;
        }
    }
}

impl Default for Facts {
    fn default() -> Self {
        Self { limit: Limit::default(), closing: Closing::Anything, uploads: 0, wait: FIRST_WAIT }
    }
}

/// How many uploads take a request more before a body on the closing one is tried again.
const FIRST_WAIT: u32 = 32;

const MAX_WAIT: u32 = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upload::outcome::{Event, Failure};

    const PLAN: Plan = Plan { chunk: 8 << 20, sending: Sending::Chunks, closing: Closing::Nothing };

    /// An upload that begins now.
    fn begin(learned: &Learned) -> Machine {
        let (plan, limit) = learned.apply(PLAN, None);
        let mut machine = Machine::new(plan, limit);
        machine.next();
        machine.on(Event::Available { to: 64 << 20, ended: true });
        machine.next();
        machine.on(Event::Opened { min_chunk: None });
        machine
    }

    fn refuse(machine: &mut Machine, times: usize) {
        for _ in 0..times {
            machine.next();
            machine.on(Event::Failed(Failure::TooLarge));
        }
    }

    #[test]
    fn what_one_upload_met_is_kept_when_an_older_one_ends_after_it() {
        let learned = Learned::default();
        let (older, mut newer) = (begin(&learned), begin(&learned));
        refuse(&mut newer, 1);
        learned.note(&newer);
        learned.note(&older);
        assert_eq!(learned.apply(PLAN, None).1.cap(PLAN.chunk), 4 << 20);
    }

    #[test]
    fn what_one_upload_unlearned_is_not_known_again_when_an_older_one_ends_after_it() {
        let learned = Learned::default();
        let mut first = begin(&learned);
        refuse(&mut first, 1);
        learned.note(&first);
        let (older, mut newer) = (begin(&learned), begin(&learned));
        for _ in 0..4 {
            newer.next();
            newer.on(Event::Accepted(None));
        }
        learned.note(&newer);
        learned.note(&older);
        assert_eq!(learned.apply(PLAN, None).1.cap(PLAN.chunk), PLAN.chunk);
    }

    #[test]
    fn of_two_that_met_something_the_stricter_one_counts() {
        for first in [1, 2] {
            let learned = Learned::default();
            let (mut one, mut two) = (begin(&learned), begin(&learned));
            refuse(&mut one, first);
            refuse(&mut two, 3 - first);
            learned.note(&one);
            learned.note(&two);
            assert_eq!(learned.apply(PLAN, None).1.cap(PLAN.chunk), 2 << 20);
        }
    }
}
