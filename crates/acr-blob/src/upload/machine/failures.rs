//! What comes after a failure: a question, less at once, another session, or the end.

use super::{MIN_CHUNK, Machine, Origin};
use crate::upload::{
    outcome::{Action, Cause, Doubt, Failure},
    plan::Closing,
};

impl Machine {
    pub(super) fn failed(&mut self, pending: Action, failure: Failure) -> Option<Action> {
        match (pending, failure) {
            // The caller wanted to know; what was sent has arrived.
            (Action::Ask { recovery: 0, .. }, Failure::NoStatus | Failure::Refused)
                if !self.is_in_doubt() =>
            {
                None
            }
            // No way to go on: it is as if the registry had lost the session.
            (Action::Ask { .. }, Failure::Lost | Failure::NoStatus) => self.restart(),
            // A registry that is busy with the commit may not answer.
            (Action::Ask { .. }, _) if self.may_be_stored => self.restart(),
            (Action::Append { from, to, .. }, _) => self.append_failed((from, to), failure),
            (Action::Commit { from, is_first }, _) => self.commit_failed(from, is_first, failure),
            _ => Some(Action::Fail(Cause::Refused)),
        }
    }

    fn append_failed(&mut self, (from, to): (u64, u64), failure: Failure) -> Option<Action> {
        let zero = self.zero(failure);
        match failure {
            Failure::Doubtful | Failure::OutOfStep(None) => self.ask(zero),
            Failure::OutOfStep(Some(received)) if self.count_recovery() => {
                self.take(received, zero)
            }
            Failure::OutOfStep(Some(_)) | Failure::Lost => self.restart(),
            Failure::TooLarge => self.shrink(to.saturating_sub(from)),
            Failure::Mismatch | Failure::BodyUnwanted | Failure::NoStatus | Failure::Refused => {
                Some(Action::Fail(Cause::Refused))
            }
        }
    }

    fn commit_failed(&mut self, from: u64, is_first: bool, failure: Failure) -> Option<Action> {
        let rest = self.available.saturating_sub(from);
        let rode = rest > 0 && self.plan.closing > Closing::Nothing;
        let zero = self.zero(failure);
        let doubt = Some(Action::Verify(Doubt::Commit { failure, zero }));
        match failure {
            Failure::Doubtful => {
                self.may_be_stored = true;
                doubt
            }
            // That the first request of a session finds none may be due to its body.
            Failure::Lost if rode && is_first => {
                self.refuse_body(from);
                doubt
            }
            Failure::OutOfStep(_) | Failure::Lost => doubt,
            Failure::TooLarge => self.shrink(rest),
            Failure::BodyUnwanted if rode => {
                self.refuse_body(from);
                self.ask(zero)
            }
            // What another process sent after its last checkpoint was other content.
            Failure::Mismatch if self.origin != Origin::Here && self.floor == 0 => self.restart(),
            // A registry that ignores the body ends the session with this answer.
            Failure::Mismatch if rode && self.floor == 0 => {
                self.refuse_body(from);
                self.restart()
            }
            Failure::Mismatch | Failure::BodyUnwanted | Failure::NoStatus | Failure::Refused => {
                Some(Action::Fail(Cause::Refused))
            }
        }
    }

    fn refuse_body(&mut self, from: u64) {
        self.plan.closing = self.plan.closing.without(from);
        self.unwanted = Some(self.plan.closing);
    }

    /// What the registry means by `0-0` after a failure: one byte or none. That it refuses the
    /// first place tells of one, if a body before may have left it there.
    fn zero(&mut self, failure: Failure) -> u64 {
        let is_refused = matches!(failure, Failure::OutOfStep(_)) && self.may_hold_some;
        self.may_hold_some |= failure == Failure::Doubtful;
        u64::from(is_refused || self.confirmed > 0)
    }

    pub(super) fn ask(&mut self, zero: u64) -> Option<Action> {
        self.plan.cut();
        if self.count_recovery() {
            Some(Action::Ask { recovery: self.recoveries, zero })
        } else {
            Some(Action::Fail(Cause::Refused))
        }
    }

    pub(super) fn count_recovery(&mut self) -> bool {
        self.recoveries = self.recoveries.saturating_add(1);
        self.retries = self.retries.saturating_add(1);
        self.recoveries <= MAX_RECOVERIES
    }

    /// Begins again from the first byte, if it is still there and the blob is not.
    pub(super) fn restart(&mut self) -> Option<Action> {
        if std::mem::take(&mut self.may_be_stored) {
            return Some(Action::Verify(Doubt::Restart));
        }
        self.restarts = self.restarts.saturating_add(1);
        self.retries = self.retries.saturating_add(1);
        self.plan.cut();
        if self.floor > 0 || self.restarts > MAX_RESTARTS {
            return Some(Action::Fail(Cause::Lost));
        }
        Some(Action::Abandon)
    }

    /// Sends less at once from now on.
    fn shrink(&mut self, refused: u64) -> Option<Action> {
        self.plan.cut();
        let chunk = self.chunk();
        let smaller = self.limit.refuse(refused, chunk);
        if smaller < MIN_CHUNK.min(chunk) || smaller < self.min_chunk || smaller == 0 {
            return Some(Action::Fail(Cause::Refused));
        }
        None
    }
}

/// How often in a row the registry is asked how far it got, without any progress.
const MAX_RECOVERIES: u32 = 3;

/// How often content that can be read again is sent from its first byte.
const MAX_RESTARTS: u32 = 2;
