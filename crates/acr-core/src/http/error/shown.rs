//! How an error prints: one line whose length no server decides.

use std::fmt::{self, Write as _};

use super::{Error, Inner};
use crate::http::{
    error::{code::ErrorDetail, shortened::shortened},
    redact::{printable_up_to, shown_subject},
};

/// At most a kilobyte and a half; a precision makes it shorter: `{error:.300}`.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit = f.precision().unwrap_or(MAX_LINE).min(MAX_LINE);
        // The id that support asks for comes last and is never what is cut.
        let end = end_of(&self.0);
        let limit = limit.saturating_sub(end.len());
        f.write_str(&shortened(limit, Start(&self.0)))?;
        f.write_str(&end)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = Fields(self);
        f.write_str(&if f.alternate() {
            shortened(MAX_DEBUG, format_args!("{fields:#?}"))
        } else {
            shortened(MAX_DEBUG, format_args!("{fields:?}"))
        })
    }
}

/// Everything but attempts and id.
struct Start<'a>(&'a Inner);

impl fmt::Display for Start<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.0;
        if let Some(operation) = &inner.operation {
            f.write_str(operation.name())?;
            if let Some(subject) = operation.subject() {
                write!(f, " `{}`", shown_subject(subject))?;
            }
            f.write_str(": ")?;
        }
        if let Some(status) = inner.status {
            write!(f, "{}", status.as_u16())?;
            if let Some(code) = inner.details.first().map(ErrorDetail::code) {
                write!(f, " {code}")?;
            }
            f.write_str(": ")?;
        }
        f.write_str(&inner.message)?;
        for detail in inner.details.iter().skip(1).take(MAX_FURTHER_ERRORS) {
            let message = printable_up_to(detail.message(), MAX_FURTHER_TEXT);
            write!(f, "; {}: {message}", detail.code())?;
        }
        inner.hint.map_or(Ok(()), |hint| write!(f, "; {hint}"))
    }
}

fn end_of(inner: &Inner) -> String {
    let mut end = String::new();
    // Writing to a String cannot fail.
    if inner.attempts > 1 {
        let _ = write!(end, " after {} attempts", inner.attempts);
    }
    if let Some(id) = inner.correlation_id.as_deref().or(inner.request_id.as_deref()) {
        let _ = write!(end, " (request id {id})");
    }
    end
}

struct Fields<'a>(&'a Error);

impl fmt::Debug for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.0.0;
        f.debug_struct("Error")
            .field("kind", &inner.kind)
            .field("message", &self.0.to_string())
            .field("url", &inner.url)
            .field("attempts", &inner.attempts)
            .field("retry_after", &inner.retry_after)
            .field("source", &inner.source)
            .finish_non_exhaustive()
    }
}

/// A log line of 2 KiB holds it, and the spans of its call.
const MAX_LINE: usize = 1_536;

/// The same, with the causes.
const MAX_DEBUG: usize = 2_045;

/// A registry can name every missing layer; a log line needs only some.
const MAX_FURTHER_ERRORS: usize = 3;

/// Bytes of each.
const MAX_FURTHER_TEXT: usize = 160;
