//! Properties as the registry writes them: enveloped, with locks, quarantine and
//! what is to come in one object.

use acr_core::{Digest, RepositoryName, Tag, Timestamp};
use serde::{Deserialize, Deserializer};

use super::{
    Architecture, ManifestProperties, ManifestReference, MediaType, OperatingSystem, Permissions,
    RepositoryProperties, TagProperties, UnknownFields,
};

/// Whose properties they are; the envelope names both, and is not obliged to.
#[derive(Clone, Debug)]
pub(crate) struct Owner {
    pub(crate) registry: String,
    pub(crate) repository: RepositoryName,
}

impl Owner {
    /// What the envelope says, else what is known beforehand.
    pub(crate) fn or(self, registry: Option<String>, repository: Option<RepositoryName>) -> Self {
        Self {
            registry: registry.unwrap_or(self.registry),
            repository: repository.unwrap_or(self.repository),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WireRepository {
    registry: Option<String>,
    image_name: Option<RepositoryName>,
    created_time: Timestamp,
    last_update_time: Timestamp,
    #[serde(default)]
    manifest_count: u64,
    #[serde(default)]
    tag_count: u64,
    #[serde(default)]
    changeable_attributes: Option<WireAttributes>,
    #[serde(flatten)]
    unknown: UnknownFields,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WireTag {
    pub(crate) name: Tag,
    pub(crate) digest: Digest,
    created_time: Timestamp,
    last_update_time: Timestamp,
    signed: Option<bool>,
    quarantine_state: Option<String>,
    #[serde(default)]
    changeable_attributes: Option<WireAttributes>,
    #[serde(flatten)]
    unknown: UnknownFields,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WireManifest {
    digest: Digest,
    image_size: Option<u64>,
    created_time: Timestamp,
    last_update_time: Timestamp,
    architecture: Option<Architecture>,
    os: Option<OperatingSystem>,
    media_type: Option<MediaType>,
    config_media_type: Option<MediaType>,
    #[serde(default, deserialize_with = "null_is_empty")]
    tags: Vec<Tag>,
    #[serde(default, deserialize_with = "null_is_empty")]
    references: Vec<ManifestReference>,
    #[serde(default)]
    changeable_attributes: Option<WireAttributes>,
    #[serde(flatten)]
    unknown: UnknownFields,
}

/// The locks, and beside them what each kind has a name for.
#[derive(Default, Deserialize)]
struct WireAttributes {
    #[serde(flatten)]
    permissions: Permissions,
    #[serde(flatten)]
    unknown: UnknownFields,
}

const QUARANTINE_STATE: &str = "quarantineState";

impl WireRepository {
    pub(crate) fn owned_by(self, owner: Owner) -> RepositoryProperties {
        let mut attributes = self.changeable_attributes.unwrap_or_default();
        RepositoryProperties {
            registry: self.registry.unwrap_or(owner.registry),
            name: self.image_name.unwrap_or(owner.repository),
            created_at: self.created_time,
            updated_at: self.last_update_time,
            manifest_count: self.manifest_count,
            tag_count: self.tag_count,
            permissions: attributes.permissions,
            teleport: attributes.unknown.take("teleportEnabled"),
            unknown: self.unknown,
            unknown_attributes: attributes.unknown,
        }
    }
}

impl WireTag {
    pub(crate) fn owned_by(self, owner: &Owner) -> TagProperties {
        let mut attributes = self.changeable_attributes.unwrap_or_default();
        TagProperties {
            registry: owner.registry.clone(),
            repository: owner.repository.clone(),
            name: self.name,
            digest: self.digest,
            created_at: self.created_time,
            updated_at: self.last_update_time,
            signed: self.signed,
            quarantine_state: self
                .quarantine_state
                .or_else(|| attributes.unknown.take(QUARANTINE_STATE)),
            permissions: attributes.permissions,
            unknown: self.unknown,
            unknown_attributes: attributes.unknown,
        }
    }
}

impl WireManifest {
    pub(crate) fn owned_by(self, owner: &Owner) -> ManifestProperties {
        let mut attributes = self.changeable_attributes.unwrap_or_default();
        ManifestProperties {
            registry: owner.registry.clone(),
            repository: owner.repository.clone(),
            digest: self.digest,
            size: self.image_size,
            created_at: self.created_time,
            updated_at: self.last_update_time,
            architecture: self.architecture,
            operating_system: self.os,
            media_type: self.media_type,
            config_media_type: self.config_media_type,
            tags: self.tags,
            references: self.references,
            quarantine_state: attributes.unknown.take(QUARANTINE_STATE),
            quarantine_details: attributes.unknown.take("quarantineDetails"),
            permissions: attributes.permissions,
            unknown: self.unknown,
            unknown_attributes: attributes.unknown,
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

    fn read(text: &str) -> ManifestProperties {
        let owner = Owner { registry: "r".to_owned(), repository: "a/b".parse().unwrap() };
        serde_json::from_str::<WireManifest>(text).unwrap().owned_by(&owner)
    }

    #[test]
    fn a_manifest_with_everything_and_one_with_nothing_optional() {
        let full = read(
            r#"{"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
            "imageSize":5000000000,"createdTime":"2023-05-04T08:26:43.88Z","lastUpdateTime":"2023-05-04T08:26:43.8812345Z",
            "architecture":"quantum","os":"linux","mediaType":"application/vnd.oci.image.index.v1+json","tags":["v1"],
            "references":[{"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","architecture":"unknown","os":"unknown"}],
            "changeableAttributes":{"deleteEnabled":false,"writeEnabled":true,"readEnabled":true,"listEnabled":true,"quarantineState":"Passed","quarantineDetails":"{}","later":2},"new":1}"#,
        );
        assert_eq!(full.size, Some(5_000_000_000));
        assert_eq!(full.architecture.unwrap().as_str(), "quantum");
        assert_eq!(full.references[0].architecture, Some(Architecture::UNKNOWN));
        assert_eq!(full.quarantine_state.as_deref(), Some("Passed"));
        assert_eq!(full.quarantine_details.as_deref(), Some("{}"));
        assert_eq!(full.permissions.can_delete(), Some(false));
        assert_eq!(full.updated_at.to_string(), "2023-05-04T08:26:43.8812345Z");
        assert_eq!(full.unknown.get::<u8>("new"), Some(1));
        assert_eq!(full.unknown_attributes.names().collect::<Vec<_>>(), ["later"]);

        let bare = read(
            r#"{"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
            "createdTime":"2023-05-04T08:26:43Z","lastUpdateTime":"2023-05-04T08:26:43Z","tags":null}"#,
        );
        assert!(bare.tags.is_empty() && bare.references.is_empty() && bare.architecture.is_none());
        assert_eq!(bare.permissions, Permissions::new());
        assert!(bare.unknown.is_empty() && bare.unknown_attributes.is_empty());
        assert_eq!((bare.registry.as_str(), bare.repository.as_str()), ("r", "a/b"));
    }
}
