//! What the registry holds: repositories, tags, manifests and which blobs belong where.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use acr_core::Digest;
use bytes::Bytes;

use crate::{
    attributes::Attributes,
    clock::{Clock, Stamp},
    content::Content,
    manifest::{Form, Parsed, Platform},
};

/// Everything stored; digests are kept as text because requests name any text.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) repositories: BTreeMap<String, Repository>,
    /// Which blobs a repository may serve. Outlives the repository's manifests.
    blobs: HashMap<String, BTreeSet<String>>,
    contents: HashMap<String, Content>,
    latest: Stamp,
}

/// A repository: begins with its first manifest and ends with its last.
#[derive(Debug)]
pub(crate) struct Repository {
    pub(crate) created: Stamp,
    pub(crate) updated: Stamp,
    pub(crate) attributes: Attributes,
    pub(crate) tags: BTreeMap<String, TagRecord>,
    pub(crate) manifests: BTreeMap<String, ManifestRecord>,
}

/// A tag.
#[derive(Clone, Debug)]
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
}

impl State {
    /// The time now, later than any before, so that orders by time are total.
    pub(crate) fn stamp(&mut self, clock: &Clock) -> Stamp {
        self.latest = clock.stamp().max(self.latest.next());
        self.latest
    }

    /// The content of a blob that belongs to a repository.
    pub(crate) fn blob(&self, repository: &str, digest: &str) -> Option<&Content> {
        let known = self.blobs.get(repository).is_some_and(|blobs| blobs.contains(digest));
        known.then(|| self.contents.get(digest)).flatten()
    }

    /// Content by digest, whatever repository it belongs to: the storage knows no repositories.
    pub(crate) fn content(&self, digest: &str) -> Option<&Content> {
        self.contents.get(digest)
    }

    /// Adds a blob; content that is there already stays.
    pub(crate) fn add_blob(&mut self, repository: &str, digest: &Digest, content: Content) {
        self.contents.entry(digest.to_string()).or_insert(content);
        self.blobs.entry(repository.to_owned()).or_default().insert(digest.to_string());
    }

    /// Removes a blob from a repository; the content goes with the last one.
    pub(crate) fn remove_blob(&mut self, repository: &str, digest: &str) -> bool {
        let removed = self.blobs.get_mut(repository).is_some_and(|blobs| blobs.remove(digest));
        if removed && !self.blobs.values().any(|blobs| blobs.contains(digest)) {
            self.contents.remove(digest);
        }
        removed
    }

    /// Removes a repository with everything in it.
    pub(crate) fn remove_repository(&mut self, name: &str) -> Option<Repository> {
        let repository = self.repositories.remove(name)?;
        let blobs = self.blobs.get(name).cloned().unwrap_or_default();
        for digest in blobs {
            self.remove_blob(name, &digest);
        }
        self.blobs.remove(name);
        Some(repository)
    }

    /// Stores a manifest and moves a tag to it.
    pub(crate) fn put_manifest(
        &mut self,
        name: &str,
        digest: &Digest,
        tag: Option<&str>,
        manifest: ManifestRecord,
    ) {
        let now = manifest.created;
        let repository =
            self.repositories.entry(name.to_owned()).or_insert_with(|| Repository::new(now));
        repository.updated = now;
        repository
            .manifests
            .entry(digest.to_string())
            .and_modify(|known| {
                known.updated = now;
                known.media_type.clone_from(&manifest.media_type);
            })
            .or_insert(manifest);
        if let Some(tag) = tag {
            let record = repository.tags.entry(tag.to_owned()).or_insert_with(|| TagRecord {
                digest: String::new(),
                created: now,
                updated: now,
                attributes: Attributes::default(),
            });
            record.digest = digest.to_string();
            record.updated = now;
        }
    }

    /// Removes a manifest with its tags; the last one takes the repository along.
    pub(crate) fn remove_manifest(&mut self, name: &str, digest: &str, now: Stamp) -> bool {
        let Some(repository) = self.repositories.get_mut(name) else {
            return false;
        };
        let removed = repository.manifests.remove(digest).is_some();
        if removed {
            repository.tags.retain(|_, tag| tag.digest != digest);
            repository.updated = now;
            if repository.manifests.is_empty() {
                self.repositories.remove(name);
            }
        }
        removed
    }
}

impl Repository {
    fn new(now: Stamp) -> Self {
        Self {
            created: now,
            updated: now,
            attributes: Attributes::default(),
            tags: BTreeMap::new(),
            manifests: BTreeMap::new(),
        }
    }

    /// The tags of a manifest.
    pub(crate) fn tags_of<'a>(
        &'a self,
        digest: &'a str,
    ) -> impl Iterator<Item = (&'a String, &'a TagRecord)> {
        self.tags.iter().filter(move |(_, tag)| tag.digest == digest)
    }

    /// The digest that a tag or a digest stands for.
    pub(crate) fn resolve<'a>(&'a self, reference: &'a str) -> Option<&'a str> {
        if crate::route::is_digest(reference) {
            return self.manifests.contains_key(reference).then_some(reference);
        }
        self.tags.get(reference).map(|tag| tag.digest.as_str())
    }
}
