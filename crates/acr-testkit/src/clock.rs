//! The registry's time: it follows tokio's clock, which a test can pause, and can run ahead of it.

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use jiff::{SignedDuration, Timestamp, fmt::rfc2822::DateTimePrinter};
use tokio::time::Instant;

use crate::sync::lock;

/// The time of a registry; a handle, cheap to clone.
///
/// It begins with the wall clock and then follows tokio's clock, as many times faster as
/// [`FakeRegistryBuilder::clock_rate`](crate::FakeRegistryBuilder::clock_rate) says. Tokens,
/// download links, upload sessions and soft-deleted artifacts expire by it, a
/// [`Quota`](crate::Quota) comes back by it, and all stamps show it. How long a request takes or
/// a fault lasts does not depend on it.
///
/// ```
/// use std::time::Duration;
/// use acr_testkit::FakeRegistry;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let clock = FakeRegistry::new().clock();
/// let before = clock.now();
/// clock.advance(Duration::from_secs(3600));
/// assert!(clock.now().duration_since(before).unwrap() >= Duration::from_secs(3600));
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct Clock(Arc<Hands>);

#[derive(Debug)]
struct Hands {
    started: Instant,
    wall: Timestamp,
    rate: u32,
    /// By how much somebody set it ahead, or back.
    offset: Mutex<SignedDuration>,
}

/// A time in .NET ticks: units of 100 ns since the year 1, the resolution of the registry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stamp(i64);

impl Clock {
    /// Started once; the wall clock is read only then.
    pub(crate) fn start(rate: u32) -> Self {
        Self(Arc::new(Hands {
            started: Instant::now(),
            wall: Timestamp::now(),
            rate: rate.max(1),
            offset: Mutex::new(SignedDuration::ZERO),
        }))
    }

    /// The registry's time.
    pub fn now(&self) -> SystemTime {
        let since = self.timestamp().duration_since(Timestamp::UNIX_EPOCH);
        let begin = SystemTime::UNIX_EPOCH;
        let time = if since.is_negative() {
            begin.checked_sub(since.unsigned_abs())
        } else {
            begin.checked_add(since.unsigned_abs())
        };
        // Windows knows no time before 1601.
        time.unwrap_or(begin)
    }

    /// Sets the registry's time ahead. What expires meanwhile has expired for the next request.
    pub fn advance(&self, by: Duration) {
        self.turn(SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX));
    }

    /// Sets the registry's time back, as a clock does that was ahead.
    pub fn turn_back(&self, by: Duration) {
        self.turn(-SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX));
    }

    pub(crate) fn timestamp(&self) -> Timestamp {
        let Hands { started, wall, rate, offset } = &*self.0;
        let elapsed = Instant::now().saturating_duration_since(*started).saturating_mul(*rate);
        let elapsed = SignedDuration::try_from(elapsed).unwrap_or(SignedDuration::MAX);
        let elapsed = elapsed.saturating_add(*lock(offset));
        let end = if elapsed.is_negative() { Timestamp::MIN } else { Timestamp::MAX };
        wall.checked_add(elapsed).unwrap_or(end)
    }

    /// How many of its seconds pass in one of tokio's.
    pub(crate) fn rate(&self) -> u32 {
        self.0.rate
    }

    pub(crate) fn stamp(&self) -> Stamp {
        Stamp::from(self.timestamp())
    }

    fn turn(&self, by: SignedDuration) {
        let mut offset = lock(&self.0.offset);
        *offset = offset.saturating_add(by);
    }
}

impl Stamp {
    /// The ticks as they stand in a paging marker.
    pub(crate) fn ticks(self) -> i64 {
        self.0
    }

    pub(crate) fn from_ticks(ticks: i64) -> Self {
        Self(ticks)
    }

    /// The next later stamp, so that two events never share one.
    pub(crate) fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The time this much earlier.
    pub(crate) fn before(self, by: SignedDuration) -> Self {
        let ticks = i64::try_from(by.as_nanos() / 100).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(ticks))
    }

    fn timestamp(self) -> Timestamp {
        let nanoseconds = i128::from(self.0.saturating_sub(UNIX_EPOCH_TICKS)) * 100;
        Timestamp::from_nanosecond(nanoseconds).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// The form of the header `Last-Modified`.
    pub(crate) fn http_date(self) -> String {
        let printer = DateTimePrinter::new();
        printer.timestamp_to_rfc9110_string(&self.timestamp()).unwrap_or_default()
    }
}

impl From<Timestamp> for Stamp {
    fn from(time: Timestamp) -> Self {
        let ticks = i64::try_from(time.as_nanosecond() / 100).unwrap_or(0);
        Self(ticks.saturating_add(UNIX_EPOCH_TICKS))
    }
}

/// RFC 3339 with up to seven fractional digits, trailing zeros trimmed.
impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.timestamp().fmt(f)
    }
}

impl serde::Serialize for Stamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Stamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse::<Timestamp>().map(Self::from).map_err(serde::de::Error::custom)
    }
}

/// Ticks from the year 1 to 1970.
const UNIX_EPOCH_TICKS: i64 = 621_355_968_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_have_seven_digits_with_zeros_trimmed() {
        for (text, printed) in [
            ("2023-05-04T08:26:43.496113249Z", "2023-05-04T08:26:43.4961132Z"),
            ("2023-05-04T08:26:43.88Z", "2023-05-04T08:26:43.88Z"),
            ("2023-05-04T08:26:43Z", "2023-05-04T08:26:43Z"),
        ] {
            assert_eq!(Stamp::from(text.parse::<Timestamp>().unwrap()).to_string(), printed);
        }
    }

    #[test]
    fn ticks_match_a_recorded_marker() {
        let stamp = Stamp::from_ticks(639_039_224_611_470_601);
        assert_eq!(stamp.to_string(), "2026-01-13T17:34:21.1470601Z");
        assert_eq!(Stamp::from(stamp.timestamp()), stamp);
    }

    #[tokio::test(start_paused = true)]
    async fn follows_the_paused_clock_and_runs_ahead_of_it() {
        for rate in [1, 60] {
            let clock = Clock::start(rate);
            let before = clock.stamp();
            tokio::time::advance(Duration::from_secs(5)).await;
            assert_eq!(clock.stamp().ticks() - before.ticks(), 50_000_000 * i64::from(rate));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn is_set_ahead_and_back() {
        let clock = Clock::start(1);
        let before = clock.now();
        clock.advance(Duration::from_secs(90));
        assert_eq!(clock.now(), before + Duration::from_secs(90));
        clock.turn_back(Duration::from_secs(100));
        assert_eq!(clock.now(), before - Duration::from_secs(10));
        clock.advance(Duration::MAX);
        assert!(clock.now() > before);
        let clock = Clock::start(1);
        clock.turn_back(Duration::MAX);
        assert!(clock.now() < before, "as far back as there are times");
    }
}
