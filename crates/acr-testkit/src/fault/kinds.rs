//! One function for each kind of fault.

use std::time::Duration;

use super::{
    Fault, Selector,
    effect::{ChallengeKind, CutEnd, Effect, JsonKind, MAX_COUNT, STATUSES, TlsFault},
};
use crate::operation::{Operation, Target};

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
        Self::new(operation, Effect::Extend { bytes: bytes.min(MAX_COUNT).into() })
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
        Self::new(operation, Effect::HeaderFlood { count: count.min(MAX_COUNT) })
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
        Self::new(operation, Effect::Informational { count: count.min(MAX_COUNT) })
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

impl Fault {
    #[track_caller]
    pub(super) fn new(operation: impl Into<Target>, effect: Effect) -> Self {
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
