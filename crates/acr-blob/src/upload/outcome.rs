//! What the machine has done, and what it is told of it.

use crate::range::Received;

/// What the driver is to do; its outcome is the next [`Event`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Take in up to so many bytes more of the content.
    Read,
    /// Open a session.
    Start,
    /// Compare what lies below an offset with what another process sent, before anything
    /// is sent: nothing below `from` is needed any more.
    Prove { from: u64 },
    /// Send these bytes, the first of the session or not.
    Append { from: u64, to: u64, is_first: bool },
    /// Close the session with the bytes from here to the end, possibly none.
    Commit { from: u64, is_first: bool },
    /// Ask the registry how far it got; the n-th time in a row, or 0 if nothing went wrong.
    /// `zero` is what it means by `0-0`.
    Ask { recovery: u32, zero: u64 },
    /// Look whether the blob exists.
    Verify(Doubt),
    /// Give the session up; another one follows.
    Abandon,
    /// The blob is stored.
    Finish,
    /// It will not be.
    Fail(Cause),
}

/// Why the blob is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// The registry said "stored" and did not name it.
    Unnamed,
    /// The registry said that it has it from another repository.
    Mounted,
    /// The commit failed like this; `zero` is what the registry means by `0-0`.
    Commit { failure: Failure, zero: u64 },
    /// All would have to be sent again, and a commit may be at work still.
    Restart,
}

/// Why an upload ends without success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The last error says it.
    Refused,
    /// The session is lost and the content cannot be read again.
    Lost,
    /// What the registry lacks passed once, and is not here any more; the last error says why
    /// it would have to be sent again.
    Passed,
    /// The registry confirmed what was not sent, or not all of it.
    Misreported { received: u64, sent: u64 },
    /// The registry said "created" and has no such blob.
    Unstored,
    /// The content is not what another process sent, and cannot be read again.
    Changed,
}

/// The outcome of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// So many bytes are available now; is that all?
    Available { to: u64, ended: bool },
    /// A session is open; its shortest chunk, if there is such a rule.
    Opened { min_chunk: Option<u64> },
    /// There was nothing to send, the registry says: it took the blob over.
    Mounted,
    /// The blob is there.
    Present,
    /// There is no such blob.
    Absent,
    /// The content is what was sent; so many bytes are available now.
    Proven { to: u64, ended: bool },
    /// It is not.
    Disproven,
    /// A chunk was taken; what is confirmed now, if the answer says it.
    Accepted(Option<Received>),
    /// The content is stored, as the answer says, with or without naming the digest.
    Stored { named: bool },
    /// How far the registry got, if the answer says it.
    Status(Option<Received>),
    /// The session was given up.
    Abandoned,
    /// No success.
    Failed(Failure),
}

/// A failure, by what it says about the registry's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It may have happened or not.
    Doubtful,
    /// The position is wrong; where it should be, if the answer says it.
    OutOfStep(Option<Received>),
    /// There is no such session.
    Lost,
    /// The body is too large for somebody on the way.
    TooLarge,
    /// The content does not have the digest.
    Mismatch,
    /// Refused in a way that may be due to a body on the closing request.
    BodyUnwanted,
    /// The registry cannot be asked how far it got.
    NoStatus,
    /// Anything else: no repetition helps.
    Refused,
}
