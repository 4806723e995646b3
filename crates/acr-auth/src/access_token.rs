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
    /// A token and when it expires.
    pub fn new(token: impl Into<Secret>, expires_at: SystemTime) -> Self {
        Self { token: token.into(), expires_at }
    }

    /// The token.
    pub fn token(&self) -> &Secret {
        &self.token
    }

    /// When it expires, by the clock of this machine.
    pub fn expires_at(&self) -> SystemTime {
        self.expires_at
    }
}
