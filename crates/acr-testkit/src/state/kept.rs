//! What an earlier process left is there again.

use std::{collections::BTreeSet, io, sync::Arc};

use super::{Shared, State};
use crate::{
    budget::Budget,
    clock::Stamp,
    content::{Content, Store},
    ledger::{Ledger, Table},
    records::{ContentRecord, Documents, RepositoryRecord, damaged},
    repository::{Repository, TagRecord},
};

impl State {
    /// With what an earlier process left, and recording what comes.
    pub(crate) fn restore(
        ledger: &Arc<Ledger>,
        store: &Store,
        manifests: &Arc<Budget>,
    ) -> io::Result<Self> {
        let mut state = Self::default();
        load(&mut state, ledger, store, manifests)?;
        state.ledger = Some(Arc::clone(ledger));
        Ok(state)
    }

    /// The names of all content files.
    pub(crate) fn file_names(&self) -> BTreeSet<String> {
        let files = self.contents.values().filter_map(|shared| shared.content.file());
        files.map(|file| file.name().to_owned()).collect()
    }

    /// Puts a blob where an earlier process had it.
    fn restore_blob(&mut self, repository: &str, digest: &str) -> bool {
        let Some(shared) = self.contents.get_mut(digest) else { return false };
        if self.blobs.entry(repository.to_owned()).or_default().insert(digest.to_owned()) {
            shared.repositories += 1;
        }
        true
    }

    /// Puts a content where an earlier process had it.
    fn restore_content(&mut self, digest: &str, content: Content) {
        self.contents.insert(digest.to_owned(), Shared { content, repositories: 0 });
    }

    /// Times from here on are later than this.
    fn note_time(&mut self, time: Stamp) {
        self.latest = self.latest.max(time);
    }
}

/// Reads everything that an earlier process recorded.
fn load(
    state: &mut State,
    ledger: &Ledger,
    store: &Store,
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

fn known(state: &mut State, name: &str, change: impl FnOnce(&mut Repository)) -> io::Result<()> {
    if !state.repositories.contains_key(name) {
        return Err(damaged(&format!("the repository `{name}` has content and no record")));
    }
    state.repositories.change(name, Stamp::default(), change);
    Ok(())
}
