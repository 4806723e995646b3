//! What kind of failure an error is, in a word for programs of each sort.

use std::{fmt, io};

/// What kind of failure an [`Error`](crate::Error) is; decides what a caller can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument is wrong; nothing was sent.
    InvalidInput,
    /// The caller's credential source failed.
    Credential,
    /// 401, also with a fresh token.
    Unauthenticated,
    /// The caller is known but may not do this (403, or 401 `insufficient_scope`).
    Forbidden,
    /// 404.
    NotFound,
    /// 405: the artifact is locked or quarantined; unlock it first.
    Disallowed,
    /// 409 or 412.
    Conflict,
    /// Any other 4xx.
    Rejected,
    /// 429; see [`Error::retry_after`](crate::Error::retry_after).
    Throttled,
    /// 5xx.
    Server,
    /// The server was never reached: name resolution, TCP or TLS.
    Connect,
    /// A deadline passed.
    Timeout,
    /// The connection broke in flight.
    Transport,
    /// The server broke the specification.
    Protocol,
    /// A digest or size does not match.
    Integrity,
    /// A bound of this library was exceeded.
    TooLarge,
    /// A URL or scope that the server chose is refused.
    Policy,
    /// An upload session was lost and cannot be restarted.
    Session,
    /// The caller's content could not be read, or the target not be written.
    Source,
}

impl ErrorKind {
    /// The kind in one word for logs, spans and metrics: `not_found`. It stays as it is.
    ///
    /// ```
    /// use acr_core::ErrorKind;
    ///
    /// assert_eq!(ErrorKind::NotFound.as_str(), "not_found");
    /// ```
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidInput => "invalid_input",
            Self::Credential => "credential",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Disallowed => "disallowed",
            Self::Conflict => "conflict",
            Self::Rejected => "rejected",
            Self::Throttled => "throttled",
            Self::Server => "server",
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Transport => "transport",
            Self::Protocol => "protocol",
            Self::Integrity => "integrity",
            Self::TooLarge => "too_large",
            Self::Policy => "policy",
            Self::Session => "session",
            Self::Source => "source",
        }
    }

    /// The exit code of a program that ends with such an error, in the manner of `sysexits.h`;
    /// `docs/errors.md` of the repository has the table. It stays as it is.
    ///
    /// ```
    /// use acr_core::ErrorKind;
    ///
    /// assert_eq!(ErrorKind::NotFound.exit_code(), 66);
    /// let code = std::process::ExitCode::from(ErrorKind::Throttled.exit_code());
    /// # let _ = code;
    /// ```
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::InvalidInput => EX_USAGE,
            Self::Integrity | Self::TooLarge | Self::Protocol => EX_DATAERR,
            Self::NotFound => EX_NOINPUT,
            Self::Connect => EX_NOHOST,
            Self::Server | Self::Rejected => EX_UNAVAILABLE,
            Self::Conflict => EX_CANTCREAT,
            Self::Source => EX_IOERR,
            Self::Throttled | Self::Timeout | Self::Transport | Self::Session => EX_TEMPFAIL,
            Self::Credential | Self::Unauthenticated | Self::Forbidden | Self::Disallowed => {
                EX_NOPERM
            }
            Self::Policy => EX_CONFIG,
        }
    }

    /// The kind that comes nearest among those of files and sockets.
    pub(super) const fn as_io(self) -> io::ErrorKind {
        match self {
            Self::InvalidInput => io::ErrorKind::InvalidInput,
            Self::Credential
            | Self::Unauthenticated
            | Self::Forbidden
            | Self::Disallowed
            | Self::Policy => io::ErrorKind::PermissionDenied,
            Self::NotFound => io::ErrorKind::NotFound,
            Self::Timeout => io::ErrorKind::TimedOut,
            Self::Connect => io::ErrorKind::NotConnected,
            Self::Transport => io::ErrorKind::ConnectionReset,
            Self::Protocol | Self::Integrity => io::ErrorKind::InvalidData,
            Self::Conflict
            | Self::Rejected
            | Self::Throttled
            | Self::Server
            | Self::TooLarge
            | Self::Session
            | Self::Source => io::ErrorKind::Other,
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

const EX_USAGE: u8 = 64;
const EX_DATAERR: u8 = 65;
const EX_NOINPUT: u8 = 66;
const EX_NOHOST: u8 = 68;
const EX_UNAVAILABLE: u8 = 69;
const EX_CANTCREAT: u8 = 73;
const EX_IOERR: u8 = 74;
const EX_TEMPFAIL: u8 = 75;
const EX_NOPERM: u8 = 77;
const EX_CONFIG: u8 = 78;
