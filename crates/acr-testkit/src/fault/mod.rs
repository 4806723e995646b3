//! What shall go wrong: one line of text for each fault.

mod armed;
mod effect;
mod kinds;
mod plan;
mod text;

use crate::operation::Target;

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
/// The operation is an [`Operation`](crate::Operation), or [`Target::Any`] for each of them but
/// [`Operation::Connect`](crate::Operation::Connect), which stands for the connection before any request. A fault that does
/// nothing to its operation, such as a status for a connection, panics when it is made, and its
/// text is refused. The content of a
/// redirected download comes from `get_storage`; the answer of `download_blob` is then only the
/// redirect. The storage knows no repositories: its requests are told apart by the digest in
/// their path.
///
/// Some faults are made of bytes that no well-behaved server sends: [`Fault::cut`],
/// [`Fault::extend`], [`Fault::length`], [`Fault::close_delimited`], [`Fault::garbage_chunk`]
/// and [`Fault::informational`]. They need a `Server` (feature `serve`); in process `cut`,
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
}
