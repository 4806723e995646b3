//! What the registry holds: repositories, tags, manifests and which blobs belong where.

mod blobs;
mod deleted;
#[cfg(feature = "persist")]
mod kept;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Deref,
    sync::Arc,
};

use acr_core::Digest;
use http::StatusCode;

pub(crate) use self::deleted::{RestoreError, TagConflict};
pub(crate) use crate::repository::{ManifestRecord, Repository, TagRecord};
use crate::{
    answer::Refusal,
    attributes::Attributes,
    clock::{Clock, Stamp},
    content::Content,
    deleted::Deleted,
    ledger::{Change, Ledger, Table},
    locks, records,
    reference::is_digest,
    repository::Timeline,
};

/// Everything stored; digests are kept as text because requests name any text.
///
/// What changes it asks the locks itself, under the same guard as the change: a lock that was
/// acknowledged holds, however long ago a request was admitted.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Read by all; changed only here, so that every change reaches the ledger.
    pub(crate) repositories: Repositories,
    /// Which blobs a repository may serve. Outlives the repository's manifests.
    blobs: HashMap<String, BTreeSet<String>>,
    contents: HashMap<String, Shared>,
    pub(crate) deleted: Deleted,
    latest: Stamp,
    ledger: Option<Arc<Ledger>>,
}

/// The repositories by name, and in the order of their times.
#[derive(Debug, Default)]
pub(crate) struct Repositories {
    by_name: BTreeMap<String, Repository>,
    pub(crate) by_time: Timeline,
}

/// A content and in how many repositories it is.
#[derive(Debug)]
struct Shared {
    content: Content,
    repositories: usize,
}

impl State {
    /// The time now, later than any before, so that orders by time are total.
    pub(crate) fn stamp(&mut self, clock: &Clock) -> Stamp {
        self.latest = clock.stamp().max(self.latest.next());
        self.latest
    }

    /// Removes a repository with everything in it; under soft delete its blobs stay for a while.
    pub(crate) fn remove_repository(
        &mut self,
        name: &str,
        now: Stamp,
    ) -> Result<Option<Repository>, Refusal> {
        self.repositories.get(name).map_or(Ok(()), locks::delete_repository)?;
        let Some(repository) = self.repositories.take(name) else { return Ok(None) };
        let mut changes = vec![Change::remove(Table::Repositories, name, "")];
        changes.extend(repository.tags.keys().map(|tag| Change::remove(Table::Tags, name, tag)));
        for digest in repository.manifests.keys() {
            changes.extend(records::remove_manifest(name, digest, !self.deleted.is_on()));
        }
        changes.extend(self.deleted.keep_repository(name, &repository, now));
        self.stage(changes);
        if !self.deleted.is_on() {
            self.drop_blobs(name);
        }
        Ok(Some(repository))
    }

    /// Stores a manifest by what it was pushed as and moves the other tags to it too.
    pub(crate) fn put_manifest(
        &mut self,
        name: &str,
        digest: &Digest,
        push: &Push<'_>,
        manifest: ManifestRecord,
    ) -> Result<(), Refusal> {
        let (now, digest) = (manifest.created, digest.as_str());
        if let Some(repository) = self.repositories.get(name) {
            locks::push(repository, push.reference)?;
            push.tags.iter().try_for_each(|tag| locks::push(repository, tag))?;
        }
        if self.deleted.get(name).is_some_and(|known| known.manifests.contains_key(digest)) {
            return Err(soft_deleted(digest));
        }
        let own = Some(push.reference).filter(|reference| !is_digest(reference));
        // A push to a soft-deleted repository restores it, without what was in it.
        let created = self.deleted.get(name).map_or(now, |remains| remains.created);
        let mut changes = Vec::new();
        self.repositories.change(name, created, |repository| {
            repository.updated = now;
            let manifest = match repository.take_manifest(digest) {
                Some(known) => {
                    ManifestRecord { updated: now, media_type: manifest.media_type, ..known }
                }
                None => manifest,
            };
            changes.extend(records::put_manifest(name, digest, &manifest));
            repository.set_manifest(digest, manifest);
            for tag in push.tags.iter().map(String::as_str).chain(own) {
                let record = match repository.tags.get(tag) {
                    Some(known) => known.clone(),
                    None => TagRecord {
                        digest: String::new(),
                        created: now,
                        updated: now,
                        attributes: Attributes::default(),
                    },
                };
                let record = TagRecord { digest: digest.to_owned(), updated: now, ..record };
                changes.push(Change::put(Table::Tags, name, tag, &record));
                repository.set_tag(tag, record);
            }
            changes.push(records::put_repository(name, repository));
        });
        self.stage(changes);
        Ok(())
    }

    /// Removes a manifest with its tags; the last one takes the repository along.
    pub(crate) fn remove_manifest(
        &mut self,
        name: &str,
        digest: &str,
        now: Stamp,
    ) -> Result<bool, Refusal> {
        if let Some(repository) = self.repositories.get(name) {
            locks::delete_manifest(repository, digest)?;
        }
        let mut changes = Vec::new();
        let mut taken = None;
        self.repositories.change_known(name, |repository| {
            let Some(manifest) = repository.take_manifest(digest) else { return };
            let names: Vec<_> = repository.tags_of(digest).map(|(tag, _)| tag.clone()).collect();
            let tags: Vec<_> = names
                .into_iter()
                .filter_map(|tag| repository.remove_tag(&tag).map(|record| (tag, record)))
                .collect();
            changes.extend(tags.iter().map(|(tag, _)| Change::remove(Table::Tags, name, tag)));
            repository.updated = now;
            changes.push(match repository.manifests.is_empty() {
                true => Change::remove(Table::Repositories, name, ""),
                false => records::put_repository(name, repository),
            });
            taken = Some((manifest, tags, repository.created, repository.manifests.is_empty()));
        });
        let Some((manifest, tags, created, was_last)) = taken else { return Ok(false) };
        changes.extend(records::remove_manifest(name, digest, !self.deleted.is_on()));
        changes.extend(self.deleted.keep_manifest(name, digest, manifest, created, now));
        for (tag, record) in tags {
            changes.extend(self.deleted.keep_tag(name, &tag, record, created, now));
        }
        if was_last {
            self.repositories.take(name);
        }
        self.stage(changes);
        Ok(true)
    }

    /// Removes a tag; the manifest stays.
    pub(crate) fn remove_tag(
        &mut self,
        name: &str,
        tag: &str,
        now: Stamp,
    ) -> Result<Option<TagRecord>, Refusal> {
        if let Some(repository) = self.repositories.get(name) {
            locks::delete_tag(repository, tag)?;
        }
        let mut changes = Vec::new();
        let mut taken = None;
        self.repositories.change_known(name, |repository| {
            let Some(record) = repository.remove_tag(tag) else { return };
            repository.updated = now;
            changes.push(Change::remove(Table::Tags, name, tag));
            changes.push(records::put_repository(name, repository));
            taken = Some((record, repository.created));
        });
        let Some((record, created)) = taken else { return Ok(None) };
        changes.extend(self.deleted.keep_tag(name, tag, record.clone(), created, now));
        self.stage(changes);
        Ok(Some(record))
    }

    /// Takes over a PATCH of a repository; `None` if there is none.
    pub(crate) fn update_repository(&mut self, name: &str, body: &[u8]) -> Updated<'_> {
        self.update(name, |repository| {
            repository.attributes.merge(body)?;
            Ok(Some(records::put_repository(name, repository)))
        })
    }

    /// Takes over a PATCH of a tag; `None` if there is none.
    pub(crate) fn update_tag(&mut self, name: &str, tag: &str, body: &[u8]) -> Updated<'_> {
        self.update(name, |repository| {
            let Some(record) = repository.tags.get_mut(tag) else { return Ok(None) };
            record.attributes.merge(body)?;
            Ok(Some(Change::put(Table::Tags, name, tag, record)))
        })
    }

    /// Takes over a PATCH of a manifest; `None` if there is none.
    pub(crate) fn update_manifest(&mut self, name: &str, digest: &str, body: &[u8]) -> Updated<'_> {
        self.update(name, |repository| {
            let Some(record) = repository.manifests.get_mut(digest) else { return Ok(None) };
            record.attributes.merge(body)?;
            Ok(Some(records::put_manifest_properties(name, digest, record)))
        })
    }

    /// Notes changes for the disk.
    pub(crate) fn stage(&self, changes: impl IntoIterator<Item = Change>) {
        if let Some(ledger) = &self.ledger {
            ledger.stage(changes);
        }
    }

    fn update(
        &mut self,
        name: &str,
        change: impl FnOnce(&mut Repository) -> Result<Option<Change>, Refusal>,
    ) -> Updated<'_> {
        let mut outcome = Ok(None);
        self.repositories.change_known(name, |repository| outcome = change(repository));
        let Some(change) = outcome? else { return Ok(None) };
        self.stage([change]);
        Ok(self.repositories.get(name))
    }
}

/// What a manifest was pushed as.
#[derive(Clone, Debug)]
pub(crate) struct Push<'a> {
    /// Its digest, or a tag that moves to it.
    pub(crate) reference: &'a str,
    /// Further tags that move to it.
    pub(crate) tags: Vec<String>,
}

impl<'a> Push<'a> {
    /// As one tag or digest.
    pub(crate) fn to(reference: &'a str) -> Self {
        Self { reference, tags: Vec::new() }
    }
}

/// The service refuses to push what is soft-deleted; it is there to be restored.
fn soft_deleted(digest: &str) -> Refusal {
    let message = format!("the manifest {digest} is soft-deleted; restore it");
    Refusal::new(StatusCode::CONFLICT, "MANIFEST_SOFT_DELETED", message)
}

/// The repository after a change of attributes; `None` if the item does not exist.
pub(crate) type Updated<'a> = Result<Option<&'a Repository>, Refusal>;

impl Repositories {
    /// Changes a repository that may begin with this.
    pub(crate) fn change(&mut self, name: &str, now: Stamp, change: impl FnOnce(&mut Repository)) {
        self.by_name.entry(name.to_owned()).or_insert_with(|| Repository::new(now));
        self.change_known(name, change);
    }

    /// Changes a repository that exists; does nothing otherwise.
    fn change_known(&mut self, name: &str, change: impl FnOnce(&mut Repository)) {
        if let Some(repository) = self.by_name.get_mut(name) {
            self.by_time.remove(repository.updated, name);
            change(repository);
            self.by_time.add(repository.updated, name);
        }
    }

    fn take(&mut self, name: &str) -> Option<Repository> {
        let repository = self.by_name.remove(name)?;
        self.by_time.remove(repository.updated, name);
        Some(repository)
    }
}

impl Deref for Repositories {
    type Target = BTreeMap<String, Repository>;

    fn deref(&self) -> &Self::Target {
        &self.by_name
    }
}
