//! The ranges of uploads: bare `first-last`, without unit and total. Pure.

use acr_core::{UploadRange, response::header_text};
use http::{HeaderMap, HeaderValue, header};

/// `Content-Range` of a chunk of at least one byte that starts at an offset.
pub(crate) fn chunk(offset: u64, len: u64) -> Option<HeaderValue> {
    let last = offset.checked_add(len.checked_sub(1)?)?;
    HeaderValue::from_str(&UploadRange::new(offset, last).ok()?.to_string()).ok()
}

/// How many bytes an upload's `Range` header says were received.
///
/// `0-0` means nothing as well as one byte; `confirmed`, what is known to have been
/// received before, decides.
pub(crate) fn received(headers: &HeaderMap, confirmed: u64) -> Option<u64> {
    let text = header_text(headers, &header::RANGE)?;
    let range: UploadRange = text.strip_prefix("bytes=").unwrap_or(text).parse().ok()?;
    match (range.first(), range.last()) {
        (0, 0) => Some(confirmed.min(1)),
        (0, last) => last.checked_add(1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str, confirmed: u64) -> Option<u64> {
        received(&HeaderMap::from_iter([(header::RANGE, text.parse().unwrap())]), confirmed)
    }

    #[test]
    fn ranges_of_the_wire() {
        for (text, confirmed, expected) in [
            ("0-0", 0, Some(0)),
            ("0-0", 1, Some(1)),
            ("0-0", 4096, Some(1)),
            ("0-21", 0, Some(22)),
            ("bytes=0-21", 0, Some(22)),
            ("0-18446744073709551615", 0, None),
            ("5-21", 0, None),
            ("0-", 0, None),
            ("0-+5", 0, None),
            ("0--1", 0, None),
            ("", 0, None),
        ] {
            assert_eq!(read(text, confirmed), expected, "{text}");
        }
        assert_eq!(chunk(0, 0), None);
        assert_eq!(chunk(0, 22).unwrap(), "0-21");
        assert_eq!(chunk(u64::MAX, 2), None);
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read(len in 2u64..u64::MAX) {
            let text = chunk(0, len).unwrap();
            prop_assert_eq!(read(text.to_str().unwrap(), 0), Some(len));
        }

        #[test]
        fn any_text_is_read_without_panic(text in "[ -~]{0,30}", confirmed in any::<u64>()) {
            let _ = read(&text, confirmed);
        }
    }
}
