//! Properties of repositories, tags and manifests.
//!
//! What identifies a thing is always there. Everything else is what the registry says, if
//! it says so: a value of another shape than expected is `None` here and kept in `unknown`.

use acr_core::{Digest, RepositoryName, Tag, Timestamp};

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
#[derive(Clone, Debug, PartialEq, Eq)]
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
    pub unknown: UnknownFields,
    /// Fields of `changeableAttributes` that this version has no name for.
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
#[derive(Clone, Debug, PartialEq, Eq)]
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
    pub unknown: UnknownFields,
    /// Fields of `changeableAttributes` that this version has no name for.
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
#[derive(Clone, Debug, PartialEq, Eq)]
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
    pub unknown: UnknownFields,
    /// Fields of `changeableAttributes` that this version has no name for.
    pub unknown_attributes: UnknownFields,
}

impl ManifestProperties {
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
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ManifestReference {
    /// The manifest.
    pub digest: Digest,
    /// Its architecture.
    pub architecture: Option<Architecture>,
    /// Its operating system.
    pub operating_system: Option<OperatingSystem>,
    /// Fields that this version has no name for.
    pub unknown: UnknownFields,
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
