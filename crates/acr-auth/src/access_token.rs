//! The token a caller's identity library hands over.

use std::time::SystemTime;

use acr_core::Secret;

/// An Entra access token.
#[derive(Clone, Debug)]
pub struct AccessToken {
    token: Secret,
    expires_at: SystemTime,
}

impl AccessToken {
    /// A token and when it expires. Blanks and line breaks around it are left out.
    pub fn new(token: impl Into<Secret>, expires_at: SystemTime) -> Self {
        let token = token.into();
        let kept = token.expose().trim();
        let token = if kept == token.expose() { token } else { Secret::new(kept) };
        Self { token, expires_at }
    }

    /// The token.
    pub fn token(&self) -> &Secret {
        &self.token
    }

    /// Whether it is the same token, whenever either was handed out.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.token.expose() == other.token.expose()
    }

    /// When it expires, by the clock of this machine.
    pub fn expires_at(&self) -> SystemTime {
        self.expires_at
    }
}
