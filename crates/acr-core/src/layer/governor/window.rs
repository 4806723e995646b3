//! How many calls may be on the way at once. Pure.
//!
//! One more for each window of answers that came while it was full; a tenth less when the host
//! throttles, does not answer in time, or gets slow. Slow is told by the fastest of the latest
//! answers and not by their mean: in mixed work a mean says what was asked for.

/// The window of a lane. All times are seconds after some start.
#[derive(Debug)]
pub(super) struct Window {
    size: u32,
    /// Answers that came since it grew, while it was full.
    full: u32,
    /// Only answers to calls sent after this say something of the size it has now.
    shrunk: f64,
    /// The fastest answer of this half minute and of the one before, and when this one began.
    least: f64,
    least_before: f64,
    turned: f64,
    /// The fastest of the latest answers, and how many they are.
    recent: f64,
    answers: u32,
}

impl Window {
    pub(super) fn new(now: f64) -> Self {
        Self {
            size: BEGIN,
            full: 0,
            shrunk: now,
            least: f64::INFINITY,
            least_before: f64::INFINITY,
            turned: now,
            recent: f64::INFINITY,
            answers: 0,
        }
    }

    pub(super) fn size(&self) -> u32 {
        self.size
    }

    /// An answer came, to a call that was sent then and found the window full.
    pub(super) fn was_full(&mut self, sent: f64) {
        if sent < self.shrunk {
            return;
        }
        self.full += 1;
        if self.full >= self.size {
            (self.size, self.full) = ((self.size + 1).min(MOST), 0);
        }
    }

    /// How long the head of an answer took, of a call without content of its own.
    pub(super) fn took(&mut self, sent: f64, now: f64) {
        let latency = (now - sent).max(0.0);
        if now - self.turned >= HALF {
            self.least_before = self.least;
            (self.least, self.turned) = (f64::INFINITY, now);
        }
        self.least = self.least.min(latency);
        if sent < self.shrunk {
            return;
        }
        self.recent = self.recent.min(latency);
        self.answers += 1;
        if self.answers < self.size.max(ROUND) {
            return;
        }
        let least = self.least.min(self.least_before);
        let is_slow = self.recent > least * SLOWER && self.recent - least > NOISE;
        (self.recent, self.answers) = (f64::INFINITY, 0);
        if is_slow {
            self.shrink(now);
        }
    }

    /// The host was asked too much by a call sent then.
    pub(super) fn strained(&mut self, sent: f64, now: f64) {
        if sent >= self.shrunk {
            self.shrink(now);
        }
    }

    fn shrink(&mut self, now: f64) {
        let less = (self.size / DECREASE).max(1);
        self.size = self.size.saturating_sub(less).max(1);
        (self.shrunk, self.full) = (now, 0);
        (self.recent, self.answers) = (f64::INFINITY, 0);
    }
}

/// As many as a busy program has: what a host can bear is no concern before it says so.
const BEGIN: u32 = 64;

const MOST: u32 = 1_024;

/// The part by which it gets smaller.
const DECREASE: u32 = 10;

/// Seconds: the fastest answer is remembered for one to two of these.
const HALF: f64 = 30.0;

/// Answers among which the fastest is looked for, at least.
const ROUND: u32 = 16;

/// How many times slower than its fastest a host is when it is overloaded.
const SLOWER: f64 = 3.0;

/// Seconds: what schedulers and networks do by themselves.
const NOISE: f64 = 0.05;
