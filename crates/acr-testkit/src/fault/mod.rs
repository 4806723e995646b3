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
/// use acr_testkit::{Fault, Operation};
///
/// let fault = Fault::status(Operation::GetManifest, 2, 503).retry_after("2");
/// assert_eq!(fault.to_string(), "status op=get_manifest status=503 retry_after=2 nth=2 times=1");
/// assert_eq!(fault.to_string().parse::<Fault>()?, fault);
///
/// let fault: Fault = "corrupt op=get_storage at=1000 path=/2cf24dba5fb0a30e times=forever".parse()?;
/// let same = Fault::corrupt(Operation::GetStorage, 1000).with_path("/2cf24dba5fb0a30e").forever();
/// assert_eq!(fault, same);
/// # Ok::<_, acr_testkit::ParseFaultError>(())
/// ```
///
/// The operation is an [`Operation`], or [`Target::Any`] for each of them but
/// [`Operation::Connect`], which stands for the connection before any request. A fault that does
/// nothing to its operation, such as a status for a connection, panics when it is made, and its
/// text is refused. The content of a
/// redirected download comes from `get_storage`; the answer of `download_blob` is then only the
/// redirect. The storage knows no repositories: its requests are told apart by the digest in
/// their path.
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
    pub fn status(operation: impl Into<Target>, nth: u32, status: u16) -> Self {
        Self::new(operation, Effect::Status { status, retry_after: None }).on_nth(nth)
    }

    /// Answers with a status before the body of the request was read, and closes the connection.
    pub fn early_status(operation: impl Into<Target>, status: u16) -> Self {
        Self::new(operation, Effect::EarlyStatus { status })
    }

    /// Answers 401 with a certain challenge, whatever token was sent.
    pub fn challenge(operation: impl Into<Target>, kind: ChallengeKind) -> Self {
        Self::new(operation, Effect::Challenge(kind))
    }

    /// Breaks the connection without handling the request.
    pub fn drop_request(operation: impl Into<Target>) -> Self {
        Self::new(operation, Effect::DropRequest)
    }

    /// Breaks the connection in the middle of the request's body. An upload keeps what arrived.
    pub fn cut_request(operation: impl Into<Target>, after_bytes: u64) -> Self {
        Self::new(operation, Effect::CutRequest { after: after_bytes })
    }

    /// Never answers.
    pub fn stall(operation: impl Into<Target>) -> Self {
        Self::new(operation, Effect::Stall)
    }

    /// Waits before it handles the request.
    pub fn delay(operation: impl Into<Target>, time: Duration) -> Self {
        Self::new(operation, Effect::Delay { time })
    }
}

/// The state of the registry.
impl Fault {
    /// Handles the request, then breaks the connection without an answer.
    pub fn lose_response(operation: impl Into<Target>) -> Self {
        Self::new(operation, Effect::LoseResponse)
    }

    /// Forgets the upload session before handling a request for it.
    pub fn lose_session(operation: impl Into<Target>) -> Self {
        Self::new(operation, Effect::LoseSession)
    }

    /// Lets somebody else push another manifest to the same tag right before the request, which
    /// must name a tag.
    pub fn rival(operation: impl Into<Target>) -> Self {
        Self::new(operation, Effect::Rival)
    }

    /// What `put_manifest` or `complete_upload` wrote is not found by so many requests after it,
    /// as on a replica that lags behind.
    pub fn lag(operation: impl Into<Target>, reads: u32) -> Self {
        Self::new(operation, Effect::Lag { reads })
    }

    /// Makes all refresh tokens invalid before handling the request.
    pub fn revoke_refresh(operation: impl Into<Target>) -> Self {
        Self::new(operation, Effect::RevokeRefresh)
    }
}

/// The tokens in the answers of `exchange_entra_token` and `fetch_access_token`.
impl Fault {
    /// Issues a token that lives only so many seconds; none at all if negative.
    pub fn token_lifetime(operation: impl Into<Target>, seconds: i64) -> Self {
        Self::new(operation, Effect::TokenLifetime { seconds })
    }

    /// Issues a token whose times are off by so many seconds, as by a wrong clock.
    pub fn token_skew(operation: impl Into<Target>, seconds: i64) -> Self {
        Self::new(operation, Effect::TokenSkew { seconds })
    }

    /// Issues any text as a token; requests with it are refused.
    pub fn token_text(operation: impl Into<Target>, text: &str) -> Self {
        Self::new(operation, Effect::TokenText { text: text.to_owned() })
    }

    /// Issues an access token that grants nothing.
    pub fn token_grants_nothing(operation: impl Into<Target>) -> Self {
        Self::new(operation, Effect::TokenGrantsNothing)
    }
}

/// The answer.
impl Fault {
    /// Puts something else in place of the answer's JSON.
    pub fn json(operation: impl Into<Target>, kind: JsonKind) -> Self {
        Self::new(operation, Effect::Json(kind))
    }

    /// Flips the bits of one byte of the answer's body, counted from 0.
    pub fn corrupt(operation: impl Into<Target>, byte_index: u64) -> Self {
        Self::new(operation, Effect::Corrupt { at: byte_index })
    }

    /// Breaks the connection after some bytes of the answer's body.
    pub fn truncate(operation: impl Into<Target>, after_bytes: u64) -> Self {
        Self::new(operation, Effect::Truncate { after: after_bytes })
    }

    /// Sends some bytes of the answer's body and then nothing more.
    pub fn stall_body(operation: impl Into<Target>, after_bytes: u64) -> Self {
        Self::new(operation, Effect::StallBody { after: after_bytes })
    }

    /// Sends the answer's body at so many bytes a second, at least 1.
    pub fn trickle(operation: impl Into<Target>, bytes_per_second: u64) -> Self {
        Self::new(operation, Effect::Trickle { rate: bytes_per_second.max(1) })
    }

    /// Sends more bytes than the answer's body has and `Content-Length` says.
    pub fn extend(operation: impl Into<Target>, bytes: u32) -> Self {
        Self::new(operation, Effect::Extend { bytes: bytes.min(text::MAX_COUNT).into() })
    }

    /// Sets a header of the answer, in place of those with the same name.
    pub fn set_header(operation: impl Into<Target>, name: &str, value: &str) -> Self {
        let (name, value) = (name.to_ascii_lowercase(), value.to_owned());
        Self::new(operation, Effect::SetHeader { name, value })
    }

    /// Adds a header to the answer, beside those with the same name.
    pub fn add_header(operation: impl Into<Target>, name: &str, value: &str) -> Self {
        let (name, value) = (name.to_ascii_lowercase(), value.to_owned());
        Self::new(operation, Effect::AddHeader { name, value })
    }

    /// Removes a header of the answer.
    pub fn remove_header(operation: impl Into<Target>, name: &str) -> Self {
        Self::new(operation, Effect::RemoveHeader { name: name.to_ascii_lowercase() })
    }

    /// Adds so many headers to the answer.
    pub fn header_flood(operation: impl Into<Target>, count: u32) -> Self {
        Self::new(operation, Effect::HeaderFlood { count: count.min(text::MAX_COUNT) })
    }
}

/// The bytes on the connection.
impl Fault {
    /// Breaks the connection after some bytes of the answer, head included.
    pub fn cut(operation: impl Into<Target>, at_byte: u64, end: CutEnd) -> Self {
        Self::new(operation, Effect::Cut { at: at_byte, end })
    }

    /// Declares so many bytes more (or less) in `Content-Length` than the body has.
    pub fn length(operation: impl Into<Target>, by: i64) -> Self {
        Self::new(operation, Effect::Length { by })
    }

    /// Lets only the end of the connection end the body.
    pub fn close_delimited(operation: impl Into<Target>) -> Self {
        Self::new(operation, Effect::CloseDelimited)
    }

    /// Sends the body in chunks, of which one, after some bytes, is malformed.
    pub fn garbage_chunk(operation: impl Into<Target>, after_bytes: u64) -> Self {
        Self::new(operation, Effect::GarbageChunk { after: after_bytes })
    }

    /// Sends so many answers `103 Early Hints` before the answer.
    pub fn informational(operation: impl Into<Target>, count: u32) -> Self {
        Self::new(operation, Effect::Informational { count: count.min(text::MAX_COUNT) })
    }

    /// Answers, and closes the idle connection a while later.
    pub fn close_idle(operation: impl Into<Target>, after: Duration) -> Self {
        Self::new(operation, Effect::CloseIdle { after })
    }

    /// Refuses a connection: on loopback it is reset before a byte was sent.
    pub fn refuse() -> Self {
        Self::new(Operation::Connect, Effect::Refuse)
    }

    /// Fails as the resolution of an unknown name does; on loopback, where no name is resolved,
    /// as [`Fault::refuse`].
    pub fn unknown_host() -> Self {
        Self::new(Operation::Connect, Effect::UnknownHost)
    }

    /// Spoils the TLS of a connection; no effect in process and on plain HTTP.
    pub fn tls(kind: TlsFault) -> Self {
        Self::new(Operation::Connect, Effect::TlsFailure(kind))
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
    fn new(operation: impl Into<Target>, effect: Effect) -> Self {
        let operation = operation.into();
        // A test that injects what never strikes would prove nothing.
        assert!(effect.acts_on(operation), "this fault does nothing to `{operation}`");
        if let Effect::Status { status, .. } | Effect::EarlyStatus { status } = effect {
            assert!(STATUSES.contains(&status), "a status is 200 to 999, not {status}");
        }
        let selector = Selector { operation, ..Selector::default() };
        Self { selector, effect, nth: 1, times: 1 }
    }
}

/// What HTTP can say as the end of a request.
const STATUSES: std::ops::Range<u16> = 200..1000;
