//! What all rooms and crates speak in: names, digests, ranges, times, rights.
//!
//! What most programs need stands at the root of the crate. Here is the rest: the errors of
//! parsers, what those need who move parts of blobs themselves, and [`Given`] for authors of
//! clients.

pub(crate) mod deletion;
pub(crate) mod digest;
pub(crate) mod given;
pub(crate) mod host;
pub(crate) mod image_reference;
pub(crate) mod listed;
pub(crate) mod name;
pub(crate) mod range;
pub(crate) mod reference;
pub(crate) mod rights;
pub(crate) mod scope;
pub(crate) mod secret;
pub(crate) mod text;
pub(crate) mod timestamp;
pub(crate) mod unknown_fields;
pub(crate) mod unreadable;

pub use self::{
    digest::{DigesterState, ParseDigestError},
    given::Given,
    image_reference::ParseImageReferenceError,
    name::ParseNameError,
    range::{ContentRange, ParseRangeError, UploadRange},
    scope::ParseScopeError,
    timestamp::ParseTimestampError,
    unreadable::Unreadable,
};
