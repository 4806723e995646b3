//! How many calls a second a host takes, learned from what it refuses. Pure.
//!
//! A host that throttles keeps a bucket: each call takes one out, and what was taken comes back
//! with time. A 429 says that the bucket is empty. So between two of them exactly as many calls
//! were taken as came back: their number by the time between is the rate, whatever the size of
//! the bucket is and whatever the host says of it. What the bucket holds now is kept account of
//! (`level`), so that what comes back during a pause is used right after it.

/// The rate of a lane. All times are seconds after some start.
#[derive(Debug)]
pub(super) struct Rate {
    stage: Stage,
    /// Calls a second, as measured.
    refill: f64,
    /// By which part of it the rate begins below what was measured.
    backoff: f64,
    /// Over how many calls that is made good again.
    span: f64,
    /// What the host's bucket holds, as far as is known, and when that was so.
    level: f64,
    at: f64,
    /// What the bucket holds at most.
    cap: f64,
    /// No call before this.
    resumes: f64,
    /// When counting began, and what was taken since.
    begun: f64,
    taken: u32,
    /// How often the host began to refuse, and when it did so last. Only calls sent since then
    /// tell something new.
    epoch: u32,
    struck: f64,
    /// Of this epoch: on the way, taken, all that were sent, those of them that had waited.
    out: u32,
    fresh: u32,
    sent: u32,
    waited: u32,
    /// What the bucket held when the first call of this epoch was sent.
    saved: f64,
    /// Whether the last refusal said that it held less than that.
    has_overdrawn: bool,
    /// Whether the last measure was a guess between two bounds.
    has_guessed: bool,
    /// How often in a row nothing was taken between two refusals.
    barren: u32,
    /// Whether the host told of more than nothing, so that its figures mean something.
    has_told: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing was refused yet.
    Free,
    /// Between the first refusal and the second.
    Seeking,
    Measured,
}

/// Whether the next call may be sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Gate {
    Open,
    /// Not before this time.
    At(f64),
    /// Not before a call that is on the way has ended.
    Held,
}

/// A refusal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refusal {
    /// The wait that the host asked for, in seconds.
    pub(super) wish: Option<f64>,
    /// In 0…1: several programs do not come back as one.
    pub(super) jitter: f64,
}

impl Rate {
    pub(super) fn new(now: f64) -> Self {
        Self {
            stage: Stage::Free,
            refill: 0.0,
            backoff: 0.0,
            span: 1.0,
            level: 0.0,
            at: now,
            cap: 1.0,
            resumes: now,
            begun: now,
            taken: 0,
            epoch: 0,
            struck: now,
            out: 0,
            fresh: 0,
            sent: 0,
            waited: 0,
            saved: 0.0,
            has_overdrawn: false,
            has_guessed: false,
            barren: 0,
            has_told: false,
        }
    }

    /// Calls a second at this time; `None` for any number.
    pub(super) fn per_second(&self, now: f64) -> Option<f64> {
        match self.stage {
            Stage::Free => None,
            Stage::Seeking => {
                let passed = (now - self.resumes).clamp(0.0, LONGEST_SEARCH);
                Some((self.refill * STEEPNESS.powf(passed)).min(FASTEST))
            }
            Stage::Measured => {
                let grown = f64::from(self.waited) / self.span;
                let beyond = (grown - 2.0).max(0.0);
                let factor = 1.0 + self.backoff * (grown - 1.0) + PROBING * beyond * beyond;
                Some((self.refill * factor).min(FASTEST))
            }
        }
    }

    /// How long the lane is still paused.
    pub(super) fn pause(&self, now: f64) -> Option<f64> {
        (self.resumes > now && !self.is_hopeless()).then_some(self.resumes - now)
    }

    /// Whether the next call may be sent now.
    pub(super) fn gate(&mut self, now: f64) -> Gate {
        let Some(rate) = self.refresh(now) else { return Gate::Open };
        if self.is_hopeless() {
            return Gate::Open;
        }
        if now < self.resumes {
            return Gate::At(self.resumes);
        }
        // One call asks whether the host takes any again; nobody knows yet what it saved.
        if self.is_probing() {
            return if self.out == 0 { Gate::Open } else { Gate::Held };
        }
        if self.level >= 1.0 - ROUNDING {
            return Gate::Open;
        }
        Gate::At(now + (1.0 - self.level) / rate)
    }

    /// A call is sent, after a wait of its turn or without one; gives its epoch.
    pub(super) fn send(&mut self, now: f64, has_waited: bool) -> u32 {
        self.refresh(now);
        if self.stage != Stage::Free {
            if self.sent == 0 {
                self.saved = self.level;
            }
            // Below nothing after a probe; not for ever where nobody is held back.
            self.level = (self.level - 1.0).max(-1.0);
            self.sent = self.sent.saturating_add(1);
            self.waited = self.waited.saturating_add(u32::from(has_waited));
        }
        self.out = self.out.saturating_add(1);
        self.epoch
    }

    /// A call ended that the host did not count, or nobody knows.
    pub(super) fn lost(&mut self, epoch: u32) {
        if epoch == self.epoch {
            self.out = self.out.saturating_sub(1);
        }
    }

    /// A call was taken.
    pub(super) fn taken(&mut self, now: f64, epoch: u32) {
        self.refresh(now);
        self.taken = self.taken.saturating_add(1);
        if epoch == self.epoch {
            self.lost(epoch);
            self.fresh = self.fresh.saturating_add(1);
            self.barren = 0;
        } else {
            // It was on the way when the bucket was empty, and took what came back since.
            self.level = (self.level - 1.0).max(-1.0);
            // Or it was one of those that emptied it: answers come in any order.
            let is_seeking = self.stage == Stage::Seeking;
            if self.fresh == 0 && (is_seeking || self.has_overdrawn) {
                self.cap += 1.0;
            }
            if self.fresh == 0 && is_seeking {
                self.refill += 1.0 / MINUTE;
            }
        }
    }

    /// A call was refused. Says whether that is news, and not one of many that were on the way
    /// when the first of them was refused.
    pub(super) fn refused(&mut self, now: f64, epoch: u32, refusal: Refusal) -> bool {
        self.refresh(now);
        self.level = self.level.min(0.0);
        let is_news = epoch == self.epoch;
        if is_news {
            if self.stage != Stage::Free && self.fresh == 0 {
                self.barren = self.barren.saturating_add(1);
            } else {
                self.learn(now);
            }
            self.begin_epoch(now);
        } else if self.begun >= self.struck {
            // Still empty: the same refusal, later.
            self.count_anew(now);
        }
        let own = if is_news { PAUSE * 2_f64.powi(self.barren.min(10).cast_signed()) } else { 0.0 };
        let wish = refusal.wish.filter(|wish| wish.is_finite()).unwrap_or(0.0);
        let pause = wish.max(own).clamp(0.0, LONGEST_PAUSE) * (1.0 + refusal.jitter * JITTER);
        self.resumes = self.resumes.max(now + pause);
        is_news
    }

    /// The host says how many calls it still takes. That can slow a lane down and nothing else,
    /// and only if the host said a greater number before: a figure that never moves is none.
    pub(super) fn told(&mut self, now: f64, left: f64) {
        if !left.is_finite() || left < 0.0 {
            return;
        }
        if left >= FEW {
            self.has_told = true;
            return;
        }
        if !self.has_told {
            return;
        }
        if self.stage == Stage::Free {
            let taken = f64::from(self.taken);
            self.cap = taken.max(1.0);
            self.begin_search(now, (taken / (now - self.begun).max(MINUTE)).max(1.0));
            self.level = left;
            self.begin_epoch(now);
        }
        self.refresh(now);
        self.level = self.level.min(left);
        let passed = now - self.begun;
        if self.stage == Stage::Measured && f64::from(self.waited) >= self.span && passed > 0.0 {
            // As good as a refusal, but that it makes nothing slower.
            self.refill = self.refill.max(f64::from(self.taken) / passed).min(FASTEST);
            (self.sent, self.waited) = (0, 0);
            self.count_anew(now);
        }
    }

    /// What the time since the last refusal tells.
    fn learn(&mut self, now: f64) {
        let (taken, passed) = (f64::from(self.taken), now - self.begun);
        let has_overdrawn = self.is_overdrawn();
        if has_overdrawn {
            // What came back in the pause was more than the bucket holds. The rate may be right.
            self.cap = f64::from(self.fresh).max(1.0);
        } else if self.stage == Stage::Free {
            self.cap = taken.max(1.0);
            self.begin_search(now, taken / passed.max(MINUTE));
        } else if self.is_busy() && self.is_telling() && passed > 0.0 {
            let rate = self.per_second(now).unwrap_or(FASTEST);
            let seen = taken / passed;
            // All that came back was taken, if it cannot have been more than fits in.
            let is_close = self.stage == Stage::Seeking || rate < seen * CLOSE;
            let is_exact = is_close || self.has_guessed || rate * passed - taken < self.cap;
            self.has_guessed = !is_exact;
            let refill = if is_exact { seen } else { (seen * rate).sqrt() };
            let refill = match self.stage {
                // A stretch may be so short that it says next to nothing.
                Stage::Measured => refill.clamp(self.refill * LEAST_LEFT, rate),
                Stage::Free | Stage::Seeking => refill,
            };
            self.refill = refill.clamp(SLOWEST, FASTEST);
            let known = if is_exact { taken } else { 1.0 };
            self.backoff = (UNSURE / known.max(1.0)).clamp(LEAST_BACKOFF, BACKOFF);
            let calls = (2.0 * known).clamp(FEWEST_CALLS, MOST_CALLS);
            self.span = calls.max(self.refill * if is_exact { SPAN } else { SHORT_SPAN });
            self.stage = Stage::Measured;
            self.cap *= CAP_GROWTH;
            // Few calls say little: more are counted then, over both stretches.
            if taken >= ENOUGH || !is_exact {
                self.count_anew(now);
            }
        } else {
            let refill = self.refill.max(taken / passed.max(1.0)) * (1.0 - BACKOFF);
            self.refill = refill.clamp(SLOWEST, FASTEST);
            self.count_anew(now);
        }
        self.has_overdrawn = has_overdrawn;
    }

    fn begin_search(&mut self, now: f64, refill: f64) {
        self.refill = refill.clamp(SLOWEST, FASTEST);
        self.stage = Stage::Seeking;
        (self.level, self.at, self.resumes) = (0.0, now, now);
        self.count_anew(now);
    }

    /// Whether the host refused while what was saved was spent, and did not do so the last time.
    fn is_overdrawn(&self) -> bool {
        let is_early = f64::from(self.sent) <= self.saved * 1.5 + 2.0;
        let is_sure = self.stage == Stage::Measured && !self.has_guessed;
        is_sure && !self.has_overdrawn && self.saved >= 2.0 && is_early
    }

    fn begin_epoch(&mut self, now: f64) {
        self.epoch = self.epoch.wrapping_add(1);
        self.struck = now;
        (self.out, self.fresh, self.sent, self.waited) = (0, 0, 0, 0);
    }

    fn count_anew(&mut self, now: f64) {
        (self.begun, self.taken) = (now, 0);
    }

    /// Whether the program had more to ask for than the lane let through.
    fn is_busy(&self) -> bool {
        f64::from(self.waited) >= f64::from(self.sent) * MOSTLY
    }

    /// Whether a single call has to ask first.
    fn is_probing(&self) -> bool {
        self.fresh == 0 && (self.barren > 0 || self.stage == Stage::Seeking)
    }

    /// Whether more was counted than is on the way, and may have been taken too.
    fn is_telling(&self) -> bool {
        let others = self.out.saturating_sub(1);
        self.stage == Stage::Seeking || self.taken >= others.saturating_mul(2)
    }

    /// A host that takes nothing for minutes keeps nobody waiting any more: its refusals are the
    /// answer, and each call ends by its own.
    fn is_hopeless(&self) -> bool {
        self.barren >= HOPELESS
    }

    /// Puts into the bucket what came back until now. Gives the rate.
    fn refresh(&mut self, now: f64) -> Option<f64> {
        let rate = self.per_second(now)?;
        let passed = (now - self.at).max(0.0);
        self.level = (self.level + rate * passed).min(self.cap);
        self.at = now;
        Some(rate)
    }
}

/// A rate that is not measured yet grows by half in each second.
const STEEPNESS: f64 = 1.5;

/// Seconds, so that the power stays a number.
const LONGEST_SEARCH: f64 = 60.0;

/// How much faster than linear the rate grows once nothing was refused for two spans.
const PROBING: f64 = 0.1;

/// A rate begins below what was measured by three calls of those that were counted: at most a
/// tenth, at least as much as makes refusals rare.
const UNSURE: f64 = 3.0;
const BACKOFF: f64 = 0.1;
const LEAST_BACKOFF: f64 = 0.03;

/// Over so many calls, and at least so many seconds, the rate comes back to what was measured.
/// The host refuses after twice as many: one call of four hundred.
const FEWEST_CALLS: f64 = 4.0;
const MOST_CALLS: f64 = 200.0;
const SPAN: f64 = 20.0;
const SHORT_SPAN: f64 = 4.0;

/// As near are a rate and what was seen of it where the stretch between was of one kind.
const CLOSE: f64 = 1.2;

/// What is left of a rate after one measure, at least.
const LEAST_LEFT: f64 = 0.3;

/// So many calls are counted before counting begins anew.
const ENOUGH: f64 = 10.0;

/// The part of the calls that had to wait, in a lane that is the bottleneck.
const MOSTLY: f64 = 0.8;

/// Calls a second. A host that takes less than one a minute is as good as gone.
const SLOWEST: f64 = 1.0 / MINUTE;
const FASTEST: f64 = 1e6;

/// What hosts count by, in seconds.
const MINUTE: f64 = 60.0;

/// By which a bucket may be larger than was thought, with each refusal that does not speak against it.
const CAP_GROWTH: f64 = 1.1;

/// Seconds, where the host does not say how long, doubled while it takes nothing.
const PAUSE: f64 = 1.0;

/// Seconds. Retry obeys no longer wish either.
const LONGEST_PAUSE: f64 = 60.0;

/// The part of a pause by which it may be longer.
const JITTER: f64 = 0.1;

/// Calls that are left when a host says that it will refuse soon.
const FEW: f64 = 2.0;

/// Refusals in a row: two minutes without a wish of the host's.
const HOPELESS: u32 = 8;

/// Of a level: timers are exact to the millisecond.
const ROUNDING: f64 = 1e-9;
