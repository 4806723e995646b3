//! Requests, responses and what is made of them: for those who write a layer, a transport
//! or a client of their own.
//!
//! What most programs need ([`Error`](crate::Error), [`Endpoint`](crate::Endpoint),
//! [`Pager`](crate::Pager)) stands at the root of the crate.

pub(crate) mod body;
pub(crate) mod challenge;
pub(crate) mod endpoint;
pub(crate) mod error;
pub(crate) mod framing;
pub(crate) mod headers;
pub mod link;
pub(crate) mod operation;
pub(crate) mod paced;
pub(crate) mod pager;
pub(crate) mod patience;
pub(crate) mod redact;
pub(crate) mod request;
pub mod response;
pub(crate) mod retry_after;
pub(crate) mod sync_body;
pub(crate) mod told;
pub mod url_policy;
pub(crate) mod verify;

/// For authors of clients and of sign-in: what ours above this crate share, and no program needs
/// that calls them. [`Given`](crate::value::Given) is of this sort too.
pub mod client {
    pub use super::{operation::Recoveries, told::Told};
}

pub use self::{
    body::{Body, DataStream},
    challenge::Challenge,
    error::{BoxError, code::ErrorDetail},
    framing::Framing,
    operation::{Attempt, Effect, FollowRedirects, Operation, SignedAnew},
    pager::{PageRequest, Pages},
    redact::{Printable, Redaction, printable_up_to},
    request::{Request, RequestBuilder},
    response::Response,
    retry_after::{ParseRetryAfterError, RetryAfter},
    sync_body::SyncBody,
    verify::Verified,
};
