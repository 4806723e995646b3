//! What the registry holds: repositories, tags, manifests and which blobs belong where.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, hash_map::Entry},
    io,
    ops::Deref,
    sync::Arc,
};

use acr_core::Digest;

pub(crate) use crate::repository::{ManifestRecord, Repository, TagRecord};
use crate::{
    answer::Refusal,
    attributes::Attributes,
    clock::{Clock, Stamp},
    content::{Content, Store},
    deleted::Deleted,
    ledger::{Change, Ledger, Table},
    records,
    repository::Timeline,
};

/// Everything stored; digests are kept as text because requests name any text.
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
    /// With what an earlier process left, and recording what comes.
    pub(crate) fn restore(ledger: &Arc<Ledger>, store: &Arc<Store>) -> io::Result<Self> {
        let mut state = Self::default();
        records::load(&mut state, ledger, store)?;
        state.ledger = Some(Arc::clone(ledger));
        Ok(state)
    }

    /// The time now, later than any before, so that orders by time are total.
    pub(crate) fn stamp(&mut self, clock: &Clock) -> Stamp {
        self.latest = clock.stamp().max(self.latest.next());
        self.latest
    }

    /// Times from here on are later than this.
    pub(crate) fn note_time(&mut self, time: Stamp) {
        self.latest = self.latest.max(time);
    }

    /// The content of a blob that belongs to a repository.
    pub(crate) fn blob(&self, repository: &str, digest: &str) -> Option<&Content> {
        let known = self.blobs.get(repository).is_some_and(|blobs| blobs.contains(digest));
        known.then(|| self.content(digest)).flatten()
    }

    /// Content by digest, whatever repository it belongs to: the storage knows no repositories.
    pub(crate) fn content(&self, digest: &str) -> Option<&Content> {
        self.contents.get(digest).map(|shared| &shared.content)
    }

    /// The names of all content files.
    pub(crate) fn file_names(&self) -> BTreeSet<String> {
        let files = self.contents.values().filter_map(|shared| shared.content.file());
        files.map(|file| file.name().to_owned()).collect()
    }

    /// Adds a blob; content that is there already stays. The upload it came from is over.
    pub(crate) fn add_blob(&mut self, repository: &str, digest: &Digest, content: Content) {
        let digest = digest.as_str();
        let mut changes = vec![Change::put(Table::Blobs, repository, digest, &())];
        let file = content.file().cloned();
        changes.extend(file.iter().map(|f| Change::remove(Table::Uploads, f.name(), "")));
        let mut superfluous = None;
        let shared = match self.contents.entry(digest.to_owned()) {
            Entry::Vacant(entry) => {
                if let (Some(file), true) = (&file, self.ledger.is_some()) {
                    file.record();
                }
                let record = records::ContentRecord::of(&content);
                changes.push(Change::put(Table::Contents, digest, "", &record));
                entry.insert(Shared { content, repositories: 0 })
            }
            Entry::Occupied(entry) => {
                let shared = entry.into_mut();
                // A mount brings the very content that is there.
                superfluous = file
                    .filter(|new| shared.content.file().is_some_and(|own| !Arc::ptr_eq(own, new)));
                shared
            }
        };
        if self.blobs.entry(repository.to_owned()).or_default().insert(digest.to_owned()) {
            shared.repositories += 1;
        }
        if let Some(ledger) = &self.ledger {
            ledger.stage_and_retire(changes, superfluous);
        }
    }

    /// Puts a blob where an earlier process had it.
    pub(crate) fn restore_blob(&mut self, repository: &str, digest: &str) -> bool {
        let Some(shared) = self.contents.get_mut(digest) else { return false };
        if self.blobs.entry(repository.to_owned()).or_default().insert(digest.to_owned()) {
            shared.repositories += 1;
        }
        true
    }

    /// Puts a content where an earlier process had it.
    pub(crate) fn restore_content(&mut self, digest: &str, content: Content) {
        self.contents.insert(digest.to_owned(), Shared { content, repositories: 0 });
    }

    /// Removes a blob from a repository; the content goes with the last one.
    pub(crate) fn remove_blob(&mut self, repository: &str, digest: &str) -> bool {
        let removed = self.blobs.get_mut(repository).is_some_and(|blobs| blobs.remove(digest));
        let Some(shared) = self.contents.get_mut(digest).filter(|_| removed) else {
            return removed;
        };
        let mut changes = vec![Change::remove(Table::Blobs, repository, digest)];
        let mut file = None;
        shared.repositories = shared.repositories.saturating_sub(1);
        if shared.repositories == 0 {
            changes.push(Change::remove(Table::Contents, digest, ""));
            file = self.contents.remove(digest).and_then(|s| s.content.file().cloned());
        }
        if let Some(ledger) = &self.ledger {
            ledger.stage_and_retire(changes, file);
        }
        true
    }

    /// Removes all blobs of a repository.
    pub(crate) fn remove_blobs(&mut self, repository: &str) {
        for digest in self.blobs.get(repository).cloned().unwrap_or_default() {
            self.remove_blob(repository, &digest);
        }
        self.blobs.remove(repository);
    }

    /// Removes a repository with everything in it; under soft delete its blobs stay for a while.
    pub(crate) fn remove_repository(&mut self, name: &str, now: Stamp) -> Option<Repository> {
        let repository = self.repositories.take(name)?;
        let mut changes = vec![Change::remove(Table::Repositories, name, "")];
        changes.extend(repository.tags.keys().map(|tag| Change::remove(Table::Tags, name, tag)));
        for digest in repository.manifests.keys() {
            changes.extend(records::remove_manifest(name, digest, !self.deleted.is_on()));
        }
        changes.extend(self.deleted.keep_repository(name, &repository, now));
        self.stage(changes);
        if !self.deleted.is_on() {
            self.remove_blobs(name);
        }
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
        let (now, digest) = (manifest.created, digest.as_str());
        let mut changes = Vec::new();
        self.repositories.change(name, now, |repository| {
            repository.updated = now;
            let manifest = match repository.take_manifest(digest) {
                Some(known) => {
                    ManifestRecord { updated: now, media_type: manifest.media_type, ..known }
                }
                None => manifest,
            };
            changes.extend(records::put_manifest(name, digest, &manifest));
            repository.set_manifest(digest, manifest);
            if let Some(tag) = tag {
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
        changes.extend(self.deleted.forget_manifest(name, digest));
        self.stage(changes);
    }

    /// Removes a manifest with its tags; the last one takes the repository along.
    pub(crate) fn remove_manifest(&mut self, name: &str, digest: &str, now: Stamp) -> bool {
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
        let Some((manifest, tags, created, was_last)) = taken else { return false };
        changes.extend(records::remove_manifest(name, digest, !self.deleted.is_on()));
        changes.extend(self.deleted.keep_manifest(name, digest, manifest, created, now));
        for (tag, record) in tags {
            changes.extend(self.deleted.keep_tag(name, &tag, record, created, now));
        }
        if was_last {
            self.repositories.take(name);
        }
        self.stage(changes);
        true
    }

    /// Removes a tag; the manifest stays.
    pub(crate) fn remove_tag(&mut self, name: &str, tag: &str, now: Stamp) -> Option<TagRecord> {
        let mut changes = Vec::new();
        let mut taken = None;
        self.repositories.change_known(name, |repository| {
            let Some(record) = repository.remove_tag(tag) else { return };
            repository.updated = now;
            changes.push(Change::remove(Table::Tags, name, tag));
            changes.push(records::put_repository(name, repository));
            taken = Some((record, repository.created));
        });
        let (record, created) = taken?;
        changes.extend(self.deleted.keep_tag(name, tag, record.clone(), created, now));
        self.stage(changes);
        Some(record)
    }

    /// Brings a soft-deleted manifest back, with a tag if asked; a tag can also come back alone.
    pub(crate) fn restore_manifest(
        &mut self,
        name: &str,
        digest: &str,
        tag: Option<&str>,
        force: bool,
        now: Stamp,
    ) -> Result<(), RestoreError> {
        let live = self.repositories.get(name);
        let is_live = live.is_some_and(|known| known.manifests.contains_key(digest));
        let remains = self.deleted.get(name).ok_or(RestoreError::NoManifest)?;
        if !is_live && !remains.manifests.contains_key(digest) {
            return Err(RestoreError::NoManifest);
        }
        if let Some(tag) = tag {
            if !remains.tags.contains_key(&(tag.to_owned(), digest.to_owned())) {
                return Err(RestoreError::NoTag);
            }
            let own = live.and_then(|known| known.tags.get(tag));
            if !force && own.is_some_and(|own| own.digest != digest) {
                return Err(RestoreError::TagExists);
            }
        } else if is_live {
            return Err(RestoreError::NoManifest);
        }
        let mut changes = Vec::new();
        let taken = self.deleted.take_manifest(name, digest);
        let record = tag.and_then(|tag| self.deleted.take_tag(name, tag, digest));
        let created = taken.as_ref().map_or(now, |(_, created, _)| *created);
        self.repositories.change(name, created, |repository| {
            repository.updated = now;
            if let Some((manifest, _, change)) = taken {
                changes.extend(records::put_manifest(name, digest, &manifest));
                changes.push(change);
                repository.set_manifest(digest, manifest);
            }
            if let (Some(tag), Some((record, change))) = (tag, record) {
                changes.push(Change::put(Table::Tags, name, tag, &record));
                changes.push(change);
                repository.set_tag(tag, record);
            }
            changes.push(records::put_repository(name, repository));
        });
        self.stage(changes);
        Ok(())
    }

    /// Forgets what was soft-deleted too long ago.
    pub(crate) fn purge(&mut self, now: Stamp) {
        let (changes, gone) = self.deleted.purge(now);
        self.stage(changes);
        for name in gone
            .iter()
            .filter(|name| !self.repositories.contains_key(*name))
            .cloned()
            .collect::<Vec<_>>()
        {
            self.remove_blobs(&name);
        }
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

/// Why something cannot be restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RestoreError {
    /// It is neither deleted nor there.
    NoManifest,
    /// The tag was not deleted together with this digest.
    NoTag,
    /// The tag points elsewhere by now.
    TagExists,
}
