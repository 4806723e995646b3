//! What an update of a manifest's properties changes.

use serde::Serialize;

use super::{ManifestProperties, Permissions};

/// The locks and the quarantine fields of a manifest; what is not set stays as it is.
///
/// Made from [`Permissions`], or from the [`ManifestProperties`] that shall be restored:
/// then its four flags are sent, not its quarantine fields, which need a right of their own.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
/// use acr_core::Tag;
/// use acr_registry::{ManifestChanges, Permissions};
///
/// let passed = ManifestChanges::new()
///     .permissions(Permissions::new().read(true))
///     .quarantine_state("Passed")
///     .quarantine_details(r#"{"scanner":"ours"}"#);
/// let manifest = repo.update_manifest_properties("v1".parse::<Tag>()?, passed).await?;
/// assert_eq!(manifest.quarantine_state.as_deref(), Some("Passed"));
/// # Ok(()) });
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ManifestChanges {
    #[serde(flatten)]
    permissions: Permissions,
    #[serde(skip_serializing_if = "Option::is_none")]
    quarantine_state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quarantine_details: Option<String>,
}

impl ManifestChanges {
    /// No change.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether a manifest with these properties has every change.
    pub(crate) fn are_in(&self, properties: &ManifestProperties) -> bool {
        let is =
            |wanted: &Option<String>, shown: &Option<String>| wanted.is_none() || wanted == shown;
        self.permissions.are_those_of(&properties.permissions)
            && is(&self.quarantine_state, &properties.quarantine_state)
            && is(&self.quarantine_details, &properties.quarantine_details)
    }

    /// Changes the locks.
    #[must_use]
    pub fn permissions(mut self, permissions: impl Into<Permissions>) -> Self {
        self.permissions = permissions.into();
        self
    }

    /// Sets the quarantine state, such as `Passed` or `Failed`.
    #[must_use]
    pub fn quarantine_state(mut self, state: impl Into<String>) -> Self {
        self.quarantine_state = Some(state.into());
        self
    }

    /// Sets the quarantine details: a text that holds JSON.
    #[must_use]
    pub fn quarantine_details(mut self, details: impl Into<String>) -> Self {
        self.quarantine_details = Some(details.into());
        self
    }
}

impl From<&Self> for ManifestChanges {
    fn from(changes: &Self) -> Self {
        changes.clone()
    }
}

impl From<Permissions> for ManifestChanges {
    fn from(permissions: Permissions) -> Self {
        Self::new().permissions(permissions)
    }
}

impl From<&Permissions> for ManifestChanges {
    fn from(permissions: &Permissions) -> Self {
        Self::new().permissions(*permissions)
    }
}

impl From<&ManifestProperties> for ManifestChanges {
    fn from(properties: &ManifestProperties) -> Self {
        Self::new().permissions(properties.permissions)
    }
}
