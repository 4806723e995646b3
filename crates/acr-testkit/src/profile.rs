//! Which registry is imitated, and how it was at the time.

/// Whose behaviour the registry has where a real registry and the specification differ.
///
/// `docs/emulator.md` lists all differences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Profile {
    /// Azure Container Registry: only sha256, manifests are deleted only by digest, what is not
    /// accepted is not served, an empty list is `null`.
    #[default]
    Acr,
    /// Everything that the OCI distribution specification allows: sha512 too, tags deleted
    /// through `/v2`, mounts without a source, tags named in the query of a manifest push,
    /// manifests whose parts are missing, every form of range.
    Oci,
}

/// The time whose behaviour the registry has, where recordings show that it changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Era {
    /// As recorded in 2021.
    Year2021,
    /// As recorded from 2022 to February 2024.
    Year2024,
    /// As recorded from April 2024 to January 2026.
    #[default]
    Year2026,
}

impl Era {
    /// What the header `Server` says.
    pub(crate) fn server(self) -> &'static str {
        match self {
            Self::Year2021 | Self::Year2024 => "openresty",
            Self::Year2026 => "AzureContainerRegistry",
        }
    }

    /// Whether a request without a token is told that its token is invalid.
    pub(crate) fn blames_a_missing_token(self) -> bool {
        self == Self::Year2021
    }

    /// What the exchange says of a token for another audience.
    pub(crate) fn wrong_audience(self) -> &'static str {
        match self {
            Self::Year2021 | Self::Year2024 => "retrieving permissions failed",
            Self::Year2026 => "token validation failed",
        }
    }

    /// Whether the metadata interface tells the type of an image's config.
    pub(crate) fn tells_config_type(self) -> bool {
        self != Self::Year2021
    }

    /// Whether an artifact manifest is served only to those who accept its type.
    pub(crate) fn hides_artifacts(self) -> bool {
        self != Self::Year2026
    }
}
