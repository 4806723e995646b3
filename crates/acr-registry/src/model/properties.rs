//! Properties of repositories, tags and manifests, as the registry writes them.

use acr_core::{Digest, RepositoryName, Tag, Timestamp};
use serde::{Deserialize, Deserializer};

use super::{Architecture, MediaType, OperatingSystem, Permissions};

/// What the registry knows about a repository.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RepositoryProperties {
    /// The registry's login server.
    pub registry: String,
    /// The repository.
    #[serde(rename = "imageName")]
    pub name: RepositoryName,
    /// When it was created.
    #[serde(rename = "createdTime")]
    pub created_at: Timestamp,
    /// When it was last pushed to; may lie a moment before `created_at`.
    #[serde(rename = "lastUpdateTime")]
    pub updated_at: Timestamp,
    /// How many manifests it holds.
    #[serde(default)]
    pub manifest_count: u64,
    /// How many tags it holds.
    #[serde(default)]
    pub tag_count: u64,
    /// The locks.
    #[serde(rename = "changeableAttributes", default)]
    pub permissions: Permissions,
}

/// What the registry knows about a tag.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct TagProperties {
    /// The tag.
    pub name: Tag,
    /// The manifest it points to.
    pub digest: Digest,
    /// When it was created.
    #[serde(rename = "createdTime")]
    pub created_at: Timestamp,
    /// When it was last moved.
    #[serde(rename = "lastUpdateTime")]
    pub updated_at: Timestamp,
    /// Whether Docker content trust signed it.
    #[serde(default)]
    pub signed: Option<bool>,
    /// The locks.
    #[serde(rename = "changeableAttributes", default)]
    pub permissions: Permissions,
}

/// What the registry knows about a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ManifestProperties {
    /// The manifest.
    pub digest: Digest,
    /// Config and layers together, in bytes; of an index, the sum of its images.
    #[serde(rename = "imageSize", default)]
    pub size: Option<u64>,
    /// When it was pushed.
    #[serde(rename = "createdTime")]
    pub created_at: Timestamp,
    /// When it was last pushed or tagged.
    #[serde(rename = "lastUpdateTime")]
    pub updated_at: Timestamp,
    /// The architecture; absent for indexes and artifacts.
    #[serde(default)]
    pub architecture: Option<Architecture>,
    /// The operating system; absent for indexes and artifacts.
    #[serde(rename = "os", default)]
    pub operating_system: Option<OperatingSystem>,
    /// The manifest's media type.
    #[serde(default)]
    pub media_type: Option<MediaType>,
    /// The media type of its config; absent for indexes.
    #[serde(default)]
    pub config_media_type: Option<MediaType>,
    /// The tags that point to it.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub tags: Vec<Tag>,
    /// The manifests an index names; only when a single manifest is asked for.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub references: Vec<ManifestReference>,
    /// The quarantine state, where the registry has quarantine.
    #[serde(skip)]
    pub quarantine_state: Option<String>,
    /// The locks.
    #[serde(skip)]
    pub permissions: Permissions,
}

/// A manifest that an index names.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct ManifestReference {
    /// The manifest.
    pub digest: Digest,
    /// Its architecture.
    #[serde(default)]
    pub architecture: Option<Architecture>,
    /// Its operating system.
    #[serde(rename = "os", default)]
    pub operating_system: Option<OperatingSystem>,
}

/// A manifest as the wire has it: locks and quarantine are one object there.
#[derive(Deserialize)]
pub(crate) struct WireManifest {
    #[serde(flatten)]
    properties: ManifestProperties,
    #[serde(rename = "changeableAttributes", default)]
    attributes: WireAttributes,
}

#[derive(Default, Deserialize)]
struct WireAttributes {
    #[serde(flatten)]
    permissions: Permissions,
    #[serde(rename = "quarantineState", default)]
    quarantine_state: Option<String>,
}

impl From<WireManifest> for ManifestProperties {
    fn from(wire: WireManifest) -> Self {
        Self {
            permissions: wire.attributes.permissions,
            quarantine_state: wire.attributes.quarantine_state,
            ..wire.properties
        }
    }
}

/// An empty list is `null` on the wire, or absent.
pub(crate) fn null_is_empty<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_with_everything_and_one_with_nothing_optional() {
        let full = r#"{"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
            "imageSize":5000000000,"createdTime":"2023-05-04T08:26:43.88Z","lastUpdateTime":"2023-05-04T08:26:43.8812345Z",
            "architecture":"quantum","os":"linux","mediaType":"application/vnd.oci.image.index.v1+json","tags":["v1"],
            "references":[{"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","architecture":"unknown","os":"unknown"}],
            "changeableAttributes":{"deleteEnabled":false,"writeEnabled":true,"readEnabled":true,"listEnabled":true,"quarantineState":"Passed","quarantineDetails":"{}"},"new":1}"#;
        let full: ManifestProperties = serde_json::from_str::<WireManifest>(full).unwrap().into();
        assert_eq!(full.size, Some(5_000_000_000));
        assert_eq!(full.architecture.unwrap().as_str(), "quantum");
        assert_eq!(full.references[0].architecture, Some(Architecture::UNKNOWN));
        assert_eq!(full.quarantine_state.as_deref(), Some("Passed"));
        assert_eq!(full.permissions.can_delete(), Some(false));
        assert_eq!(full.updated_at.to_string(), "2023-05-04T08:26:43.8812345Z");

        let bare = r#"{"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
            "createdTime":"2023-05-04T08:26:43Z","lastUpdateTime":"2023-05-04T08:26:43Z","tags":null}"#;
        let bare: ManifestProperties = serde_json::from_str::<WireManifest>(bare).unwrap().into();
        assert!(bare.tags.is_empty() && bare.references.is_empty() && bare.architecture.is_none());
        assert_eq!(bare.permissions, Permissions::new());
    }
}
