//! The ranges of HTTP and of uploads. Pure; readers never panic and print what they read.

use std::{
    fmt,
    ops::{Range, RangeFrom, RangeInclusive},
    str::FromStr,
};

use thiserror::Error as ThisError;

use crate::http::error::{Error, ErrorKind};

/// A part of a content that is asked for: `bytes=first-last`, or `bytes=first-` to the end.
///
/// ```
/// use acr_core::ByteRange;
///
/// assert_eq!(ByteRange::new(0, Some(299))?.to_string(), "bytes=0-299");
/// assert_eq!("bytes=300-".parse::<ByteRange>()?.first(), 300);
/// assert_eq!(ByteRange::try_from(0..=299)?, ByteRange::try_from(0..300)?);
/// assert_eq!(ByteRange::from(300..).last(), None);
/// # Ok::<(), acr_core::value::ParseRangeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ByteRange {
    first: u64,
    last: Option<u64>,
}

/// The part that came: `bytes first-last/total`, the total possibly unknown (`*`).
///
/// ```
/// use acr_core::value::ContentRange;
///
/// let part: ContentRange = "bytes 0-299/5635".parse()?;
/// assert_eq!((part.first(), part.last(), part.total()), (0, 299, Some(5635)));
/// assert_eq!(part.to_string(), "bytes 0-299/5635");
/// # Ok::<(), acr_core::value::ParseRangeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ContentRange {
    first: u64,
    last: u64,
    total: Option<u64>,
}

/// A part of an upload: `first-last`, without unit and total. Registries refuse the
/// form with a unit.
///
/// ```
/// use acr_core::value::UploadRange;
///
/// assert_eq!(UploadRange::new(0, 21)?.to_string(), "0-21");
/// assert_eq!("22-41".parse::<UploadRange>()?.last(), 41);
/// # Ok::<(), acr_core::value::ParseRangeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UploadRange {
    first: u64,
    last: u64,
}

/// The text is no range, or a range that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
#[error("`{}` is not a range", crate::http::redact::printable(.text))]
pub struct ParseRangeError {
    text: String,
}

impl ByteRange {
    /// From one offset to another, both included, or to the end.
    ///
    /// # Errors
    ///
    /// When the last offset lies before the first.
    pub fn new(first: u64, last: Option<u64>) -> Result<Self, ParseRangeError> {
        let range = Self { first, last };
        if last.is_some_and(|last| last < first) { Err(refuse(range)) } else { Ok(range) }
    }

    /// The first offset.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// The last offset, included; `None` for everything from the first on.
    pub fn last(&self) -> Option<u64> {
        self.last
    }
}

impl ContentRange {
    /// From one offset to another, both included, of a total.
    ///
    /// # Errors
    ///
    /// When the last offset lies before the first or not within the total.
    pub fn new(first: u64, last: u64, total: Option<u64>) -> Result<Self, ParseRangeError> {
        let range = Self { first, last, total };
        let outside = total.is_some_and(|total| last >= total);
        if last < first || outside { Err(refuse(range)) } else { Ok(range) }
    }

    /// The first offset.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// The last offset, included.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// The length of the whole content, if the server told.
    pub fn total(&self) -> Option<u64> {
        self.total
    }
}

impl UploadRange {
    /// From one offset to another, both included.
    ///
    /// # Errors
    ///
    /// When the last offset lies before the first.
    pub fn new(first: u64, last: u64) -> Result<Self, ParseRangeError> {
        let range = Self { first, last };
        if last < first { Err(refuse(range)) } else { Ok(range) }
    }

    /// The first offset.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// The last offset, included.
    pub fn last(&self) -> u64 {
        self.last
    }
}

impl FromStr for ByteRange {
    type Err = ParseRangeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        read(text, || {
            let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
            let last = if last.is_empty() { None } else { Some(number(last)?) };
            Self::new(number(first)?, last).ok()
        })
    }
}

impl FromStr for ContentRange {
    type Err = ParseRangeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        read(text, || {
            let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
            let (first, last) = range.split_once('-')?;
            let total = if total == "*" { None } else { Some(number(total)?) };
            Self::new(number(first)?, number(last)?, total).ok()
        })
    }
}

impl FromStr for UploadRange {
    type Err = ParseRangeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        read(text, || {
            let (first, last) = text.split_once('-')?;
            Self::new(number(first)?, number(last)?).ok()
        })
    }
}

impl fmt::Display for ByteRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.last {
            Some(last) => write!(f, "bytes={}-{last}", self.first),
            None => write!(f, "bytes={}-", self.first),
        }
    }
}

impl fmt::Display for ContentRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.total {
            Some(total) => write!(f, "bytes {}-{}/{total}", self.first, self.last),
            None => write!(f, "bytes {}-{}/*", self.first, self.last),
        }
    }
}

impl fmt::Display for UploadRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

/// `0..=299`: both ends included, as in HTTP.
impl TryFrom<RangeInclusive<u64>> for ByteRange {
    type Error = ParseRangeError;

    fn try_from(range: RangeInclusive<u64>) -> Result<Self, Self::Error> {
        Self::new(*range.start(), Some(*range.end()))
    }
}

/// `0..300`: the end is left out. An empty range is an error, since HTTP cannot say it.
impl TryFrom<Range<u64>> for ByteRange {
    type Error = ParseRangeError;

    fn try_from(range: Range<u64>) -> Result<Self, Self::Error> {
        Self::new(range.start, Some(last_of(&range)?))
    }
}

/// `300..`: to the end of the content.
impl From<RangeFrom<u64>> for ByteRange {
    fn from(range: RangeFrom<u64>) -> Self {
        Self { first: range.start, last: None }
    }
}

/// `0..=21`: both ends included, as on the wire.
impl TryFrom<RangeInclusive<u64>> for UploadRange {
    type Error = ParseRangeError;

    fn try_from(range: RangeInclusive<u64>) -> Result<Self, Self::Error> {
        Self::new(*range.start(), *range.end())
    }
}

/// `0..22`: the end is left out. An empty range is an error.
impl TryFrom<Range<u64>> for UploadRange {
    type Error = ParseRangeError;

    fn try_from(range: Range<u64>) -> Result<Self, Self::Error> {
        Self::new(range.start, last_of(&range)?)
    }
}

/// What came, as offsets: `first..=last`.
impl From<ContentRange> for RangeInclusive<u64> {
    fn from(range: ContentRange) -> Self {
        range.first..=range.last
    }
}

/// What was taken, as offsets: `first..=last`.
impl From<UploadRange> for RangeInclusive<u64> {
    fn from(range: UploadRange) -> Self {
        range.first..=range.last
    }
}

/// The last offset of a half-open range; an error where it has none.
fn last_of(range: &Range<u64>) -> Result<u64, ParseRangeError> {
    let empty = || ParseRangeError { text: format!("{}..{}", range.start, range.end) };
    if range.is_empty() { Err(empty()) } else { range.end.checked_sub(1).ok_or_else(empty) }
}

impl From<ParseRangeError> for Error {
    fn from(error: ParseRangeError) -> Self {
        Self::new(ErrorKind::InvalidInput, error.to_string())
    }
}

fn read<T>(text: &str, parse: impl FnOnce() -> Option<T>) -> Result<T, ParseRangeError> {
    parse().ok_or_else(|| ParseRangeError { text: text.to_owned() })
}

fn refuse(range: impl fmt::Display) -> ParseRangeError {
    ParseRangeError { text: range.to_string() }
}

/// ASCII digits only: the standard parser would take `+5`.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hostile_ranges_are_refused() {
        for bad in [
            "",
            "-",
            "5",
            "5-",
            "-5",
            "+1-2",
            "1-+2",
            "2-1",
            "1-2-3",
            " 1-2",
            "1- 2",
            "-1--1",
            "0x1-2",
            "18446744073709551616-18446744073709551617",
            "bytes 0-1",
            "a-b",
        ] {
            assert!(bad.parse::<UploadRange>().is_err(), "{bad}");
        }
        for bad in [
            "bytes 0-1",
            "0-1/2",
            "bytes 0-2/2",
            "bytes 1-0/5",
            "bytes */5",
            "bytes=0-1/2",
            "bytes 0-1/",
            "bytes 0-1/-5",
            "items 0-1/2",
        ] {
            assert!(bad.parse::<ContentRange>().is_err(), "{bad}");
        }
        for bad in ["bytes=-5", "bytes=5-1", "bytes=1-2,3-4", "bytes 1-2", "bytes=a-"] {
            assert!(bad.parse::<ByteRange>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read(first in any::<u64>(), last in any::<u64>(), total in any::<Option<u64>>()) {
            if let Ok(range) = UploadRange::new(first, last) {
                prop_assert_eq!(range.to_string().parse::<UploadRange>(), Ok(range));
            }
            if let Ok(range) = ContentRange::new(first, last, total) {
                prop_assert_eq!(range.to_string().parse::<ContentRange>(), Ok(range));
            }
            if let Ok(range) = ByteRange::new(first, total) {
                prop_assert_eq!(range.to_string().parse::<ByteRange>(), Ok(range));
            }
        }

        #[test]
        fn any_text_is_read_without_panic_and_prints_the_same_meaning(text in "(bytes[ =])?[0-9+*/-]{0,24}") {
            if let Ok(range) = text.parse::<UploadRange>() {
                prop_assert_eq!(range.to_string().parse::<UploadRange>(), Ok(range));
            }
            if let Ok(range) = text.parse::<ContentRange>() {
                prop_assert_eq!(range.to_string().parse::<ContentRange>(), Ok(range));
            }
            if let Ok(range) = text.parse::<ByteRange>() {
                prop_assert_eq!(range.to_string().parse::<ByteRange>(), Ok(range));
            }
        }
    }
}
