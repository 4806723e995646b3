//! The ranges of uploads: bare `first-last`, without unit and total. Pure.

use acr_core::{http::response::header_text, value::UploadRange};
use http::{HeaderMap, HeaderValue, header};

/// `Content-Range` of a chunk of at least one byte that starts at an offset.
pub(crate) fn chunk(offset: u64, len: u64) -> Option<HeaderValue> {
    let last = offset.checked_add(len.checked_sub(1)?)?;
    HeaderValue::from_str(&UploadRange::new(offset, last).ok()?.to_string()).ok()
}

/// How far an upload got, as its `Range` header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// So many bytes.
    Bytes(u64),
    /// `0-0`, which stands for one byte as well as for none.
    OneOrNone,
}

/// What an upload's `Range` header says; `None` without a header that can be read.
pub(crate) fn received(headers: &HeaderMap) -> Option<Received> {
    let text = header_text(headers, &header::RANGE)?;
    let range: UploadRange = text.strip_prefix("bytes=").unwrap_or(text).parse().ok()?;
    match (range.first(), range.last()) {
        (0, 0) => Some(Received::OneOrNone),
        (0, last) => last.checked_add(1).map(Received::Bytes),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Option<Received> {
        received(&HeaderMap::from_iter([(header::RANGE, text.parse().unwrap())]))
    }

    #[test]
    fn ranges_of_the_wire() {
        for (text, expected) in [
            ("0-0", Some(Received::OneOrNone)),
            ("0-21", Some(Received::Bytes(22))),
            ("bytes=0-21", Some(Received::Bytes(22))),
            ("0-18446744073709551615", None),
            ("5-21", None),
            ("0-", None),
            ("0-+5", None),
            ("0--1", None),
            ("", None),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
        assert_eq!(chunk(0, 0), None);
        assert_eq!(chunk(0, 22).unwrap(), "0-21");
        assert_eq!(chunk(u64::MAX, 2), None);
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read(len in 2u64..u64::MAX) {
            let text = chunk(0, len).unwrap();
            prop_assert_eq!(read(text.to_str().unwrap()), Some(Received::Bytes(len)));
        }

        #[test]
        fn any_text_is_read_without_panic(text in "[ -~]{0,30}") {
            let _ = read(&text);
        }
    }
}
