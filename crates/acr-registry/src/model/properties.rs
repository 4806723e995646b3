//! Properties of repositories, tags and manifests.
//!
//! What identifies a thing is always there. Everything else is what the registry says, if
//! it says so: a value of another shape than expected is `None` here and kept in `unknown`.
//!
//! As JSON, each has the names of its fields here in camel case, and `null` for what the
//! registry does not say. Tests of a program make one by `new` and set its fields.

use acr_core::{Digest, RepositoryName, Tag, Timestamp};
use serde::Serialize;

use super::{Architecture, Listed, MediaType, OperatingSystem, Permissions, UnknownFields};

/// What the registry knows about a repository.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
/// let repository = repo.properties().await?;
/// assert_eq!(repository.name.as_str(), "library/app");
/// assert_eq!(repository.manifest_count, Some(3));
/// # Ok(()) });
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RepositoryProperties {
    /// The registry's login server.
    pub registry: String,
    /// The repository.
    pub name: RepositoryName,
    /// When it was created.
    pub created_at: Option<Timestamp>,
    /// When it was last pushed to; may lie a moment before `created_at`.
    pub updated_at: Option<Timestamp>,
    /// How many manifests it holds.
    pub manifest_count: Option<u64>,
    /// How many tags it holds.
    pub tag_count: Option<u64>,
    /// The locks.
    pub permissions: Permissions,
    /// Whether artifact streaming ("teleport") is on, where the registry has it.
    pub teleport: Option<bool>,
    /// Fields that this version has no name for.
    #[serde(skip_serializing_if = "UnknownFields::is_empty")]
    pub unknown: UnknownFields,
    /// Fields of `changeableAttributes` that this version has no name for.
    #[serde(skip_serializing_if = "UnknownFields::is_empty")]
    pub unknown_attributes: UnknownFields,
}

/// What the registry knows about a tag.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
/// let tag = repo.tag_properties(&"v1".parse()?).await?;
/// assert_eq!(tag.permissions.can_write(), Some(true));
/// assert!(tag.updated_at >= tag.created_at);
/// # Ok(()) });
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TagProperties {
    /// The registry's login server.
    pub registry: String,
    /// The repository.
    pub repository: RepositoryName,
    /// The tag.
    pub name: Tag,
    /// The manifest it points to.
    pub digest: Digest,
    /// When it was created.
    pub created_at: Option<Timestamp>,
    /// When it was last moved.
    pub updated_at: Option<Timestamp>,
    /// Whether Docker content trust signed it.
    pub signed: Option<bool>,
    /// The quarantine state, where the registry has quarantine.
    pub quarantine_state: Option<String>,
    /// The locks.
    pub permissions: Permissions,
    /// Fields that this version has no name for.
    #[serde(skip_serializing_if = "UnknownFields::is_empty")]
    pub unknown: UnknownFields,
    /// Fields of `changeableAttributes` that this version has no name for.
    #[serde(skip_serializing_if = "UnknownFields::is_empty")]
    pub unknown_attributes: UnknownFields,
}

/// What the registry knows about a manifest.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
/// use acr_core::Tag;
/// use acr_registry::MediaType;
///
/// let manifest = repo.manifest_properties("v1".parse::<Tag>()?).await?;
/// assert_eq!(manifest.media_type, Some(MediaType::OCI_INDEX));
/// assert_eq!(manifest.architecture, None);
/// # Ok(()) });
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ManifestProperties {
    /// The registry's login server.
    pub registry: String,
    /// The repository.
    pub repository: RepositoryName,
    /// The manifest.
    pub digest: Digest,
    /// Config and layers together, in bytes; of an index, the sum of its images.
    pub size: Option<u64>,
    /// When it was pushed.
    pub created_at: Option<Timestamp>,
    /// When it was last pushed or tagged.
    pub updated_at: Option<Timestamp>,
    /// The architecture; absent for indexes and artifacts.
    pub architecture: Option<Architecture>,
    /// The operating system; absent for indexes and artifacts.
    pub operating_system: Option<OperatingSystem>,
    /// The manifest's media type.
    pub media_type: Option<MediaType>,
    /// The media type of its config; absent for indexes.
    pub config_media_type: Option<MediaType>,
    /// The tags that point to it. The registry cuts very long lists.
    pub tags: Listed<Tag>,
    /// The manifests an index names; only when a single manifest is asked for.
    pub references: Listed<ManifestReference>,
    /// The quarantine state, such as `Passed`, where the registry has quarantine.
    pub quarantine_state: Option<String>,
    /// What the quarantine's scanner left: a text that holds JSON.
    pub quarantine_details: Option<String>,
    /// The locks.
    pub permissions: Permissions,
    /// Fields that this version has no name for.
    #[serde(skip_serializing_if = "UnknownFields::is_empty")]
    pub unknown: UnknownFields,
    /// Fields of `changeableAttributes` that this version has no name for.
    #[serde(skip_serializing_if = "UnknownFields::is_empty")]
    pub unknown_attributes: UnknownFields,
}

impl RepositoryProperties {
    /// A repository of which nothing else is known: for tests of a program, which set the
    /// other fields as they need them.
    ///
    /// ```
    /// use acr_registry::RepositoryProperties;
    ///
    /// let mut repository = RepositoryProperties::new("r.azurecr.io", "library/app".parse()?);
    /// repository.tag_count = Some(3);
    /// let json = serde_json::to_value(&repository).unwrap();
    /// assert_eq!((&json["name"], &json["tagCount"]), (&"library/app".into(), &3.into()));
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    pub fn new(registry: impl Into<String>, name: RepositoryName) -> Self {
        Self {
            registry: registry.into(),
            name,
            created_at: None,
            updated_at: None,
            manifest_count: None,
            tag_count: None,
            permissions: Permissions::new(),
            teleport: None,
            unknown: UnknownFields::default(),
            unknown_attributes: UnknownFields::default(),
        }
    }
}

impl TagProperties {
    /// A tag of which nothing else is known: for tests of a program, which set the other
    /// fields as they need them.
    ///
    /// ```
    /// use acr_core::Digest;
    /// use acr_registry::TagProperties;
    ///
    /// let (name, digest) = ("library/app".parse()?, Digest::sha256(b"{}"));
    /// let tag = TagProperties::new("r.azurecr.io", name, "v1".parse()?, digest);
    /// assert_eq!(tag.name, "v1");
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    pub fn new(
        registry: impl Into<String>,
        repository: RepositoryName,
        name: Tag,
        digest: Digest,
    ) -> Self {
        Self {
            registry: registry.into(),
            repository,
            name,
            digest,
            created_at: None,
            updated_at: None,
            signed: None,
            quarantine_state: None,
            permissions: Permissions::new(),
            unknown: UnknownFields::default(),
            unknown_attributes: UnknownFields::default(),
        }
    }
}

impl ManifestProperties {
    /// A manifest of which nothing else is known: for tests of a program, which set the other
    /// fields as they need them.
    ///
    /// ```
    /// use acr_core::{Digest, Tag};
    /// use acr_registry::ManifestProperties;
    ///
    /// let digest = Digest::sha256(b"{}");
    /// let mut manifest = ManifestProperties::new("r.azurecr.io", "library/app".parse()?, digest);
    /// manifest.tags = vec!["v1".parse::<Tag>()?].into();
    /// assert_eq!(manifest.tags[0], "v1");
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    pub fn new(registry: impl Into<String>, repository: RepositoryName, digest: Digest) -> Self {
        Self {
            registry: registry.into(),
            repository,
            digest,
            size: None,
            created_at: None,
            updated_at: None,
            architecture: None,
            operating_system: None,
            media_type: None,
            config_media_type: None,
            tags: Listed::default(),
            references: Listed::default(),
            quarantine_state: None,
            quarantine_details: None,
            permissions: Permissions::new(),
            unknown: UnknownFields::default(),
            unknown_attributes: UnknownFields::default(),
        }
    }

    /// How tools name it: `registry.azurecr.io/repository@sha256:…`.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// use acr_core::Tag;
    ///
    /// let manifest = repo.manifest_properties("v1".parse::<Tag>()?).await?;
    /// assert!(manifest.fully_qualified_reference().contains("/library/app@sha256:"));
    /// # Ok(()) });
    /// ```
    pub fn fully_qualified_reference(&self) -> String {
        format!("{}/{}@{}", self.registry, self.repository, self.digest)
    }
}

/// A manifest that an index names.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
/// use acr_core::Tag;
///
/// let index = repo.manifest_properties("v1".parse::<Tag>()?).await?;
/// for part in index.references.iter() {
///     println!("{:?} {}", part.architecture, part.digest);
/// }
/// # Ok(()) });
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ManifestReference {
    /// The manifest.
    pub digest: Digest,
    /// Its architecture.
    pub architecture: Option<Architecture>,
    /// Its operating system.
    pub operating_system: Option<OperatingSystem>,
    /// Fields that this version has no name for.
    #[serde(skip_serializing_if = "UnknownFields::is_empty")]
    pub unknown: UnknownFields,
}

/// The flags of a whole properties value, for an update that restores them.
impl From<&RepositoryProperties> for Permissions {
    fn from(properties: &RepositoryProperties) -> Self {
        properties.permissions
    }
}

/// The flags of a whole properties value, for an update that restores them.
impl From<&TagProperties> for Permissions {
    fn from(properties: &TagProperties) -> Self {
        properties.permissions
    }
}

#[cfg(test)]
mod tests {
    use crate::model::{ManifestProperties, Owner};

    #[test]
    fn the_full_name_of_a_manifest_is_registry_repository_and_digest() {
        let digest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
        let wire = format!(r#"{{"digest":"{digest}"}}"#);
        let owner =
            Owner { registry: "r.azurecr.io".to_owned(), repository: "a/b".parse().unwrap() };
        let manifest =
            ManifestProperties::read(serde_json::from_str(&wire).unwrap(), &owner).unwrap();
        assert_eq!(manifest.fully_qualified_reference(), format!("r.azurecr.io/a/b@{digest}"));
    }
}
