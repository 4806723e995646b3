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
    ///
    /// ```
    /// use acr_auth::AccessToken;
    /// use std::time::{Duration, SystemTime};
    ///
    /// let hour = SystemTime::now() + Duration::from_secs(3600);
    /// let token = AccessToken::new("<token from Entra>\n", hour);
    /// assert_eq!(token.token().expose(), "<token from Entra>");
    /// ```
    pub fn new(token: impl Into<Secret>, expires_at: SystemTime) -> Self {
        let token = token.into();
        let kept = token.expose().trim();
        let token = if kept == token.expose() { token } else { Secret::new(kept) };
        Self { token, expires_at }
    }

    /// The token.
    ///
    /// ```
    /// use acr_auth::AccessToken;
    /// use std::time::SystemTime;
    ///
    /// let token = AccessToken::new("<token from Entra>", SystemTime::now());
    /// assert_eq!(token.token().expose(), "<token from Entra>");
    /// assert!(!format!("{token:?}").contains("Entra")); // a secret is not printed
    /// ```
    pub fn token(&self) -> &Secret {
        &self.token
    }

    /// Whether it is the same token, whenever either was handed out.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.token.expose() == other.token.expose()
    }

    /// When it expires, by the clock of this machine.
    ///
    /// ```
    /// use acr_auth::AccessToken;
    /// use std::time::{Duration, SystemTime};
    ///
    /// let hour = SystemTime::now() + Duration::from_secs(3600);
    /// assert_eq!(AccessToken::new("<token from Entra>", hour).expires_at(), hour);
    /// ```
    pub fn expires_at(&self) -> SystemTime {
        self.expires_at
    }
}
