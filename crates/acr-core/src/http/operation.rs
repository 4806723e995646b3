//! What a request is for: facts that travel with it as extensions.

use std::{
    fmt::{self, Write as _},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

/// Names the operation a request belongs to, for errors, logs and spans.
///
/// A request extension, shared by all attempts and hops of one call.
///
/// ```
/// use acr_core::http::Operation;
///
/// let get = Operation::new("get_manifest").on("library/app:v1");
/// assert_eq!((get.name(), get.subject()), ("get_manifest", Some("library/app:v1")));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    name: &'static str,
    subject: Option<Arc<str>>,
}

/// What happens on the registry when a request takes effect twice.
///
/// A request extension. It decides what may be repeated after a failure,
/// rather than the HTTP method: a `PATCH` of properties may be sent again, a
/// `PATCH` of an upload may not. A request without it gets one from its method
/// ([`Effect::of`]) when it comes to the retry layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Effect {
    /// Changes nothing; repeated freely.
    Read,
    /// Sets an absolute state (properties, delete by digest, content by digest); repeated freely.
    Set,
    /// Claims a resource that nobody else sees (start of an upload, mount); repeated, may leak one session.
    Claim,
    /// Adds to what is there (a chunk); never repeated blindly.
    Append,
    /// Ends an upload; verified by digest before it is repeated.
    Commit,
    /// Moves a name that others move too (tag put, tag delete); verified before it is repeated.
    Move,
    /// Asks a token service; repeated freely.
    Token,
}

/// Marks a request whose answer may come from another origin by redirect.
///
/// Only reads of blob content carry it; every other redirect is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FollowRedirects;

/// Marks a request that is sent once more within the same attempt, with another token, since the
/// registry answered 401 or missed rights. Written by the authentication layer; read by
/// [`ObserveExchangeLayer`](crate::layer::ObserveExchangeLayer), so that who counts attempts can
/// leave these out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SignedAnew;

/// Which attempt of its call a request is, from 1. Written by the retry layer.
///
/// ```
/// use acr_core::http::Attempt;
///
/// assert_eq!(Attempt::new(2).get(), 2); // the first repetition
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attempt(u32);

/// How often a call was signed in anew, shared by its attempts: a request extension
/// that the retry layer writes and the authentication layer counts in.
#[derive(Clone, Debug, Default)]
pub struct Recoveries(Arc<AtomicU32>);

impl Recoveries {
    /// Counts one more, or refuses the third: a server that takes no token is not
    /// asked for ever.
    pub fn begin(&self) -> bool {
        self.0.fetch_add(1, Ordering::Relaxed) < MAX_RECOVERIES
    }
}

/// Of one call, all attempts together.
const MAX_RECOVERIES: u32 = 2;

impl Operation {
    /// Names an operation, in the words of the public method: `get_manifest`.
    pub const fn new(name: &'static str) -> Self {
        Self { name, subject: None }
    }

    /// Says what it works on: `library/app:v1`.
    #[must_use]
    pub fn on(mut self, subject: impl fmt::Display) -> Self {
        let mut text = Short::default();
        // Writing to memory cannot fail.
        let _ = write!(text, "{subject}");
        self.subject = Some(text.into());
        self
    }

    /// The operation's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What it works on.
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }
}

/// A text that is kept on the stack while it is short: every call makes one.
enum Short {
    Here { bytes: [u8; SHORT], len: usize },
    Long(String),
}

impl Default for Short {
    fn default() -> Self {
        Self::Here { bytes: [0; SHORT], len: 0 }
    }
}

impl Short {
    fn as_str(&self) -> &str {
        match self {
            // Only whole texts were put there.
            Self::Here { bytes, len } => {
                bytes.get(..*len).and_then(|text| str::from_utf8(text).ok()).unwrap_or_default()
            }
            Self::Long(text) => text,
        }
    }
}

impl fmt::Write for Short {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        match self {
            Self::Here { bytes, len } => {
                let end = len.saturating_add(more.len());
                match bytes.get_mut(*len..end) {
                    Some(free) => {
                        free.copy_from_slice(more.as_bytes());
                        *len = end;
                    }
                    None => *self = Self::Long([self.as_str(), more].concat()),
                }
            }
            Self::Long(text) => text.push_str(more),
        }
        Ok(())
    }
}

impl From<Short> for Arc<str> {
    fn from(text: Short) -> Self {
        text.as_str().into()
    }
}

/// A repository and a digest are rarely longer.
const SHORT: usize = 160;

impl Effect {
    /// What the rules of HTTP say of a method (RFC 9110, 9.2): `GET`, `HEAD`, `OPTIONS` and
    /// `TRACE` read, `PUT` and `DELETE` set; `POST`, `PATCH` and any other append.
    ///
    /// ```
    /// use acr_core::http::Effect;
    /// use http::Method;
    ///
    /// assert_eq!(Effect::of(&Method::DELETE), Effect::Set);
    /// assert!(Effect::of(&Method::GET).is_repeatable() && !Effect::of(&Method::POST).is_repeatable());
    /// ```
    pub fn of(method: &http::Method) -> Self {
        match method.as_str() {
            "GET" | "HEAD" | "OPTIONS" | "TRACE" => Self::Read,
            "PUT" | "DELETE" => Self::Set,
            _ => Self::Append,
        }
    }

    /// Whether a request that may already have taken effect can be sent again as it is.
    pub const fn is_repeatable(self) -> bool {
        match self {
            Self::Read | Self::Set | Self::Claim | Self::Token => true,
            Self::Append | Self::Commit | Self::Move => false,
        }
    }
}

impl Attempt {
    /// The n-th attempt, from 1.
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number, from 1.
    pub const fn get(self) -> u32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_what_is_displayed_whatever_its_length() {
        let digest = "ä".repeat(40);
        for name in ["", "a", "é", &"x".repeat(SHORT - 81), &"x".repeat(SHORT), &"é".repeat(500)]
        {
            let subject = format!("{name}@{digest}@{name}");
            let operation = Operation::new("get").on(format_args!("{name}@{digest}@{name}"));
            assert_eq!(operation.subject(), Some(subject.as_str()));
            assert_eq!(Operation::new("get").on(name).subject(), Some(name));
        }
    }
}
