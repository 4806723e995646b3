//! A form body that is wiped with its last clone.

use std::fmt::Write as _;

use bytes::Bytes;
use http::HeaderValue;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

pub(crate) struct Form(Zeroizing<String>);

impl Form {
    pub(crate) fn new() -> Self {
        Self(Zeroizing::new(String::with_capacity(ROOM)))
    }

    pub(crate) fn optional(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.field(name, value),
            None => self,
        }
    }

    pub(crate) fn field(mut self, name: &str, value: &str) -> Self {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        // Writing to a String cannot fail.
        let _ = write!(self.0, "{name}={}", utf8_percent_encode(value, VALUE));
        self
    }

    /// The body, and its `Content-Type`.
    pub(crate) fn finish(self) -> (HeaderValue, Bytes) {
        let content_type = HeaderValue::from_static("application/x-www-form-urlencoded");
        (content_type, Bytes::from_owner(self.0))
    }
}

/// So that a form with usual tokens does not move, leaving copies behind.
const ROOM: usize = 8 * 1024;

/// Unreserved characters only. A blank becomes `%20`: sent otherwise, the second of two
/// scopes is silently lost.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
