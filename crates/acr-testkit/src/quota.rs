//! Throttling: how many calls a registry takes in a minute.

use std::{str::FromStr, sync::Mutex};

use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use jiff::Timestamp;
use thiserror::Error as ThisError;

use crate::{
    answer::{Answer, Refusal, set},
    clock::Clock,
    sync::lock,
};

/// How many calls a registry takes in a minute before it answers 429.
///
/// Reads are `GET` and `HEAD`, writes all other methods, whoever calls; calls of the storage and
/// of the token service are not counted.
/// What was used comes back continuously, by the registry's [`Clock`]: a tenth of the quota in
/// six of its seconds, which
/// [`FakeRegistryBuilder::clock_rate`](crate::FakeRegistryBuilder::clock_rate) shortens. A clock
/// that is turned back gives nothing and takes nothing. The 429 says in `Retry-After` when the
/// next call is possible, in seconds of the client's, though no real registry was seen to do so,
/// and answers that carry `x-ms-ratelimit-remaining-calls-per-second` count down in it.
///
/// ```
/// use acr_testkit::{FakeRegistry, Quota};
///
/// let registry = FakeRegistry::builder().quota(Quota::BASIC).build();
/// assert_eq!("basic".parse(), Ok(Quota::BASIC));
/// assert_eq!("1000:100".parse(), Ok(Quota::BASIC));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quota {
    /// `GET` and `HEAD` in a minute.
    pub reads: u32,
    /// All other methods in a minute.
    pub writes: u32,
}

/// The text is not a quota.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
#[error("a quota is `basic`, `standard`, `premium`, or READS:WRITES per minute, each at least 1")]
pub struct ParseQuotaError(());

/// A quota and what is left of it.
#[derive(Debug)]
pub(crate) struct Meter {
    clock: Clock,
    reads: Mutex<Bucket>,
    writes: Mutex<Bucket>,
}

#[derive(Debug)]
struct Bucket {
    /// How many calls fit in.
    size: u32,
    left: f64,
    filled: Timestamp,
}

/// What a call leaves of the quota.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    left: f64,
    /// How many seconds the client has to wait for the next call; `None` if this one is taken.
    wait: Option<f64>,
}

impl Quota {
    /// The documented limits of the tier Basic.
    pub const BASIC: Self = Self::new(1_000, 100);
    /// The documented limits of the tier Standard.
    pub const STANDARD: Self = Self::new(3_000, 500);
    /// The documented limits of the tier Premium.
    pub const PREMIUM: Self = Self::new(10_000, 2_000);

    /// So many calls in a minute, at least one each.
    pub const fn new(reads: u32, writes: u32) -> Self {
        let reads = if reads == 0 { 1 } else { reads };
        let writes = if writes == 0 { 1 } else { writes };
        Self { reads, writes }
    }
}

impl FromStr for Quota {
    type Err = ParseQuotaError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |text: &str| text.parse().ok().filter(|n: &u32| *n > 0);
        match text {
            "basic" => Some(Self::BASIC),
            "standard" => Some(Self::STANDARD),
            "premium" => Some(Self::PREMIUM),
            _ => text.split_once(':').and_then(|(reads, writes)| {
                Some(Self { reads: number(reads)?, writes: number(writes)? })
            }),
        }
        .ok_or(ParseQuotaError(()))
    }
}

impl Meter {
    pub(crate) fn new(quota: Quota, clock: Clock) -> Self {
        let now = clock.timestamp();
        let [reads, writes] = [quota.reads, quota.writes].map(|size| Bucket::full(size, now));
        Self { clock, reads, writes }
    }

    /// Counts a call.
    pub(crate) fn count(&self, method: &Method) -> Reading {
        let is_read = matches!(*method, Method::GET | Method::HEAD);
        let mut bucket = lock(if is_read { &self.reads } else { &self.writes });
        // Read under the lock, so that times come in order.
        let reading = bucket.take(self.clock.timestamp());
        // The client waits by a clock of its own.
        let wait = reading.wait.map(|wait| wait / f64::from(self.clock.rate()));
        Reading { wait, ..reading }
    }
}

impl Bucket {
    fn full(size: u32, now: Timestamp) -> Mutex<Self> {
        Mutex::new(Self { size, left: f64::from(size), filled: now })
    }

    fn take(&mut self, now: Timestamp) -> Reading {
        let size = f64::from(self.size);
        let passed = now.duration_since(self.filled).as_secs_f64().max(0.0);
        self.filled = now;
        self.left = (self.left + passed * size / MINUTE).min(size);
        if self.left >= 1.0 - TOLERANCE {
            self.left = (self.left - 1.0).max(0.0);
            return Reading { left: self.left, wait: None };
        }
        let wait = (1.0 - self.left) * MINUTE / size;
        Reading { left: self.left, wait: Some(wait) }
    }
}

impl Reading {
    /// The 429, unless the call is taken.
    pub(crate) fn refusal(self) -> Option<Answer> {
        // What is a hair more than whole seconds is rounding: it fits in the tolerance.
        let seconds = (self.wait? - TOLERANCE).ceil().max(1.0);
        let message = "Too many requests. Please visit https://aka.ms/acr/skus#sku-feature-matrix to view limits of all service tiers.";
        let refusal = Refusal::new(StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS", message);
        let mut answer = refusal.answer();
        set(&mut answer, header::RETRY_AFTER, &format!("{seconds:.0}"));
        answer.headers_mut().insert(REMAINING, HeaderValue::from_static("0.000000"));
        Some(answer)
    }

    /// Puts what is left where an answer tells it.
    pub(crate) fn tell(self, answer: &mut Answer) {
        if answer.headers().contains_key(REMAINING) {
            set(answer, REMAINING, &format!("{:.6}", self.left.floor() / MINUTE));
        }
    }
}

const REMAINING: HeaderName = HeaderName::from_static("x-ms-ratelimit-remaining-calls-per-second");

/// Seconds.
const MINUTE: f64 = 60.0;

/// A wait that was kept to the second must suffice, whatever the rounding.
const TOLERANCE: f64 = 1e-6;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_quota_follows_the_registrys_clock_and_waits_are_the_clients() {
        let clock = Clock::start(20);
        let meter = Meter::new(Quota::new(60, 1), clock.clone());
        assert!(meter.count(&Method::PUT).refusal().is_none());
        let refusal = meter.count(&Method::PUT).refusal().unwrap();
        assert_eq!(refusal.headers()["retry-after"], "3", "a minute of the registry's");
        tokio::time::advance(Duration::from_millis(2_900)).await;
        assert!(meter.count(&Method::PUT).refusal().is_some());
        tokio::time::advance(Duration::from_millis(100)).await;
        assert!(meter.count(&Method::PUT).refusal().is_none());
        clock.advance(Duration::from_secs(60));
        assert!(meter.count(&Method::PUT).refusal().is_none(), "set ahead");
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_turned_back_neither_gives_nor_takes_calls() {
        let clock = Clock::start(1);
        let meter = Meter::new(Quota::new(2, 2), clock.clone());
        for hours in [1, u64::MAX / 3_600] {
            let taken = (0..5).filter(|_| meter.count(&Method::GET).refusal().is_none()).count();
            assert_eq!(taken, 2);
            clock.turn_back(Duration::from_secs(hours * 3_600));
            assert!(meter.count(&Method::GET).refusal().is_some(), "back by {hours} hours");
            tokio::time::advance(Duration::from_secs(60)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_quota_is_used_up_and_comes_back() {
        let meter = Meter::new(Quota::new(3, 1), Clock::start(1));
        for _ in 0..3 {
            assert!(meter.count(&Method::GET).refusal().is_none());
        }
        let refusal = meter.count(&Method::HEAD).refusal().unwrap();
        assert_eq!(refusal.status(), 429);
        assert_eq!(refusal.headers()["retry-after"], "20");
        assert!(meter.count(&Method::PUT).refusal().is_none(), "writes are counted apart");
        tokio::time::advance(Duration::from_secs(19)).await;
        assert!(meter.count(&Method::GET).refusal().is_some());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(meter.count(&Method::GET).refusal().is_none());
        tokio::time::advance(Duration::from_secs(3600)).await;
        let taken = (0..10).filter(|_| meter.count(&Method::GET).refusal().is_none()).count();
        assert_eq!(taken, 3, "no more than the quota is saved up");
    }

    #[test]
    fn quotas_are_read() {
        assert_eq!("premium".parse(), Ok(Quota::PREMIUM));
        assert_eq!("7:8".parse(), Ok(Quota::new(7, 8)));
        for bad in ["", "gold", "7", "7:", "0:1", "1:0", "-1:2", "1:2:3"] {
            assert!(bad.parse::<Quota>().is_err(), "{bad}");
        }
    }
}
