//! What an earlier process deleted.

use std::io;

use super::{Deleted, DeletedManifest, DeletedTag, ManifestOnDisk};
use crate::{
    ledger::{Ledger, Table},
    records::Documents,
};

impl Deleted {
    /// Reads what an earlier process recorded.
    pub(crate) fn load(&mut self, ledger: &Ledger, documents: &mut Documents) -> io::Result<()> {
        for (name, digest, on_disk) in ledger.read(Table::DeletedManifests)? {
            let ManifestOnDisk { properties, deleted, repository_created } = on_disk;
            let record = documents.join(&name, &digest, properties)?;
            let manifest = DeletedManifest { record, deleted };
            self.remains(&name, repository_created).manifests.insert(digest, manifest);
        }
        for (name, key, tag) in ledger.read::<DeletedTag>(Table::DeletedTags)? {
            let key =
                (key.split('@').next().unwrap_or_default().to_owned(), tag.record.digest.clone());
            self.remains(&name, tag.repository_created).tags.insert(key, tag);
        }
        Ok(())
    }
}
