//! Soft delete: what was deleted and can be restored for a while.

#[cfg(feature = "persist")]
mod kept;

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::{
    clock::Stamp,
    ledger::{Change, Table},
    records::ManifestProperties,
    repository::{ManifestRecord, Repository, TagRecord},
};

/// What was deleted, by repository. Empty unless the policy is on.
#[derive(Debug, Default)]
pub(crate) struct Deleted {
    retention: Option<SignedDuration>,
    repositories: BTreeMap<String, Remains>,
}

/// What is left of a repository, or of what was deleted from it.
#[derive(Debug)]
pub(crate) struct Remains {
    /// When the repository was made.
    pub(crate) created: Stamp,
    pub(crate) manifests: BTreeMap<String, DeletedManifest>,
    /// By tag and digest: a tag can have been deleted more than once.
    pub(crate) tags: BTreeMap<(String, String), DeletedTag>,
}

#[derive(Debug)]
pub(crate) struct DeletedManifest {
    pub(crate) record: ManifestRecord,
    pub(crate) deleted: Stamp,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct DeletedTag {
    pub(crate) record: TagRecord,
    pub(crate) deleted: Stamp,
    repository_created: Stamp,
}

#[derive(Serialize, Deserialize)]
struct ManifestOnDisk {
    properties: ManifestProperties,
    deleted: Stamp,
    repository_created: Stamp,
}

impl Deleted {
    /// Sets the policy: how long what is deleted can be restored.
    pub(crate) fn set_retention(&mut self, retention: Option<SignedDuration>) {
        self.retention = retention;
    }

    pub(crate) fn is_on(&self) -> bool {
        self.retention.is_some()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Remains> {
        self.repositories.get(name)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, &Remains)> {
        self.repositories.iter()
    }

    /// Keeps a repository that was deleted as a whole.
    pub(crate) fn keep_repository(
        &mut self,
        name: &str,
        repository: &Repository,
        now: Stamp,
    ) -> Vec<Change> {
        let created = repository.created;
        let mut changes = Vec::new();
        for (digest, manifest) in &repository.manifests {
            changes.extend(self.keep_manifest(name, digest, manifest.clone(), created, now));
        }
        for (tag, record) in &repository.tags {
            changes.extend(self.keep_tag(name, tag, record.clone(), created, now));
        }
        changes
    }

    /// Keeps a manifest that was deleted.
    pub(crate) fn keep_manifest(
        &mut self,
        name: &str,
        digest: &str,
        record: ManifestRecord,
        created: Stamp,
        now: Stamp,
    ) -> Option<Change> {
        self.retention?;
        let on_disk = ManifestOnDisk {
            properties: ManifestProperties::of(&record),
            deleted: now,
            repository_created: created,
        };
        let deleted = DeletedManifest { record, deleted: now };
        self.remains(name, created).manifests.insert(digest.to_owned(), deleted);
        Some(Change::put(Table::DeletedManifests, name, digest, &on_disk))
    }

    /// Keeps a tag that was deleted.
    pub(crate) fn keep_tag(
        &mut self,
        name: &str,
        tag: &str,
        record: TagRecord,
        created: Stamp,
        now: Stamp,
    ) -> Option<Change> {
        self.retention?;
        let key = (tag.to_owned(), record.digest.clone());
        let deleted = DeletedTag { record, deleted: now, repository_created: created };
        let change = Change::put(Table::DeletedTags, name, &disk_key(&key), &deleted);
        self.remains(name, created).tags.insert(key, deleted);
        Some(change)
    }

    /// Takes a manifest out, to restore it.
    pub(crate) fn take_manifest(
        &mut self,
        name: &str,
        digest: &str,
    ) -> Option<(ManifestRecord, Stamp, Change)> {
        let remains = self.repositories.get_mut(name)?;
        let (manifest, created) = (remains.manifests.remove(digest)?, remains.created);
        self.tidy(name);
        let change = Change::remove(Table::DeletedManifests, name, digest);
        Some((manifest.record, created, change))
    }

    /// Takes a tag out, to restore it.
    pub(crate) fn take_tag(
        &mut self,
        name: &str,
        tag: &str,
        digest: &str,
    ) -> Option<(TagRecord, Change)> {
        let key = (tag.to_owned(), digest.to_owned());
        let tag = self.repositories.get_mut(name)?.tags.remove(&key)?;
        self.tidy(name);
        Some((tag.record, Change::remove(Table::DeletedTags, name, &disk_key(&key))))
    }

    /// Forgets what was deleted too long ago; gives the repositories of which nothing is left.
    pub(crate) fn purge(&mut self, now: Stamp) -> (Vec<Change>, BTreeSet<String>) {
        let (mut changes, mut gone) = (Vec::new(), BTreeSet::new());
        let Some(retention) = self.retention else { return (changes, gone) };
        let end = now.before(retention);
        for (name, remains) in &mut self.repositories {
            remains.manifests.retain(|digest, manifest| {
                let stays = manifest.deleted > end;
                if !stays {
                    changes.push(Change::remove(Table::DeletedManifests, name, digest));
                    changes.push(Change::remove(Table::Documents, name, digest));
                }
                stays
            });
            remains.tags.retain(|key, tag| {
                let stays = tag.deleted > end;
                if !stays {
                    changes.push(Change::remove(Table::DeletedTags, name, &disk_key(key)));
                }
                stays
            });
            if remains.is_empty() {
                gone.insert(name.clone());
            }
        }
        self.repositories.retain(|_, remains| !remains.is_empty());
        (changes, gone)
    }

    fn remains(&mut self, name: &str, created: Stamp) -> &mut Remains {
        self.repositories.entry(name.to_owned()).or_insert_with(|| Remains {
            created,
            manifests: BTreeMap::new(),
            tags: BTreeMap::new(),
        })
    }

    fn tidy(&mut self, name: &str) {
        if self.repositories.get(name).is_some_and(Remains::is_empty) {
            self.repositories.remove(name);
        }
    }
}

impl Remains {
    /// When the last part of it was deleted.
    pub(crate) fn deleted(&self) -> Stamp {
        let manifests = self.manifests.values().map(|manifest| manifest.deleted);
        manifests.chain(self.tags.values().map(|tag| tag.deleted)).max().unwrap_or_default()
    }

    fn is_empty(&self) -> bool {
        self.manifests.is_empty() && self.tags.is_empty()
    }
}

/// A tag holds no `@`.
fn disk_key((tag, digest): &(String, String)) -> String {
    format!("{tag}@{digest}")
}
