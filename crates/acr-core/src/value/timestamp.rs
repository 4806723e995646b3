//! Points in time as the registry writes them. `jiff` is named only here.

use std::{
    borrow::Cow,
    fmt,
    str::FromStr,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Visitor};
use thiserror::Error as ThisError;

/// A point in time, kept to the nanosecond; further digits are cut off.
///
/// Registries write RFC 3339 with 0 to 9 fractional digits, zeros at the end cut.
///
/// ```
/// use acr_core::Timestamp;
///
/// let time: Timestamp = "2023-05-04T08:26:43.4961132Z".parse()?;
/// assert_eq!(time.to_string(), "2023-05-04T08:26:43.4961132Z");
/// # Ok::<(), acr_core::value::ParseTimestampError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(jiff::Timestamp);

/// The text is not an RFC 3339 date and time.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
#[error("`{}` is not an RFC 3339 time", crate::http::redact::printable(.text))]
pub struct ParseTimestampError {
    text: String,
}

impl Timestamp {
    /// Seconds and nanoseconds since 1970.
    ///
    /// ```
    /// use acr_core::Timestamp;
    ///
    /// let time: Timestamp = "2024-01-01T00:00:00.5Z".parse()?;
    /// assert_eq!(time.as_unix(), (1_704_067_200, 500_000_000));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn as_unix(&self) -> (i64, i32) {
        (self.0.as_second(), self.0.subsec_nanosecond())
    }
}

impl FromStr for Timestamp {
    type Err = ParseTimestampError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || quickly(text).or_else(|| without_picoseconds(text).parse().ok());
        let parsed = if is_rfc3339(text) { read() } else { None };
        parsed.map(Self).ok_or_else(|| ParseTimestampError { text: text.to_owned() })
    }
}

/// Whether the text has the shape of RFC 3339 §5.6; the library reads more than that.
fn is_rfc3339(text: &str) -> bool {
    let Some((whole, rest)) = text.as_bytes().split_at_checked(WHOLE.len()) else {
        return false;
    };
    let zone = match rest.strip_prefix(b".") {
        None => rest,
        Some(fraction) => match fraction.iter().position(|byte| !byte.is_ascii_digit()) {
            Some(digits @ 1..) => fraction.get(digits..).unwrap_or_default(),
            _ => return false,
        },
    };
    has_shape(whole, WHOLE) && [&b"Z"[..], b"+00:00", b"-00:00"].iter().any(|s| has_shape(zone, s))
}

/// `0` in a shape is any digit.
fn has_shape(text: &[u8], shape: &[u8]) -> bool {
    text.len() == shape.len()
        && text.iter().zip(shape).all(|(byte, shape)| match shape {
            b'0' => byte.is_ascii_digit(),
            other => byte.eq_ignore_ascii_case(other),
        })
}

/// A time of the shape of RFC 3339 in UTC, as registries write them: lists have two an item. What
/// is another offset or a leap second is the library's to read.
fn quickly(text: &str) -> Option<jiff::Timestamp> {
    let (whole, rest) = text.as_bytes().split_at_checked(WHOLE.len())?;
    let fraction = rest.strip_suffix(b"Z")?.strip_prefix(b".").unwrap_or_default();
    let number =
        |digits: &[u8]| digits.iter().fold(0, |all, digit| all * 10 + i32::from(digit & 0xf));
    let field = |at: usize, len: usize| whole.get(at..at + len).map(number);
    let small = |at: usize| i8::try_from(field(at, 2)?).ok();
    let kept = fraction.get(..NANOSECONDS).unwrap_or(fraction);
    let unit = NANOSECOND_UNITS.get(kept.len())?;
    jiff::civil::DateTime::new(
        i16::try_from(field(0, 4)?).ok()?,
        small(5)?,
        small(8)?,
        small(11)?,
        small(14)?,
        small(17)?,
        number(kept) * unit,
    )
    .and_then(|time| jiff::tz::Offset::UTC.to_timestamp(time))
    .ok()
}

/// The text with nine fractional digits at most: RFC 3339 has no bound, the library has.
fn without_picoseconds(text: &str) -> Cow<'_, str> {
    let Some((whole, rest)) = text.split_once('.') else { return text.into() };
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    match (rest.get(..NANOSECONDS), rest.get(digits..)) {
        (Some(kept), Some(zone)) if digits > NANOSECONDS => format!("{whole}.{kept}{zone}").into(),
        _ => text.into(),
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TimestampVisitor)
    }
}

struct TimestampVisitor;

impl Visitor<'_> for TimestampVisitor {
    type Value = Timestamp;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Timestamp, E> {
        text.parse().map_err(E::custom)
    }
}

impl TryFrom<String> for Timestamp {
    type Error = ParseTimestampError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl TryFrom<&str> for Timestamp {
    type Error = ParseTimestampError;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Timestamp> for String {
    fn from(time: Timestamp) -> Self {
        time.to_string()
    }
}

/// On Windows no time is before 1601: what is becomes that.
impl From<Timestamp> for SystemTime {
    fn from(time: Timestamp) -> Self {
        let since = time.0.duration_since(jiff::Timestamp::UNIX_EPOCH);
        let length = since.unsigned_abs();
        let time = if since.is_negative() {
            Self::UNIX_EPOCH
                .checked_sub(length)
                .or_else(|| Self::UNIX_EPOCH.checked_sub(SINCE_1601))
        } else {
            Self::UNIX_EPOCH.checked_add(length)
        };
        time.unwrap_or(Self::UNIX_EPOCH)
    }
}

/// For times that RFC 3339 can write: of the years 0 to 9999.
impl TryFrom<SystemTime> for Timestamp {
    type Error = ParseTimestampError;

    fn try_from(time: SystemTime) -> Result<Self, Self::Error> {
        let read = jiff::Timestamp::try_from(time).map(Self).ok();
        read.filter(|read| is_rfc3339(&read.to_string()))
            .ok_or_else(|| ParseTimestampError { text: format!("{time:?}") })
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Date and time, to the second.
const WHOLE: &[u8] = b"0000-00-00T00:00:00";

/// Digits of a fraction that are kept.
const NANOSECONDS: usize = 9;

/// What the last of so many digits is worth, from none.
const NANOSECOND_UNITS: [i32; NANOSECONDS + 1] =
    [0, 100_000_000, 10_000_000, 1_000_000, 100_000, 10_000, 1_000, 100, 10, 1];

/// From there to 1970.
const SINCE_1601: Duration = Duration::from_secs(11_644_473_600);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_read_quickly_is_read_as_the_library_reads_it(
            date in (0..10_000, 0..14, 0..33),
            time in (0..25, 0..61, 0..62),
            fraction in "(\\.[0-9]{1,12})?",
            zone in "Z|z|\\+00:00|-00:00|\\+01:30",
        ) {
            let ((year, month, day), (hour, minute, second)) = (date, time);
            let text = format!(
                "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}{zone}"
            );
            prop_assert!(is_rfc3339(&text));
            let slowly = without_picoseconds(&text).parse().ok();
            if let Some(quickly) = quickly(&text) {
                prop_assert_eq!(Some(quickly), slowly);
            } else if zone == "Z" {
                // Left to the library, which knows leap seconds.
                prop_assert!(slowly.is_none() || second == 60);
            }
        }
    }

    #[test]
    fn a_fraction_of_every_length_is_read_quickly_and_right() {
        for digits in 0..=12 {
            let fraction = if digits == 0 { "" } else { &".987654321987"[..=digits] };
            let text = format!("2023-05-04T08:26:43{fraction}Z");
            let slowly: jiff::Timestamp = without_picoseconds(&text).parse().unwrap();
            assert_eq!(quickly(&text), Some(slowly), "{text}");
        }
    }

    #[test]
    fn f1_a_fraction_may_have_any_number_of_digits() {
        for (text, kept) in [
            ("2024-01-01T00:00:00.1234567890123Z", "2024-01-01T00:00:00.123456789Z"),
            ("2024-01-01T00:00:00.1234567899999+01:00", "2023-12-31T23:00:00.123456789Z"),
            ("2024-01-01T00:00:00.0000000000001Z", "2024-01-01T00:00:00Z"),
            ("2024-01-01t00:00:00.1234567890z", "2024-01-01T00:00:00.123456789Z"),
        ] {
            assert_eq!(text.parse::<Timestamp>().unwrap().to_string(), kept, "{text}");
        }
        let long = format!("2024-01-01T00:00:00.{}Z", "9".repeat(10_000));
        assert_eq!(long.parse::<Timestamp>().unwrap().as_unix(), (1_704_067_200, 999_999_999));
        for bad in ["2024-01-01T00:00:00.1234567890123", "2024-01-01T00:00:00.1234567890x12Z"] {
            assert!(bad.parse::<Timestamp>().is_err(), "{bad}");
        }
    }

    #[test]
    fn keeps_every_digit_the_wire_has() {
        for text in [
            "2023-05-04T08:26:43Z",
            "2023-05-04T08:26:43.88Z",
            "2023-05-04T08:26:43.496Z",
            "2023-05-04T08:26:43.4961132Z",
            "2024-06-26T15:05:06.792546123Z",
        ] {
            assert_eq!(text.parse::<Timestamp>().unwrap().to_string(), text);
        }
        let offset: Timestamp = "2023-05-04T10:26:43+02:00".parse().unwrap();
        assert_eq!(offset.to_string(), "2023-05-04T08:26:43Z");
        for bad in [
            "",
            "yesterday",
            "2023-05-04",
            "2023-13-04T08:26:43Z",
            "2023-05-04T08Z",
            "20230504T082643Z",
            "2023-05-04 08:26:43Z",
            "2023-05-04T08:26:43",
            "2023-05-04T08:26:43.Z",
            "2023-05-04T08:26:43+0200",
            "2023-05-04T08:26:43Z[Europe/Berlin]",
            "-002023-05-04T08:26:43Z",
            "2023-05-04T08:26:4\u{e9}Z",
        ] {
            assert!(bad.parse::<Timestamp>().is_err(), "{bad}");
        }
    }

    /// Whatever a server says, on every system.
    #[test]
    fn every_time_becomes_one_of_the_system() {
        for (text, seconds) in [
            ("0000-01-01T00:00:00Z", if cfg!(windows) { -11_644_473_600 } else { -62_167_219_200 }),
            ("1601-01-01T00:00:00Z", -11_644_473_600_i64),
            ("1969-12-31T23:59:59Z", -1),
            ("1970-01-01T00:00:00Z", 0),
            ("9999-12-30T22:00:00Z", 253_402_207_200),
        ] {
            let time = SystemTime::from(text.parse::<Timestamp>().unwrap());
            let length = Duration::from_secs(seconds.unsigned_abs());
            let expected = if seconds < 0 {
                SystemTime::UNIX_EPOCH - length
            } else {
                SystemTime::UNIX_EPOCH + length
            };
            assert_eq!(time, expected, "{text}");
        }
    }
}
