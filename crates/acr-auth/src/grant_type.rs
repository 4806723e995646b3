//! What the token service can be asked with.

use std::{borrow::Cow, fmt};

/// The `grant_type` of a token call. Server vocabulary, hence an open set.
///
/// ```
/// use acr_auth::GrantType;
///
/// assert!(GrantType::known().contains(&GrantType::ACCESS_TOKEN));
/// assert_eq!(GrantType::new("password"), GrantType::PASSWORD);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GrantType(Cow<'static, str>);

impl GrantType {
    /// An Entra access token, at `/oauth2/exchange`.
    pub const ACCESS_TOKEN: Self = Self::constant("access_token");
    /// An Entra access token and an Entra refresh token, at `/oauth2/exchange`.
    pub const ACCESS_TOKEN_REFRESH_TOKEN: Self = Self::constant("access_token_refresh_token");
    /// An Entra refresh token at `/oauth2/exchange`, a registry refresh token at `/oauth2/token`.
    pub const REFRESH_TOKEN: Self = Self::constant("refresh_token");
    /// A user and a password, or nobody, at `/oauth2/token`.
    pub const PASSWORD: Self = Self::constant("password");

    /// A grant type by its name on the wire.
    ///
    /// ```
    /// use acr_auth::GrantType;
    ///
    /// assert_eq!(GrantType::new("refresh_token"), GrantType::REFRESH_TOKEN);
    /// ```
    pub fn new(name: impl Into<String>) -> Self {
        Self(Cow::Owned(name.into()))
    }

    /// The name on the wire.
    ///
    /// ```
    /// use acr_auth::GrantType;
    ///
    /// assert_eq!(GrantType::PASSWORD.as_str(), "password");
    /// ```
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Those that are documented.
    ///
    /// ```
    /// use acr_auth::GrantType;
    ///
    /// assert!(GrantType::known().contains(&GrantType::ACCESS_TOKEN));
    /// ```
    pub fn known() -> &'static [Self] {
        const KNOWN: &[GrantType] = &[
            GrantType::ACCESS_TOKEN,
            GrantType::ACCESS_TOKEN_REFRESH_TOKEN,
            GrantType::REFRESH_TOKEN,
            GrantType::PASSWORD,
        ];
        KNOWN
    }

    const fn constant(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }
}

impl fmt::Display for GrantType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
