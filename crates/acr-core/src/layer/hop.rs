//! Marks what was sent by redirect.

/// Marks a request whose URL a server chose: for the transport's address guard, and for those
/// who tell of it.
#[derive(Clone, Debug)]
pub(crate) struct ForeignHop {
    /// The URL that the caller asked for.
    pub(crate) from: http::Uri,
}
