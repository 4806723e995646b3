//! Pages as registries write them, read in one pass. Whatever is odd in one, however little, is
//! left to [`Fields`](super::Fields), which reads the page anew: so this knows one shape, and
//! what a page means is written there alone.

use std::{fmt, marker::PhantomData};

use acr_core::{Digest, RepositoryName, Tag, Timestamp};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};

use super::{
    Architecture, ManifestProperties, MediaType, OperatingSystem, Owner, Permissions,
    TagProperties, UnknownFields, wire::is_host,
};

/// The tags of a page.
pub(crate) fn tags(body: &[u8], owner: &Owner) -> Option<Vec<TagProperties>> {
    let Object(page) = serde_json::from_slice::<Object<TagPage<'_>>>(body).ok()?;
    let owner = owner.or(page.registry, page.image_name);
    page.tags.into_iter().map(|Object(tag)| tag.of(&owner)).collect()
}

/// The manifests of a page.
pub(crate) fn manifests(body: &[u8], owner: &Owner) -> Option<Vec<ManifestProperties>> {
    let Object(page) = serde_json::from_slice::<Object<ManifestPage<'_>>>(body).ok()?;
    let owner = owner.or(page.registry, page.image_name);
    page.manifests.into_iter().map(|Object(manifest)| manifest.of(&owner)).collect()
}

impl Owner {
    fn or(&self, registry: Option<&str>, repository: Option<RepositoryName>) -> Self {
        let registry = registry.filter(|name| is_host(name));
        Self {
            registry: registry.unwrap_or(&self.registry).to_owned(),
            repository: repository.unwrap_or_else(|| self.repository.clone()),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TagPage<'a> {
    registry: Option<&'a str>,
    image_name: Option<RepositoryName>,
    #[serde(borrow)]
    tags: Vec<Object<QuickTag<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ManifestPage<'a> {
    registry: Option<&'a str>,
    image_name: Option<RepositoryName>,
    #[serde(borrow)]
    manifests: Vec<Object<QuickManifest<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct QuickTag<'a> {
    name: &'a str,
    digest: &'a str,
    created_time: Option<Timestamp>,
    last_update_time: Option<Timestamp>,
    signed: Option<bool>,
    quarantine_state: Option<&'a str>,
    #[serde(borrow)]
    changeable_attributes: Option<Object<TagAttributes<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct QuickManifest<'a> {
    digest: &'a str,
    image_size: Option<u64>,
    created_time: Option<Timestamp>,
    last_update_time: Option<Timestamp>,
    architecture: Option<Architecture>,
    os: Option<OperatingSystem>,
    media_type: Option<MediaType>,
    config_media_type: Option<MediaType>,
    #[serde(borrow)]
    tags: Option<Vec<&'a str>>,
    #[serde(borrow)]
    changeable_attributes: Option<Object<Attributes<'a>>>,
}

/// The locks, and what a manifest has beside them.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Attributes<'a> {
    delete_enabled: Option<bool>,
    write_enabled: Option<bool>,
    list_enabled: Option<bool>,
    read_enabled: Option<bool>,
    quarantine_state: Option<&'a str>,
    quarantine_details: Option<&'a str>,
}

/// The same of a tag. What has no name there is kept as it is, a null too.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TagAttributes<'a> {
    delete_enabled: Option<bool>,
    write_enabled: Option<bool>,
    list_enabled: Option<bool>,
    read_enabled: Option<bool>,
    #[serde(borrow, default, deserialize_with = "no_null")]
    quarantine_state: Option<&'a str>,
}

fn no_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de str>, D::Error> {
    <&str>::deserialize(deserializer).map(Some)
}

impl QuickTag<'_> {
    fn of(self, owner: &Owner) -> Option<TagProperties> {
        let attributes = self.changeable_attributes.map(|Object(it)| it).unwrap_or_default();
        // Of two states one is kept as unknown.
        if self.quarantine_state.is_some() && attributes.quarantine_state.is_some() {
            return None;
        }
        let permissions = Attributes {
            delete_enabled: attributes.delete_enabled,
            write_enabled: attributes.write_enabled,
            list_enabled: attributes.list_enabled,
            read_enabled: attributes.read_enabled,
            ..Attributes::default()
        }
        .permissions();
        Some(TagProperties {
            registry: owner.registry.clone(),
            repository: owner.repository.clone(),
            name: self.name.parse().ok()?,
            digest: self.digest.parse().ok()?,
            created_at: self.created_time,
            updated_at: self.last_update_time,
            signed: self.signed,
            quarantine_state: self
                .quarantine_state
                .or(attributes.quarantine_state)
                .map(str::to_owned),
            permissions,
            unknown: UnknownFields::default(),
            unknown_attributes: UnknownFields::default(),
        })
    }
}

impl QuickManifest<'_> {
    fn of(self, owner: &Owner) -> Option<ManifestProperties> {
        let attributes = self.changeable_attributes.map(|Object(it)| it).unwrap_or_default();
        let tags = self.tags.unwrap_or_default();
        let tags: Vec<Tag> = tags.into_iter().map(|tag| tag.parse().ok()).collect::<Option<_>>()?;
        let digest: Digest = self.digest.parse().ok()?;
        let manifest = ManifestProperties {
            size: self.image_size,
            created_at: self.created_time,
            updated_at: self.last_update_time,
            architecture: self.architecture,
            operating_system: self.os,
            media_type: self.media_type,
            config_media_type: self.config_media_type,
            tags: tags.into(),
            quarantine_state: attributes.quarantine_state.map(str::to_owned),
            quarantine_details: attributes.quarantine_details.map(str::to_owned),
            permissions: attributes.permissions(),
            ..ManifestProperties::new(owner.registry.clone(), owner.repository.clone(), digest)
        };
        Some(manifest)
    }
}

impl Attributes<'_> {
    fn permissions(&self) -> Permissions {
        Permissions::of_flags(|name| match name {
            "deleteEnabled" => self.delete_enabled,
            "writeEnabled" => self.write_enabled,
            "listEnabled" => self.list_enabled,
            "readEnabled" => self.read_enabled,
            _ => None,
        })
    }
}

/// A JSON object: what serde derives would take an array of the values too.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData)).map(Self)
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

#[cfg(test)]
mod tests;
