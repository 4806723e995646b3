//! The other side of a connection, in words.

use std::fmt;

use http::{Uri, uri::Authority};

/// Whom a request goes to, for errors. What may stand before an `@` is left out.
pub(crate) struct Peer(Option<Authority>);

impl Peer {
    pub(crate) fn of(target: &Uri) -> Self {
        Self(target.authority().cloned())
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(authority) = &self.0 else {
            return f.write_str("the server");
        };
        write!(f, "`{}", authority.host())?;
        authority.port_u16().map_or(Ok(()), |port| write!(f, ":{port}"))?;
        f.write_str("`")
    }
}
