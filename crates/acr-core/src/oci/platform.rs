//! What an image runs on.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use super::{
    Architecture, OperatingSystem,
    parts::{FromParts, Notes, Parts},
    place::PLATFORM,
};
use crate::{UnknownFields, http::redact::printable};

/// What an image runs on.
///
/// Read leniently: what has another shape is among `unknown`.
///
/// ```
/// use acr_core::oci::Platform;
///
/// assert_eq!(Platform::new("linux", "arm").variant("v7").to_string(), "linux/arm/v7");
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
