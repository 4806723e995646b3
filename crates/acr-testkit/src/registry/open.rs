//! A registry that is kept in a folder.

use std::{io, path::Path, sync::Arc};

use super::FakeRegistry;
use crate::{
    budget::Budget,
    builder::FakeRegistryBuilder,
    content::Store,
    ledger::{Change, Ledger, Table},
    records::damaged,
    seal::Key,
    shared::{Kept, Shared},
    state::State,
    upload::Uploads,
};

impl FakeRegistryBuilder {
    /// The registry, kept in a folder: what an earlier one left there is there again, and a
    /// write is on disk before it is answered. Repositories, tags, manifests, locks, blobs,
    /// upload sessions, what was soft-deleted and the key of all signatures are kept; settings,
    /// faults and the journal are not. The folder is made where it does not exist.
    ///
    /// Reads all records, so it blocks for as long as that takes.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::ResourceBusy`] when another registry uses the folder,
    /// [`io::ErrorKind::InvalidData`] when it is damaged or of another version, and any error
    /// of the disk.
    pub fn open(self, folder: impl AsRef<Path>) -> io::Result<FakeRegistry> {
        let ledger = Arc::new(Ledger::open(folder.as_ref())?);
        let mut random = self.random();
        let key = key(&ledger, &mut random)?;
        let store = Arc::new(Store::lasting(Arc::clone(&ledger)));
        let manifests = Budget::new(self.manifest_memory);
        let state = State::restore(&ledger, &store, &manifests)?;
        let uploads = Uploads::restore(&store, &ledger)?;
        let files = state.file_names();
        ledger.sweep(|name| files.contains(name) || uploads.contains(name))?;
        let kept = Kept { state, uploads, store, manifests, ledger: Some(ledger) };
        Ok(FakeRegistry(Arc::new(Shared::new(self, random, key, kept))))
    }
}

/// The key of all signatures, made once.
fn key(ledger: &Ledger, random: &mut fastrand::Rng) -> io::Result<Key> {
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

/// Under which name the key stands among the settings.
const KEY: &str = "key";
