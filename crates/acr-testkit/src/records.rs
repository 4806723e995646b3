//! The form that the registry's records have on disk.

use std::{collections::HashMap, io, sync::Arc};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    attributes::Attributes,
    budget::Budget,
    clock::Stamp,
    content::{Content, Store},
    ledger::{Change, Ledger, Table},
    manifest::{self, Platform},
    repository::{ManifestRecord, Repository, TagRecord},
    seal::Key,
    state::State,
};

/// A repository without what is in it.
#[derive(Serialize, Deserialize)]
struct RepositoryRecord {
    created: Stamp,
    updated: Stamp,
    attributes: Attributes,
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
    file: String,
    len: u64,
}

/// The key of all signatures, made once.
pub(crate) fn key(ledger: &Ledger, random: &mut fastrand::Rng) -> io::Result<Key> {
    let settings = ledger.read::<serde_json::Value>(Table::Settings)?;
    if let Some((_, _, text)) = settings.iter().find(|(name, _, _)| name == KEY) {
        let key = text.as_str().and_then(Key::restore);
        return key.ok_or_else(|| damaged("the key cannot be read"));
    }
    let key = Key::new(random);
    ledger.stage([Change::put(Table::Settings, KEY, "", &key.save())]);
    ledger.flush_blocking()?;
    Ok(key)
}

/// Reads everything that an earlier process recorded.
pub(crate) fn load(
    state: &mut State,
    ledger: &Ledger,
    store: &Arc<Store>,
    manifests: &Arc<Budget>,
) -> io::Result<()> {
    for (digest, _, ContentRecord { file, len }) in ledger.read(Table::Contents)? {
        let content = store
            .find(&file, len)
            .map_err(|error| damaged(&format!("the content of the blob `{digest}`: {error}")))?;
        state.restore_content(&digest, content);
    }
    for (repository, digest, ()) in ledger.read(Table::Blobs)? {
        if !state.restore_blob(&repository, &digest) {
            return Err(damaged(&format!("the blob `{digest}` has no content")));
        }
    }
    for (name, _, record) in ledger.read::<RepositoryRecord>(Table::Repositories)? {
        let RepositoryRecord { created, updated, attributes } = record;
        state.note_time(updated);
        state.repositories.change(&name, created, |repository| {
            repository.updated = updated;
            repository.attributes = attributes;
        });
    }
    let mut documents = Documents::read(ledger, manifests)?;
    for (name, digest, properties) in ledger.read(Table::Manifests)? {
        let record = documents.join(&name, &digest, properties)?;
        state.note_time(record.updated);
        known(state, &name, |repository| repository.set_manifest(&digest, record))?;
    }
    for (name, tag, record) in ledger.read::<TagRecord>(Table::Tags)? {
        state.note_time(record.updated);
        known(state, &name, |repository| repository.set_tag(&tag, record))?;
    }
    state.deleted.load(ledger, &mut documents)
}

/// The bytes of all manifests, to be joined with their properties.
pub(crate) struct Documents {
    bytes: HashMap<(String, String), Vec<u8>>,
    budget: Arc<Budget>,
}

impl Documents {
    fn read(ledger: &Ledger, budget: &Arc<Budget>) -> io::Result<Self> {
        let documents = ledger.read_bytes(Table::Documents)?.into_iter();
        let bytes = documents.map(|(name, digest, bytes)| ((name, digest), bytes)).collect();
        Ok(Self { bytes, budget: Arc::clone(budget) })
    }

    pub(crate) fn join(
        &mut self,
        name: &str,
        digest: &str,
        properties: ManifestProperties,
    ) -> io::Result<ManifestRecord> {
        let bytes = self.bytes.remove(&(name.to_owned(), digest.to_owned()));
        let bytes = Bytes::from(bytes.ok_or_else(|| {
            damaged(&format!("the manifest `{digest}` of `{name}` has no bytes"))
        })?);
        let ManifestProperties { media_type, platform, image_size, created, updated, attributes } =
            properties;
        // Leniently, whoever took it: the profile may have been another.
        let (form, parsed) = manifest::parse(&media_type, &bytes, true).map_err(|why| {
            damaged(&format!("the manifest `{digest}` of `{name}` is no manifest: {why}"))
        })?;
        let share = Arc::new(self.budget.owe(bytes.len() + parsed.weight()));
        Ok(ManifestRecord {
            bytes,
            media_type,
            form,
            parsed: parsed.kept(),
            platform,
            image_size,
            created,
            updated,
            attributes,
            _share: share,
        })
    }
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

fn known(state: &mut State, name: &str, change: impl FnOnce(&mut Repository)) -> io::Result<()> {
    if !state.repositories.contains_key(name) {
        return Err(damaged(&format!("the repository `{name}` has content and no record")));
    }
    state.repositories.change(name, Stamp::default(), change);
    Ok(())
}

pub(crate) fn damaged(text: &str) -> io::Error {
    let text = format!("the data folder is damaged: {text}; put it back, or use another folder");
    io::Error::new(io::ErrorKind::InvalidData, text)
}

const KEY: &str = "key";
