//! The registry's time: wall-clock stamps that follow tokio's clock, which a test can pause.

use std::{fmt, time::Duration};

use jiff::{SignedDuration, Timestamp, fmt::rfc2822::DateTimePrinter};
use tokio::time::Instant;

/// Started once; the wall clock is read only then.
#[derive(Debug)]
pub(crate) struct Clock {
    started: Instant,
    wall: Timestamp,
}

/// A time in .NET ticks: units of 100 ns since the year 1, the resolution of the registry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stamp(i64);

impl Clock {
    pub(crate) fn start() -> Self {
        Self { started: Instant::now(), wall: Timestamp::now() }
    }

    /// Time since the start, as tokio sees it.
    pub(crate) fn elapsed(&self) -> Duration {
        Instant::now().saturating_duration_since(self.started)
    }

    pub(crate) fn now(&self) -> Timestamp {
        let elapsed = SignedDuration::try_from(self.elapsed()).unwrap_or(SignedDuration::MAX);
        self.wall.checked_add(elapsed).unwrap_or(Timestamp::MAX)
    }

    pub(crate) fn stamp(&self) -> Stamp {
        Stamp::from(self.now())
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
    async fn follows_the_paused_clock() {
        let clock = Clock::start();
        let before = clock.stamp();
        tokio::time::advance(Duration::from_secs(5)).await;
        assert!(clock.stamp().ticks() - before.ticks() >= 50_000_000);
    }
}
