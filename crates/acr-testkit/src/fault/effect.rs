//! What a fault does.

use std::time::Duration;

use crate::operation::{Operation, Target};

/// What happens to the request or its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    // Instead of handling the request.
    Status { status: u16, retry_after: Option<String> },
    EarlyStatus { status: u16 },
    Challenge(ChallengeKind),
    DropRequest,
    CutRequest { after: u64 },
    Stall,
    Delay { time: Duration },
    // Before or after handling it.
    LoseResponse,
    LoseSession,
    Rival,
    Lag { reads: u32 },
    RevokeRefresh,
    // To the token of an answer.
    TokenLifetime { seconds: i64 },
    TokenSkew { seconds: i64 },
    TokenText { text: String },
    TokenGrantsNothing,
    // To the answer.
    Json(JsonKind),
    Corrupt { at: u64 },
    Truncate { after: u64 },
    StallBody { after: u64 },
    Trickle { rate: u64 },
    Extend { bytes: u64 },
    SetHeader { name: String, value: String },
    AddHeader { name: String, value: String },
    RemoveHeader { name: String },
    HeaderFlood { count: u32 },
    // To the bytes on the connection.
    Cut { at: u64, end: CutEnd },
    Length { by: i64 },
    CloseDelimited,
    GarbageChunk { after: u64 },
    Informational { count: u32 },
    CloseIdle { after: Duration },
    // To the connection itself.
    Refuse,
    UnknownHost,
    TlsFailure(TlsFault),
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident => $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            pub(crate) const ALL: &[Self] = &[$(Self::$variant,)*];

            pub(crate) fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }
    };
}

words! {
    /// How a connection is broken.
    CutEnd {
        /// Closed in order, as by a server that believes it is done.
        Fin => "fin",
        /// Reset.
        Reset => "reset",
        /// Silent and open.
        Stall => "stall",
    }
}

words! {
    /// What is wrong with the TLS of a connection.
    TlsFault {
        /// The certificate is for another name.
        WrongName => "wrong_name",
        /// The certificate has expired.
        Expired => "expired",
        /// The certificate is of an authority that nobody trusts.
        UnknownAuthority => "unknown_authority",
        /// The server answers with something else than TLS.
        Garbage => "garbage",
        /// The handshake never ends.
        Stall => "stall",
    }
}

words! {
    /// What stands in an answer in place of its JSON.
    JsonKind {
        /// It ends in the middle.
        Truncated => "truncated",
        /// Arrays in arrays, ten thousand deep.
        Deep => "deep",
        /// Every key comes twice, with different values.
        DuplicateKeys => "duplicate_keys",
        /// HTML.
        Html => "html",
        /// No bytes at all.
        Empty => "empty",
        /// `null`.
        Null => "null",
        /// An array where an object is expected.
        Array => "array",
        /// Not UTF-8.
        NotUtf8 => "not_utf8",
        /// `{"errors":[]}`.
        NoErrors => "no_errors",
        /// Keys that nobody knows, among the others.
        ExtraKeys => "extra_keys",
    }
}

words! {
    /// What a 401 says.
    ChallengeKind {
        /// No header at all.
        Missing => "missing",
        /// `error="invalid_token"`.
        InvalidToken => "invalid_token",
        /// `error="insufficient_scope"`.
        InsufficientScope => "insufficient_scope",
        /// A token service on another host.
        ForeignRealm => "foreign_realm",
        /// More rights than the request needs.
        WiderScope => "wider_scope",
        /// Two challenges in one header.
        Two => "two",
        /// A header that cannot be parsed.
        Garbage => "garbage",
    }
}

impl Effect {
    /// Whether it does something to a request of the operation: of any, to some of them.
    pub(crate) fn acts_on(&self, target: Target) -> bool {
        let operation = match target {
            Target::Any => return !self.is_of_connection(),
            Target::One(operation) => operation,
        };
        match self {
            _ if self.is_of_connection() => operation == Operation::Connect,
            Self::DropRequest | Self::Stall | Self::Delay { .. } => true,
            _ if operation == Operation::Connect => false,
            Self::TokenLifetime { .. }
            | Self::TokenSkew { .. }
            | Self::TokenText { .. }
            | Self::TokenGrantsNothing => operation.is_token_service(),
            Self::LoseSession => matches!(
                operation,
                Operation::UploadChunk
                    | Operation::UploadStatus
                    | Operation::CompleteUpload
                    | Operation::CancelUpload
            ),
            Self::Lag { .. } => {
                matches!(operation, Operation::PutManifest | Operation::CompleteUpload)
            }
            Self::Rival => operation.names_a_tag(),
            _ => true,
        }
    }

    fn is_of_connection(&self) -> bool {
        matches!(self, Self::Refuse | Self::UnknownHost | Self::TlsFailure(_))
    }

    /// Whether it needs the bytes of the connection, which no answer of hyper can express.
    pub(crate) fn is_raw(&self) -> bool {
        matches!(
            self,
            Self::Cut { .. }
                | Self::Extend { .. }
                | Self::Length { .. }
                | Self::CloseDelimited
                | Self::GarbageChunk { .. }
                | Self::Informational { .. }
        )
    }
}

/// A bound on what a fault makes: headers, answers in between, bytes.
pub(super) const MAX_COUNT: u32 = 1_000_000;

/// What HTTP can say as the end of a request.
pub(super) const STATUSES: std::ops::Range<u16> = 200..1000;
