//! The form that the registry's records have on disk.

#[cfg(feature = "persist")]
mod kept;

use serde::{Deserialize, Serialize};

#[cfg(feature = "persist")]
pub(crate) use self::kept::{Documents, damaged};
use crate::{
    attributes::Attributes,
    clock::Stamp,
    content::Content,
    ledger::{Change, Table},
    manifest::Platform,
    repository::{ManifestRecord, Repository},
};

/// A repository without what is in it.
#[derive(Serialize, Deserialize)]
pub(crate) struct RepositoryRecord {
    pub(crate) created: Stamp,
    pub(crate) updated: Stamp,
    pub(crate) attributes: Attributes,
}

/// A manifest without its bytes, which are a record of their own.
#[derive(Serialize, Deserialize)]
pub(crate) struct ManifestProperties {
    media_type: String,
    platform: Platform,
    image_size: u64,
    created: Stamp,
    updated: Stamp,
    attributes: Attributes,
}

/// Where a content is; empty content has no file.
#[derive(Serialize, Deserialize)]
pub(crate) struct ContentRecord {
    pub(crate) file: String,
    pub(crate) len: u64,
}

impl ManifestProperties {
    pub(crate) fn of(manifest: &ManifestRecord) -> Self {
        Self {
            media_type: manifest.media_type.clone(),
            platform: manifest.platform.clone(),
            image_size: manifest.image_size,
            created: manifest.created,
            updated: manifest.updated,
            attributes: manifest.attributes.clone(),
        }
    }
}

impl ContentRecord {
    pub(crate) fn of(content: &Content) -> Self {
        let file = content.file().map(|file| file.name().to_owned()).unwrap_or_default();
        Self { file, len: content.len() }
    }
}

pub(crate) fn put_repository(name: &str, repository: &Repository) -> Change {
    let record = RepositoryRecord {
        created: repository.created,
        updated: repository.updated,
        attributes: repository.attributes.clone(),
    };
    Change::put(Table::Repositories, name, "", &record)
}

pub(crate) fn put_manifest(name: &str, digest: &str, manifest: &ManifestRecord) -> [Change; 2] {
    [
        put_manifest_properties(name, digest, manifest),
        Change::put_bytes(Table::Documents, name, digest, manifest.bytes.to_vec()),
    ]
}

pub(crate) fn put_manifest_properties(
    name: &str,
    digest: &str,
    manifest: &ManifestRecord,
) -> Change {
    Change::put(Table::Manifests, name, digest, &ManifestProperties::of(manifest))
}

/// Removes a manifest, with or without its bytes.
pub(crate) fn remove_manifest(
    name: &str,
    digest: &str,
    for_good: bool,
) -> impl Iterator<Item = Change> {
    let bytes = for_good.then(|| Change::remove(Table::Documents, name, digest));
    [Change::remove(Table::Manifests, name, digest)].into_iter().chain(bytes)
}
