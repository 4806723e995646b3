//! In which order a list comes.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Serialize};

/// The order of a list of tags or manifests. Where none is set, none is sent, and
/// names or digests ascend. The time is that of the last update.
///
/// ```
/// use acr_registry::Order;
///
/// assert_eq!(Order::NEWEST_FIRST.as_str(), "timedesc");
/// assert!(Order::known().contains(&Order::OLDEST_FIRST));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Order(Cow<'static, str>);

impl Order {
    /// `none`
    pub const NONE: Self = Self(Cow::Borrowed("none"));
    /// `timeasc`
    pub const OLDEST_FIRST: Self = Self(Cow::Borrowed("timeasc"));
    /// `timedesc`
    pub const NEWEST_FIRST: Self = Self(Cow::Borrowed("timedesc"));

    /// The text on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Those that are documented or were seen.
    pub fn known() -> &'static [Self] {
        &[Self::NONE, Self::OLDEST_FIRST, Self::NEWEST_FIRST]
    }
}

impl From<&str> for Order {
    fn from(text: &str) -> Self {
        Self(Cow::Owned(text.to_owned()))
    }
}

impl From<String> for Order {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text))
    }
}

impl AsRef<str> for Order {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq<str> for Order {
    fn eq(&self, text: &str) -> bool {
        self.as_str() == text
    }
}

impl PartialEq<&str> for Order {
    fn eq(&self, text: &&str) -> bool {
        self.as_str() == *text
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
