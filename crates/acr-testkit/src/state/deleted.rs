//! What was soft-deleted comes back, or is gone for good.

use super::State;
use crate::{
    clock::Stamp,
    ledger::{Change, Table},
    locks, records,
};

impl State {
    /// Brings a soft-deleted manifest back, with a tag if asked; a tag can also come back alone.
    pub(crate) fn restore_manifest(
        &mut self,
        name: &str,
        digest: &str,
        tag: Option<&str>,
        conflict: TagConflict,
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
            if conflict == TagConflict::Fail && own.is_some_and(|own| own.digest != digest) {
                return Err(RestoreError::TagExists);
            }
            live.map_or(Ok(()), |live| locks::push(live, tag)).map_err(|_| RestoreError::Locked)?;
        } else if is_live {
            return Err(RestoreError::NoManifest);
        } else {
            live.map_or(Ok(()), locks::write).map_err(|_| RestoreError::Locked)?;
        }
        // A referrer comes back after its subject, not before.
        let manifest = remains.manifests.get(digest).map(|deleted| &deleted.record.parsed);
        let subject = manifest.and_then(|parsed| parsed.subject.as_ref());
        if subject.is_some_and(|subject| remains.manifests.contains_key(&subject.digest)) {
            return Err(RestoreError::NoSubject);
        }
        let mut changes = Vec::new();
        let mut overwritten = None;
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
                let own = repository.tags.get(tag).filter(|own| own.digest != digest);
                overwritten = own.map(|own| (tag, own.clone(), repository.created));
                repository.set_tag(tag, record);
            }
            changes.push(records::put_repository(name, repository));
        });
        // By force: the tag can be brought back to where it pointed, too.
        if let Some((tag, own, created)) = overwritten {
            changes.extend(self.deleted.keep_tag(name, tag, own, created, now));
        }
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
            self.drop_blobs(&name);
        }
    }
}

/// What becomes of a tag that is to come back and points elsewhere by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TagConflict {
    /// Nothing is restored.
    Fail,
    /// The tag is soft-deleted as it stands, and then restored.
    Overwrite,
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
    /// What it refers to is still deleted.
    NoSubject,
    /// The repository or the tag takes no change.
    Locked,
}
