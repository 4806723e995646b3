//! Which blobs are in which repositories, and the content behind them.

use std::{collections::hash_map::Entry, sync::Arc};

use acr_core::Digest;

use super::{Shared, State};
use crate::{
    answer::Refusal,
    content::Content,
    ledger::{Change, Table},
    locks, records,
};

impl State {
    /// The content of a blob that belongs to a repository.
    pub(crate) fn blob(&self, repository: &str, digest: &str) -> Option<&Content> {
        let known = self.blobs.get(repository).is_some_and(|blobs| blobs.contains(digest));
        known.then(|| self.content(digest)).flatten()
    }

    /// Content by digest, whatever repository it belongs to: the storage knows no repositories.
    pub(crate) fn content(&self, digest: &str) -> Option<&Content> {
        self.contents.get(digest).map(|shared| &shared.content)
    }

    /// Adds a blob; content that is there already stays. The upload it came from is over.
    pub(crate) fn add_blob(
        &mut self,
        repository: &str,
        digest: &Digest,
        content: Content,
    ) -> Result<(), Refusal> {
        self.repositories.get(repository).map_or(Ok(()), locks::write)?;
        self.insert_blob(repository, digest, content);
        Ok(())
    }

    /// Adds a blob that another repository has, if it may be read there. Without a source every
    /// repository is looked at that the caller may read.
    ///
    /// Under one guard: content that was found and then deleted must not come back half-way.
    pub(crate) fn mount_blob(
        &mut self,
        repository: &str,
        digest: &Digest,
        source: Option<&str>,
        may_read: impl Fn(&str) -> bool,
    ) -> Result<bool, Refusal> {
        let is_readable = |name: &str| {
            let known = self.repositories.get(name);
            may_read(name) && known.is_none_or(|known| locks::read(known).is_ok())
        };
        let is_found = match source {
            Some(source) => self.blob(source, digest.as_str()).is_some() && is_readable(source),
            None => {
                let mut holders =
                    self.blobs.iter().filter(|(_, blobs)| blobs.contains(digest.as_str()));
                holders.any(|(name, _)| is_readable(name))
            }
        };
        let content = self.content(digest.as_str()).filter(|_| is_found).cloned();
        let Some(content) = content else { return Ok(false) };
        self.add_blob(repository, digest, content)?;
        Ok(true)
    }

    fn insert_blob(&mut self, repository: &str, digest: &Digest, content: Content) {
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

    /// Removes a blob from a repository; the content goes with the last one.
    pub(crate) fn remove_blob(&mut self, repository: &str, digest: &str) -> Result<bool, Refusal> {
        self.repositories.get(repository).map_or(Ok(()), locks::delete)?;
        Ok(self.drop_blob(repository, digest))
    }

    fn drop_blob(&mut self, repository: &str, digest: &str) -> bool {
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
    pub(super) fn drop_blobs(&mut self, repository: &str) {
        for digest in self.blobs.get(repository).cloned().unwrap_or_default() {
            self.drop_blob(repository, &digest);
        }
        self.blobs.remove(repository);
    }
}
