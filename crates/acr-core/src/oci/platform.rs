//! What an image runs on.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize};

use super::{
    Architecture, OperatingSystem,
    parts::{FromParts, Notes, Parts},
    place::PLATFORM,
};
use crate::{Error, ErrorKind, UnknownFields, http::redact::printable};

/// What an image runs on.
///
/// Read leniently from JSON: what has another shape is among `unknown`. Read strictly from text, as
/// one types it for container tools: `os/architecture`, or `os/architecture/variant`.
///
/// ```
/// use acr_core::oci::Platform;
///
/// let platform = Platform::new("linux", "arm").variant("v7");
/// assert_eq!(platform.to_string(), "linux/arm/v7");
/// assert_eq!("linux/arm/v7".parse::<Platform>()?, platform);
/// // Whose architecture it would be is a guess.
/// assert!("linux".parse::<Platform>().is_err());
/// # Ok::<(), acr_core::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Platform {
    /// The architecture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub architecture: Option<Architecture>,
    /// The operating system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub os: Option<OperatingSystem>,
    /// The version of the operating system, of Windows above all.
    #[serde(rename = "os.version", skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// What the operating system must have.
    #[serde(rename = "os.features", skip_serializing_if = "Vec::is_empty")]
    pub os_features: Vec<String>,
    /// The variant of the architecture, such as `v7`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Parts that this version has no name for.
    #[serde(flatten)]
    pub unknown: UnknownFields,
    #[serde(skip)]
    pub(super) notes: Notes,
}

impl Platform {
    /// A platform in Go's words: `linux`, `arm64`.
    ///
    /// ```
    /// use acr_core::oci::{Architecture, OperatingSystem, Platform};
    ///
    /// let platform = Platform::new(OperatingSystem::LINUX, Architecture::AMD64);
    /// assert_eq!(platform, Platform::new("linux", "amd64"));
    /// ```
    pub fn new(os: impl Into<OperatingSystem>, architecture: impl Into<Architecture>) -> Self {
        Self { os: Some(os.into()), architecture: Some(architecture.into()), ..Self::default() }
    }

    /// Asks for a variant of the architecture.
    ///
    /// ```
    /// use acr_core::oci::Platform;
    ///
    /// assert_eq!(Platform::new("linux", "amd64").variant("v3").variant.as_deref(), Some("v3"));
    /// ```
    #[must_use]
    pub fn variant(mut self, variant: impl Into<String>) -> Self {
        self.variant = Some(variant.into());
        self
    }

    /// Asks for a version of the operating system, or a part of one: `10.0.20348`.
    ///
    /// ```
    /// use acr_core::oci::Platform;
    ///
    /// let server = Platform::new("windows", "amd64").os_version("10.0.20348");
    /// assert_eq!(server.os_version.as_deref(), Some("10.0.20348"));
    /// ```
    #[must_use]
    pub fn os_version(mut self, version: impl Into<String>) -> Self {
        self.os_version = Some(version.into());
        self
    }

    /// Says what the operating system has, such as `sse4`.
    ///
    /// ```
    /// use acr_core::oci::Platform;
    ///
    /// assert_eq!(Platform::new("linux", "amd64").os_feature("sse4").os_features, ["sse4"]);
    /// ```
    #[must_use]
    pub fn os_feature(mut self, feature: impl Into<String>) -> Self {
        self.os_features.push(feature.into());
        self
    }
}

/// In the words of container tools: `linux/arm/v7`.
impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let os = self.os.as_ref().map_or("unknown", OperatingSystem::as_str);
        let architecture = self.architecture.as_ref().map_or("unknown", Architecture::as_str);
        write!(f, "{}/{}", printable(os), printable(architecture))?;
        match &self.variant {
            Some(variant) => write!(f, "/{}", printable(variant)),
            None => Ok(()),
        }
    }
}

impl FromStr for Platform {
    type Err = Error;

    /// Reads what [`Display`](fmt::Display) writes.
    fn from_str(text: &str) -> Result<Self, Error> {
        let parts: Vec<&str> = text.split('/').take(MAX_PARTS.saturating_add(1)).collect();
        let all_are_words = parts.iter().copied().all(is_word);
        match *parts {
            [os, architecture] if all_are_words => Ok(Self::new(os, architecture)),
            [os, architecture, variant] if all_are_words => {
                Ok(Self::new(os, architecture).variant(variant))
            }
            _ => {
                let text = printable(text);
                let text = format!(
                    "`{text}` is no platform: write `os/architecture` or \
                     `os/architecture/variant`, such as `linux/amd64` or `linux/arm/v7`"
                );
                Err(Error::new(ErrorKind::InvalidInput, text))
            }
        }
    }
}

/// As containerd has it.
fn is_word(part: &str) -> bool {
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    !part.is_empty() && part.bytes().all(is_fit)
}

/// Operating system, architecture, variant.
const MAX_PARTS: usize = 3;

impl TryFrom<&str> for Platform {
    type Error = Error;

    fn try_from(text: &str) -> Result<Self, Error> {
        text.parse()
    }
}

impl TryFrom<&String> for Platform {
    type Error = Error;

    fn try_from(text: &String) -> Result<Self, Error> {
        text.parse()
    }
}

impl TryFrom<String> for Platform {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<&Self> for Platform {
    fn from(platform: &Self) -> Self {
        platform.clone()
    }
}

impl FromParts for Platform {
    fn from_parts(mut parts: Parts) -> Self {
        let platform = Self {
            architecture: parts.take("architecture"),
            os: parts.take("os"),
            os_version: parts.take("os.version"),
            os_features: parts.texts("os.features"),
            variant: parts.take("variant"),
            ..Self::default()
        };
        let (unknown, notes) = parts.finish();
        Self { unknown, notes, ..platform }
    }
}

impl<'de> Deserialize<'de> for Platform {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Parts::deserialize(deserializer, &PLATFORM).map(Self::from_parts)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WORD: &str = "[A-Za-z0-9_.-]{1,12}";

    proptest! {
        #[test]
        fn what_is_printed_is_read_again(
            os in WORD,
            architecture in WORD,
            variant in proptest::option::of(WORD),
        ) {
            let platform = Platform::new(os, architecture);
            let platform = match variant {
                Some(variant) => platform.variant(variant),
                None => platform,
            };
            let text = platform.to_string();
            prop_assert_eq!(&text.parse::<Platform>().unwrap(), &platform);
            prop_assert_eq!(&Platform::try_from(&text).unwrap(), &platform);
            prop_assert_eq!(Platform::try_from(text).unwrap(), platform);
        }

        #[test]
        fn whatever_is_read_is_printed_as_it_was(text in "\\PC{0,20}|[a-z/]{0,20}") {
            if let Ok(platform) = text.parse::<Platform>() {
                prop_assert_eq!(platform.to_string(), text);
            }
        }
    }

    #[test]
    fn what_is_no_platform_is_named_and_so_is_what_to_write() {
        for text in
            ["", "linux", "linux/", "/arm64", "a/b/c/d", "linux/arm 64", "linux/arm64/", "a//b"]
        {
            let error = text.parse::<Platform>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            let said = error.to_string();
            assert!(said.contains(&format!("`{text}`")) && said.contains("linux/amd64"), "{said}");
        }
        assert!("/".repeat(1 << 20).parse::<Platform>().unwrap_err().to_string().len() < 2_000);
    }
}
