//! What shall go wrong: one line of text for each fault.

mod armed;
mod effect;
mod plan;
mod text;

use std::time::Duration;

use crate::operation::{Operation, Target};

pub(crate) use self::{
    armed::{Faults, Seen},
    effect::Effect,
};
pub use self::{
    effect::{ChallengeKind, CutEnd, JsonKind, TlsFault},
    plan::FaultPlan,
    text::ParseFaultError,
};

/// Something that shall go wrong with a certain request.
///
/// A fault counts the requests that it fits from the moment it is injected and strikes on
/// the first, unless told otherwise. It prints as one line that reads back as the same
/// fault, so a failing plan can be copied from a log:
///
/// ```
/// use acr_testkit::Fault;
///
/// let fault = Fault::status("get_manifest", 2, 503).retry_after("2");
/// assert_eq!(fault.to_string(), "status op=get_manifest status=503 retry_after=2 nth=2 times=1");
/// assert_eq!(fault.to_string().parse::<Fault>()?, fault);
///
/// let fault: Fault = "corrupt op=get_storage at=1000 path=/2cf24dba5fb0a30e times=forever".parse()?;
/// assert_eq!(fault, Fault::corrupt("get_storage", 1000).with_path("/2cf24dba5fb0a30e").forever());
/// # Ok::<_, acr_testkit::ParseFaultError>(())
/// ```
///
/// The operation is an [`Operation`] or its name; a constructor panics at a text that is none, so
/// that a typo does not become a fault that never strikes. It can also be `any` for each of them, or `connect` for the
/// connection before any request. The content of a redirected download comes from
/// `get_storage`; the answer of `get_blob` is then only the redirect. The storage knows no
/// repositories: its requests are told apart by the digest in their path.
///
/// Some faults are made of bytes that no well-behaved server sends: [`Fault::cut`],
/// [`Fault::extend`], [`Fault::length`], [`Fault::close_delimited`], [`Fault::garbage_chunk`]
/// and [`Fault::informational`]. They need a [`Server`](crate::Server); in process `cut`,
/// `garbage_chunk` and `length` break the body, and the others leave the answer alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    selector: Selector,
    effect: Effect,
    nth: u32,
    times: u32,
}

/// Which requests a fault is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Selector {
    operation: Target,
    repository: Option<String>,
    item: Option<String>,
    path: Option<String>,
    header: Option<String>,
    authorized: Option<bool>,
}

/// Instead of handling the request.
impl Fault {
    /// Answers the `nth` request of an operation with a status instead of handling it.
    #[track_caller]
    pub fn status(operation: impl AsRef<str>, nth: u32, status: u16) -> Self {
        Self::new(operation, Effect::Status { status, retry_after: None }).on_nth(nth)
    }

    /// Answers with a status before the body of the request was read, and closes the connection.
    #[track_caller]
    pub fn early_status(operation: impl AsRef<str>, status: u16) -> Self {
        Self::new(operation, Effect::EarlyStatus { status })
    }

    /// Answers 401 with a certain challenge, whatever token was sent.
    #[track_caller]
    pub fn challenge(operation: impl AsRef<str>, kind: ChallengeKind) -> Self {
        Self::new(operation, Effect::Challenge(kind))
    }

    /// Breaks the connection without handling the request.
    #[track_caller]
    pub fn drop_request(operation: impl AsRef<str>) -> Self {
        Self::new(operation, Effect::DropRequest)
    }

    /// Breaks the connection in the middle of the request's body. An upload keeps what arrived.
    #[track_caller]
    pub fn cut_request(operation: impl AsRef<str>, after_bytes: u64) -> Self {
        Self::new(operation, Effect::CutRequest { after: after_bytes })
    }

    /// Never answers.
    #[track_caller]
    pub fn stall(operation: impl AsRef<str>) -> Self {
        Self::new(operation, Effect::Stall)
    }

    /// Waits before it handles the request.
    #[track_caller]
    pub fn delay(operation: impl AsRef<str>, time: Duration) -> Self {
        Self::new(operation, Effect::Delay { time })
    }
}

/// The state of the registry.
impl Fault {
    /// Handles the request, then breaks the connection without an answer.
    #[track_caller]
    pub fn lose_response(operation: impl AsRef<str>) -> Self {
        Self::new(operation, Effect::LoseResponse)
    }

    /// Forgets the upload session before handling a request for it.
    #[track_caller]
    pub fn lose_session(operation: impl AsRef<str>) -> Self {
        Self::new(operation, Effect::LoseSession)
    }

    /// Lets somebody else push another manifest to the same tag right before the request, which
    /// must name a tag.
    #[track_caller]
    pub fn rival(operation: impl AsRef<str>) -> Self {
        Self::new(operation, Effect::Rival)
    }

    /// What `put_manifest` or `complete_upload` wrote is not found by so many requests after it,
    /// as on a replica that lags behind.
    #[track_caller]
    pub fn lag(operation: impl AsRef<str>, reads: u32) -> Self {
        Self::new(operation, Effect::Lag { reads })
    }

    /// Makes all refresh tokens invalid before handling the request.
    #[track_caller]
    pub fn revoke_refresh(operation: impl AsRef<str>) -> Self {
        Self::new(operation, Effect::RevokeRefresh)
    }
}

/// The tokens in the answers of `exchange` and `token`.
impl Fault {
    /// Issues a token that lives only so many seconds; none at all if negative.
    #[track_caller]
    pub fn token_lifetime(operation: impl AsRef<str>, seconds: i64) -> Self {
        Self::new(operation, Effect::TokenLifetime { seconds })
    }

    /// Issues a token whose times are off by so many seconds, as by a wrong clock.
    #[track_caller]
    pub fn token_skew(operation: impl AsRef<str>, seconds: i64) -> Self {
        Self::new(operation, Effect::TokenSkew { seconds })
    }

    /// Issues any text as a token; requests with it are refused.
    #[track_caller]
    pub fn token_text(operation: impl AsRef<str>, text: &str) -> Self {
        Self::new(operation, Effect::TokenText { text: text.to_owned() })
    }

    /// Issues an access token that grants nothing.
    #[track_caller]
    pub fn token_grants_nothing(operation: impl AsRef<str>) -> Self {
        Self::new(operation, Effect::TokenGrantsNothing)
    }
}

/// The answer.
impl Fault {
    /// Puts something else in place of the answer's JSON.
    #[track_caller]
    pub fn json(operation: impl AsRef<str>, kind: JsonKind) -> Self {
        Self::new(operation, Effect::Json(kind))
    }

    /// Flips the bits of one byte of the answer's body, counted from 0.
    #[track_caller]
    pub fn corrupt(operation: impl AsRef<str>, byte_index: u64) -> Self {
        Self::new(operation, Effect::Corrupt { at: byte_index })
    }

    /// Breaks the connection after some bytes of the answer's body.
    #[track_caller]
    pub fn truncate(operation: impl AsRef<str>, after_bytes: u64) -> Self {
        Self::new(operation, Effect::Truncate { after: after_bytes })
    }

    /// Sends some bytes of the answer's body and then nothing more.
    #[track_caller]
    pub fn stall_body(operation: impl AsRef<str>, after_bytes: u64) -> Self {
        Self::new(operation, Effect::StallBody { after: after_bytes })
    }

    /// Sends the answer's body at so many bytes a second, at least 1.
    #[track_caller]
    pub fn trickle(operation: impl AsRef<str>, bytes_per_second: u64) -> Self {
        Self::new(operation, Effect::Trickle { rate: bytes_per_second.max(1) })
    }

    /// Sends more bytes than the answer's body has and `Content-Length` says.
    #[track_caller]
    pub fn extend(operation: impl AsRef<str>, bytes: u32) -> Self {
        Self::new(operation, Effect::Extend { bytes: bytes.min(text::MAX_COUNT).into() })
    }

    /// Sets a header of the answer, in place of those with the same name.
    #[track_caller]
    pub fn set_header(operation: impl AsRef<str>, name: &str, value: &str) -> Self {
        let (name, value) = (name.to_ascii_lowercase(), value.to_owned());
        Self::new(operation, Effect::SetHeader { name, value })
    }

    /// Adds a header to the answer, beside those with the same name.
    #[track_caller]
    pub fn add_header(operation: impl AsRef<str>, name: &str, value: &str) -> Self {
        let (name, value) = (name.to_ascii_lowercase(), value.to_owned());
        Self::new(operation, Effect::AddHeader { name, value })
    }

    /// Removes a header of the answer.
    #[track_caller]
    pub fn remove_header(operation: impl AsRef<str>, name: &str) -> Self {
        Self::new(operation, Effect::RemoveHeader { name: name.to_ascii_lowercase() })
    }

    /// Adds so many headers to the answer.
    #[track_caller]
    pub fn header_flood(operation: impl AsRef<str>, count: u32) -> Self {
        Self::new(operation, Effect::HeaderFlood { count: count.min(text::MAX_COUNT) })
    }
}

/// The bytes on the connection.
impl Fault {
    /// Breaks the connection after some bytes of the answer, head included.
    #[track_caller]
    pub fn cut(operation: impl AsRef<str>, at_byte: u64, end: CutEnd) -> Self {
        Self::new(operation, Effect::Cut { at: at_byte, end })
    }

    /// Declares so many bytes more (or less) in `Content-Length` than the body has.
    #[track_caller]
    pub fn length(operation: impl AsRef<str>, by: i64) -> Self {
        Self::new(operation, Effect::Length { by })
    }

    /// Lets only the end of the connection end the body.
    #[track_caller]
    pub fn close_delimited(operation: impl AsRef<str>) -> Self {
        Self::new(operation, Effect::CloseDelimited)
    }

    /// Sends the body in chunks, of which one, after some bytes, is malformed.
    #[track_caller]
    pub fn garbage_chunk(operation: impl AsRef<str>, after_bytes: u64) -> Self {
        Self::new(operation, Effect::GarbageChunk { after: after_bytes })
    }

    /// Sends so many answers `103 Early Hints` before the answer.
    #[track_caller]
    pub fn informational(operation: impl AsRef<str>, count: u32) -> Self {
        Self::new(operation, Effect::Informational { count: count.min(text::MAX_COUNT) })
    }

    /// Answers, and closes the idle connection a while later.
    #[track_caller]
    pub fn close_idle(operation: impl AsRef<str>, after: Duration) -> Self {
        Self::new(operation, Effect::CloseIdle { after })
    }

    /// Refuses a connection: on loopback it is reset before a byte was sent.
    pub fn refuse() -> Self {
        Self::new("connect", Effect::Refuse)
    }

    /// Fails as the resolution of an unknown name does; on loopback, where no name is resolved,
    /// as [`Fault::refuse`].
    pub fn unknown_host() -> Self {
        Self::new("connect", Effect::UnknownHost)
    }

    /// Spoils the TLS of a connection; no effect in process and on plain HTTP.
    pub fn tls(kind: TlsFault) -> Self {
        Self::new("connect", Effect::TlsFailure(kind))
    }
}

/// Which requests, and how many.
impl Fault {
    /// Adds `Retry-After` to a status fault; no effect on other faults.
    #[must_use]
    pub fn retry_after(mut self, value: &str) -> Self {
        if let Effect::Status { retry_after, .. } = &mut self.effect {
            *retry_after = Some(value.to_owned());
        }
        self
    }

    /// Strikes first on this request of those it fits, counted from 1.
    #[must_use]
    pub fn on_nth(mut self, nth: u32) -> Self {
        self.nth = nth.max(1);
        self
    }

    /// Strikes on so many requests in a row; `u32::MAX` for ever.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    /// Strikes on every request from the first on.
    #[must_use]
    pub fn forever(self) -> Self {
        self.times(u32::MAX)
    }

    /// Fits only requests about this repository.
    #[must_use]
    pub fn in_repository(mut self, name: &str) -> Self {
        self.selector.repository = Some(name.to_owned());
        self
    }

    /// Fits only requests about this tag, digest or upload id.
    #[must_use]
    pub fn on_item(mut self, item: &str) -> Self {
        self.selector.item = Some(item.to_owned());
        self
    }

    /// Fits only requests whose path, as it was sent, contains this.
    #[must_use]
    pub fn with_path(mut self, part: &str) -> Self {
        self.selector.path = Some(part.to_owned());
        self
    }

    /// Fits only requests that have this header.
    #[must_use]
    pub fn with_header(mut self, name: &str) -> Self {
        self.selector.header = Some(name.to_ascii_lowercase());
        self
    }

    /// Fits only requests that carry `Authorization`.
    #[must_use]
    pub fn if_authorized(mut self) -> Self {
        self.selector.authorized = Some(true);
        self
    }

    /// Fits only requests that carry no `Authorization`.
    #[must_use]
    pub fn if_anonymous(mut self) -> Self {
        self.selector.authorized = Some(false);
        self
    }

    #[track_caller]
    fn new(operation: impl AsRef<str>, effect: Effect) -> Self {
        let operation = Operation::named(operation.as_ref());
        let selector = Selector { operation, ..Selector::default() };
        Self { selector, effect, nth: 1, times: 1 }
    }
}
