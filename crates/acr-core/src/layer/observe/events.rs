//! What an observer is told. Nothing here names a path, a digest or a tag: each field has few
//! values, so that each can be a label of a metric.

use std::time::Duration;

use http::{Method, StatusCode};

use crate::http::error::ErrorKind;

/// What an event is about: what labels of metrics are made of.
///
/// None of it is in the hands of a server: the operations are those of the program, and the
/// hosts are those that the program named. Around a server of one's own it is clients that name
/// hosts: see [`ObserveCallLayer::server`](super::ObserveCallLayer::server).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Observed {
    /// The operation in the words of the public method, such as `get_manifest`; `None` for a
    /// request without an [`Operation`](crate::http::Operation).
    pub operation: Option<&'static str>,
    /// The host that the program asked for, without a port, in lower case; empty if the request
    /// names none, or the layer stands around a server. It stays the same where a redirect leads
    /// elsewhere.
    pub host: String,
    /// The method; `_OTHER` for one that RFC 9110 and RFC 5789 do not have.
    pub method: &'static str,
    /// Who was sent the request.
    pub target: Target,
}

/// Who is sent a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Target {
    /// The host that the program asked for.
    Asked,
    /// Another one, which a server named by redirect: the storage of a registry. Its name is
    /// not told, since servers may name any number of them.
    Redirected,
    /// A token service.
    TokenService,
}

/// How a call, an exchange or a body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ending {
    /// With an answer of this status, good or bad.
    Answered(StatusCode),
    /// With an error, of this kind if it is known.
    Failed(Option<ErrorKind>),
    /// The future was dropped before it was done.
    Cancelled,
}

/// A call begins: everything from the request of the program to its answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallStarted {}

/// A call is over. Each one that started ends once.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallEnded {
    /// How.
    pub ending: Ending,
    /// From the call to the head of its answer: attempts, waits and token calls included, the
    /// answer's body not.
    pub duration: Duration,
}

/// One exchange of a call is over: an attempt, a hop of it to where a redirect leads, or the same
/// attempt sent once more by sign-in.
///
/// Of the exchanges at [`Target::Asked`] that are not [signed anew](Self::is_signed_anew) a call
/// has at most one for each attempt, and none for an attempt that sent nothing to the registry, since
/// its token could not be had or a layer refused it. The attempts of a call are its [`Waited`] events
/// and one more, unless it ended in a wait or right after one; [`number`](Self::number) tells which of
/// them an exchange belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AttemptEnded {
    /// Which attempt of its call it was, from 1.
    pub number: u32,
    /// Whether sign-in sent this attempt once more, with another token, after an exchange of the
    /// same number that was answered 401, or 403 for missing rights. Neither a wait nor an
    /// attempt stands between the two.
    pub is_signed_anew: bool,
    /// How.
    pub ending: Ending,
    /// Up to the head of the answer.
    pub duration: Duration,
}

/// One exchange with a token service is over. It is no attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenCallEnded {
    /// How.
    pub ending: Ending,
    /// Up to the head of the answer.
    pub duration: Duration,
}

/// An exchange was answered 429.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Throttled {
    /// How long the server asked to wait.
    pub retry_after: Option<Duration>,
}

/// A call waited before its next attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Waited {
    /// How long it did: less than was meant, if it was cancelled meanwhile.
    pub duration: Duration,
    /// Why: how the attempt before ended.
    pub reason: Ending,
    /// Whether the server said how long.
    pub is_asked: bool,
    /// The attempt that had failed, from 1.
    pub attempt: u32,
}

/// Bytes of a body moved, or it ended. A long body is told in parts of a mebibyte and more, and
/// its end once. Of a body without bytes nothing is told, unless it broke.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transferred {
    /// Which way.
    pub direction: Direction,
    /// How many, since the last event of this body. Content only: no heads, no chunk sizes, no TLS.
    pub bytes: u64,
    /// How the body ended; `None` while it goes on.
    pub end: Option<BodyEnd>,
}

/// Which way a body goes, as the program sees it that the layer stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Direction {
    /// From this program: the body of a request, as far as it was handed to the connection; around
    /// a server that of an answer.
    Sent,
    /// To this program: the body of an answer, as far as it was read; around a server that of a
    /// request.
    Received,
}

/// How a body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BodyEnd {
    /// It is whole.
    Complete,
    /// It broke, with an error of this kind if it is known.
    Failed(Option<ErrorKind>),
    /// Nobody wanted more of it, or nobody was there to take more.
    Dropped,
}

/// An exchange got a connection, or none. Told by our own transport alone.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Connected {
    /// Which.
    pub connection: Connection,
}

/// Where an exchange's connection came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Connection {
    /// It is the first exchange on this one.
    Opened,
    /// It served others before.
    Reused,
    /// There was none to be had.
    Failed,
}

/// For tests of an observer: of an operation, or of none, at a host.
impl Observed {
    /// A `GET` at this host, of no operation.
    pub fn new(host: impl Into<String>) -> Self {
        Self { operation: None, host: host.into(), method: "GET", target: Target::Asked }
    }

    /// Names the operation.
    #[must_use]
    pub fn operation(mut self, name: &'static str) -> Self {
        self.operation = Some(name);
        self
    }

    /// Says by which method.
    #[must_use]
    pub fn method(mut self, method: &'static str) -> Self {
        self.method = method;
        self
    }

    /// Says who was sent it.
    #[must_use]
    pub fn target(mut self, target: Target) -> Self {
        self.target = target;
        self
    }
}

impl CallStarted {
    /// A call that begins.
    pub const fn new() -> Self {
        Self {}
    }
}

impl CallEnded {
    /// A call that ended so, after so long.
    pub const fn new(ending: Ending, duration: Duration) -> Self {
        Self { ending, duration }
    }
}

impl AttemptEnded {
    /// An attempt of this number, from 1, that ended so, after so long.
    pub const fn new(number: u32, ending: Ending, duration: Duration) -> Self {
        Self { number, is_signed_anew: false, ending, duration }
    }

    /// Says that it was sent once more by sign-in.
    #[must_use]
    pub const fn signed_anew(mut self) -> Self {
        self.is_signed_anew = true;
        self
    }
}

impl TokenCallEnded {
    /// A token call that ended so, after so long.
    pub const fn new(ending: Ending, duration: Duration) -> Self {
        Self { ending, duration }
    }
}

impl Throttled {
    /// With what the server asked for, if it did.
    pub const fn new(retry_after: Option<Duration>) -> Self {
        Self { retry_after }
    }
}

impl Waited {
    /// A wait of so long after this attempt, from 1, which ended so.
    pub const fn new(attempt: u32, reason: Ending, duration: Duration) -> Self {
        Self { duration, reason, is_asked: false, attempt }
    }

    /// Says that the server asked for it.
    #[must_use]
    pub const fn asked(mut self) -> Self {
        self.is_asked = true;
        self
    }
}

impl Transferred {
    /// So many bytes that moved, of a body that goes on.
    pub const fn new(direction: Direction, bytes: u64) -> Self {
        Self { direction, bytes, end: None }
    }

    /// Says that the body ended with them.
    #[must_use]
    pub const fn end(mut self, end: BodyEnd) -> Self {
        self.end = Some(end);
        self
    }
}

impl Connected {
    /// With this connection.
    pub const fn new(connection: Connection) -> Self {
        Self { connection }
    }
}

impl Target {
    /// A word for a label: `asked`, `redirected`, `token_service`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Redirected => "redirected",
            Self::TokenService => "token_service",
        }
    }
}

impl Ending {
    /// A word for a label: the class of the status (`2xx`), the kind of the error (`timeout`;
    /// `unknown` for a stranger's), or `cancelled`.
    ///
    /// ```
    /// use acr_core::{ErrorKind, layer::Ending};
    /// use http::StatusCode;
    ///
    /// assert_eq!(Ending::Answered(StatusCode::SERVICE_UNAVAILABLE).as_str(), "5xx");
    /// assert_eq!(Ending::Failed(Some(ErrorKind::Timeout)).as_str(), "timeout");
    /// ```
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Answered(status) => class(status),
            Self::Failed(kind) => word(kind),
            Self::Cancelled => "cancelled",
        }
    }

    /// The status, if an answer came.
    pub const fn status(self) -> Option<StatusCode> {
        match self {
            Self::Answered(status) => Some(status),
            Self::Failed(_) | Self::Cancelled => None,
        }
    }
}

impl Direction {
    /// A word for a label: `sent`, `received`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Received => "received",
        }
    }
}

impl BodyEnd {
    /// A word for a label: `complete`, `dropped`, or the kind of the error.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Failed(kind) => word(kind),
            Self::Dropped => "dropped",
        }
    }
}

impl Connection {
    /// A word for a label: `opened`, `reused`, `failed`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Reused => "reused",
            Self::Failed => "failed",
        }
    }
}

/// A client may send any word as a method; few of them are one.
pub(super) fn known_method(method: &Method) -> &'static str {
    const KNOWN: &[&str] =
        &["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"];
    let known = KNOWN.iter().find(|known| **known == method.as_str());
    known.copied().unwrap_or("_OTHER")
}

/// Statuses go up to 999.
const fn class(status: StatusCode) -> &'static str {
    match status.as_u16() / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        5 => "5xx",
        _ => "other",
    }
}

const fn word(kind: Option<ErrorKind>) -> &'static str {
    match kind {
        Some(kind) => kind.as_str(),
        None => "unknown",
    }
}
