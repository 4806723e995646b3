//! Reads single headers. Pure.

use http::{HeaderMap, HeaderName};

/// A header's single value as text; several different values count as none.
pub fn header_text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    if values.any(|other| other != first) {
        return None;
    }
    first.to_str().ok()
}

/// A decimal header: ASCII digits only, so `+5` and `5, 5` are refused.
pub fn header_u64(headers: &HeaderMap, name: &HeaderName) -> Option<u64> {
    let text = header_text(headers, name)?;
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}
