//! The version of the metadata interface.

use std::{borrow::Cow, fmt, str::FromStr};

use acr_core::{Error, ErrorKind};

/// The `api-version` that metadata calls name.
///
/// ```
/// use acr_registry::ApiVersion;
///
/// assert_eq!(ApiVersion::default(), ApiVersion::V2021_07_01);
/// assert!(ApiVersion::known().contains(&"2019-08-15-preview".parse()?));
/// assert!("2031-01-01".parse::<ApiVersion>().is_err());
/// assert_eq!(ApiVersion::unchecked("2031-01-01").as_str(), "2031-01-01");
/// # Ok::<(), acr_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ApiVersion(Cow<'static, str>);

impl ApiVersion {
    /// `2021-07-01`: what this client was written against, and the default.
    pub const V2021_07_01: Self = Self(Cow::Borrowed("2021-07-01"));
    /// `2019-08-15-preview`.
    pub const V2019_08_15_PREVIEW: Self = Self(Cow::Borrowed("2019-08-15-preview"));

    /// A version that this client does not know, on the caller's word.
    pub fn unchecked(text: impl Into<String>) -> Self {
        Self(Cow::Owned(text.into()))
    }

    /// The text on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Those that this client knows.
    pub fn known() -> &'static [Self] {
        const KNOWN: &[ApiVersion] = &[ApiVersion::V2021_07_01, ApiVersion::V2019_08_15_PREVIEW];
        KNOWN
    }
}

impl Default for ApiVersion {
    fn default() -> Self {
        Self::V2021_07_01
    }
}

impl FromStr for ApiVersion {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::known().iter().find(|known| known.as_str() == text).cloned().ok_or_else(|| {
            Error::new(ErrorKind::InvalidInput, "an API version that this client does not know")
        })
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
