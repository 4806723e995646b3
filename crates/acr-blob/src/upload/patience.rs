//! How long the blob of a commit without an answer is looked for. Pure.

use std::time::Duration;

/// How long to look before so many bytes are sent again: registries need minutes to finish
/// long blobs, and front ends give up before them. Never for what one more request mends.
pub(crate) fn patience(took: Duration, was_timeout: bool, len: u64, chunk: u64) -> Duration {
    if len <= chunk {
        return Duration::ZERO;
    }
    let least = if was_timeout && len > SHORT { LEAST } else { Duration::ZERO };
    took.saturating_mul(5).clamp(least, MOST)
}

/// The n-th pause between two looks, from 0.
pub(crate) fn pause(number: u32) -> Duration {
    FIRST.saturating_mul(1u32.checked_shl(number).unwrap_or(u32::MAX)).min(LONGEST)
}

/// Sent again in seconds.
const SHORT: u64 = 8 * 1024 * 1024;

const LEAST: Duration = Duration::from_secs(60);

const MOST: Duration = Duration::from_secs(15 * 60);

const FIRST: Duration = Duration::from_secs(1);

const LONGEST: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_content_is_waited_for_and_short_content_sent_again() {
        let second = Duration::from_secs;
        for (took, was_timeout, sent, chunk, expected) in [
            (120, true, 100, 100, 0),
            (120, true, 101, 100, 600),
            (0, false, 1 << 30, 100, 0),
            (0, true, 1 << 30, 100, 60),
            (0, true, SHORT, 100, 0),
            (60, true, 1 << 30, SHORT, 300),
            (10_000, false, 1 << 40, SHORT, 900),
        ] {
            assert_eq!(patience(second(took), was_timeout, sent, chunk), second(expected));
        }
        let pauses = [0, 1, 5, 6, 40].map(|n| pause(n).as_secs());
        assert_eq!(pauses, [1, 2, 32, 60, 60]);
    }
}
