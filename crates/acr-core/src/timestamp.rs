//! Points in time as the registry writes them. `jiff` is named only here.

use std::{fmt, str::FromStr, time::SystemTime};

use serde::{Deserialize, Serialize};
use thiserror::Error as ThisError;

/// A point in time, kept to the nanosecond.
///
/// Registries write RFC 3339 with 0 to 9 fractional digits, zeros at the end cut.
///
/// ```
/// use acr_core::Timestamp;
///
/// let time: Timestamp = "2023-05-04T08:26:43.4961132Z".parse()?;
/// assert_eq!(time.to_string(), "2023-05-04T08:26:43.4961132Z");
/// # Ok::<(), acr_core::ParseTimestampError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp(jiff::Timestamp);

/// The text is not an RFC 3339 date and time.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
#[error("`{}` is not an RFC 3339 time", crate::redact::printable(.text))]
pub struct ParseTimestampError {
    text: String,
}

impl Timestamp {
    /// Seconds and nanoseconds since 1970.
    pub fn as_unix(&self) -> (i64, i32) {
        (self.0.as_second(), self.0.subsec_nanosecond())
    }
}

impl FromStr for Timestamp {
    type Err = ParseTimestampError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self).map_err(|_| ParseTimestampError { text: text.to_owned() })
    }
}

impl TryFrom<String> for Timestamp {
    type Error = ParseTimestampError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Timestamp> for String {
    fn from(time: Timestamp) -> Self {
        time.to_string()
    }
}

impl From<Timestamp> for SystemTime {
    fn from(time: Timestamp) -> Self {
        time.0.into()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        for bad in ["", "yesterday", "2023-05-04", "2023-13-04T08:26:43Z"] {
            assert!(bad.parse::<Timestamp>().is_err(), "{bad}");
        }
    }
}
