//! A repository: tags and manifests, with the orders and reverse links that lists need.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    attributes::Attributes,
    budget::Share,
    clock::Stamp,
    manifest::{Form, Parsed, Platform},
    reference::is_digest,
};

/// A repository: begins with its first manifest and ends with its last.
///
/// Read everywhere, changed only by `State`, which keeps the records on disk in step.
#[derive(Debug)]
pub(crate) struct Repository {
    pub(crate) created: Stamp,
    pub(crate) updated: Stamp,
    pub(crate) attributes: Attributes,
    pub(crate) tags: BTreeMap<String, TagRecord>,
    pub(crate) manifests: BTreeMap<String, ManifestRecord>,
    pub(crate) tags_by_time: Timeline,
    pub(crate) manifests_by_time: Timeline,
    tags_by_digest: BTreeMap<String, BTreeSet<String>>,
    referrers: BTreeMap<String, BTreeSet<String>>,
}

/// Names in the order of their times.
#[derive(Debug, Default)]
pub(crate) struct Timeline(pub(crate) BTreeSet<(Stamp, String)>);

/// A tag.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct TagRecord {
    pub(crate) digest: String,
    pub(crate) created: Stamp,
    pub(crate) updated: Stamp,
    pub(crate) attributes: Attributes,
}

/// A manifest with what was read from it.
#[derive(Clone, Debug)]
pub(crate) struct ManifestRecord {
    pub(crate) bytes: Bytes,
    pub(crate) media_type: String,
    pub(crate) form: Form,
    pub(crate) parsed: Parsed,
    pub(crate) platform: Platform,
    pub(crate) image_size: u64,
    pub(crate) created: Stamp,
    pub(crate) updated: Stamp,
    pub(crate) attributes: Attributes,
    /// What it takes of the memory for manifests, as long as anybody keeps it.
    pub(crate) _share: Arc<Share>,
}

impl Repository {
    pub(crate) fn new(now: Stamp) -> Self {
        Self {
            created: now,
            updated: now,
            attributes: Attributes::default(),
            tags: BTreeMap::new(),
            manifests: BTreeMap::new(),
            tags_by_time: Timeline::default(),
            manifests_by_time: Timeline::default(),
            tags_by_digest: BTreeMap::new(),
            referrers: BTreeMap::new(),
        }
    }

    /// The tags of a manifest.
    pub(crate) fn tags_of<'a>(
        &'a self,
        digest: &'a str,
    ) -> impl Iterator<Item = (&'a String, &'a TagRecord)> {
        let names = self.tags_by_digest.get(digest).into_iter().flatten();
        names.filter_map(|name| self.tags.get_key_value(name))
    }

    /// The manifests that refer to another, which need not exist.
    pub(crate) fn referrers_of<'a>(
        &'a self,
        digest: &str,
    ) -> impl Iterator<Item = (&'a String, &'a ManifestRecord)> {
        let digests = self.referrers.get(digest).into_iter().flatten();
        digests.filter_map(|digest| self.manifests.get_key_value(digest))
    }

    /// The digest that a tag or a digest stands for.
    pub(crate) fn resolve<'a>(&'a self, reference: &'a str) -> Option<&'a str> {
        if is_digest(reference) {
            return self.manifests.contains_key(reference).then_some(reference);
        }
        self.tags.get(reference).map(|tag| tag.digest.as_str())
    }

    /// Adds a tag, or replaces it.
    pub(crate) fn set_tag(&mut self, name: &str, record: TagRecord) {
        self.remove_tag(name);
        self.tags_by_time.add(record.updated, name);
        self.tags_by_digest.entry(record.digest.clone()).or_default().insert(name.to_owned());
        self.tags.insert(name.to_owned(), record);
    }

    pub(crate) fn remove_tag(&mut self, name: &str) -> Option<TagRecord> {
        let record = self.tags.remove(name)?;
        self.tags_by_time.remove(record.updated, name);
        unlink(&mut self.tags_by_digest, &record.digest, name);
        Some(record)
    }

    /// Adds a manifest, or replaces it.
    pub(crate) fn set_manifest(&mut self, digest: &str, record: ManifestRecord) {
        self.take_manifest(digest);
        self.manifests_by_time.add(record.updated, digest);
        if let Some(subject) = &record.parsed.subject {
            let digests = self.referrers.entry(subject.digest.clone()).or_default();
            digests.insert(digest.to_owned());
        }
        self.manifests.insert(digest.to_owned(), record);
    }

    /// Removes a manifest and leaves its tags.
    pub(crate) fn take_manifest(&mut self, digest: &str) -> Option<ManifestRecord> {
        let record = self.manifests.remove(digest)?;
        self.manifests_by_time.remove(record.updated, digest);
        if let Some(subject) = &record.parsed.subject {
            unlink(&mut self.referrers, &subject.digest, digest);
        }
        Some(record)
    }
}

impl Timeline {
    pub(crate) fn add(&mut self, time: Stamp, name: &str) {
        self.0.insert((time, name.to_owned()));
    }

    pub(crate) fn remove(&mut self, time: Stamp, name: &str) {
        self.0.remove(&(time, name.to_owned()));
    }
}

fn unlink(links: &mut BTreeMap<String, BTreeSet<String>>, from: &str, to: &str) {
    if let Some(names) = links.get_mut(from) {
        names.remove(to);
        if names.is_empty() {
            links.remove(from);
        }
    }
}
