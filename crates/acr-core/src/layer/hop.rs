//! Marks what does not go to the registry itself: what was sent by redirect, and what belongs to
//! another host from the start.

/// Marks a request whose URL a server chose: for the transport's address guard, and for those
/// who tell of it.
#[derive(Clone, Debug)]
pub(crate) struct ForeignHop {
    /// The URL that the caller asked for.
    pub(crate) from: http::Uri,
}

/// Marks a request of which the server is to learn nothing that only the registry may: our
/// transport shows no client certificate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unidentified;
