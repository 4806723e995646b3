//! Content that an earlier process left.

use std::{
    fs::{self, File},
    io,
    path::Path,
    sync::Arc,
};

use acr_core::Digester;
use bytes::Bytes;

use super::{Content, OpenFile, Small, Spool, Store, stored::Stored};
use crate::{disk::named, ledger::Ledger};

impl Store {
    /// A folder that outlives the process.
    pub(crate) fn lasting(ledger: Arc<Ledger>) -> Self {
        Self { ledger: Some(ledger), ..Self::default() }
    }

    /// Finished content that an earlier process left.
    pub(crate) fn find(&self, name: &str, len: u64) -> io::Result<Content> {
        if len == 0 {
            return Ok(Content::Memory(Small {
                bytes: Bytes::new(),
                _share: Arc::new(self.memory.owe(0)),
            }));
        }
        let path = self.path(name)?;
        let found = path.metadata().map_err(|error| named(&path, &error))?.len();
        if found != len {
            return Err(wrong_length(&path, found, len));
        }
        Ok(Content::File(Arc::new(Stored::recorded(path, len))))
    }
}

impl Spool {
    /// Goes on with what an earlier process recorded; what it wrote beyond is cut off.
    pub(crate) fn resume(store: &Arc<Store>, name: &str, digester: Digester) -> io::Result<Self> {
        let mut spool = Self::new(Arc::clone(store), name.to_owned());
        let path = spool.store.path(name)?;
        if digester.is_empty() {
            // The first piece may have made the file, and ended before anything was recorded.
            return match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(named(&path, &error)),
                _ => Ok(spool),
            };
        }
        let open = || {
            let file = File::options().read(true).write(true).open(&path)?;
            let found = file.metadata()?.len();
            Ok((file, found))
        };
        let (file, found) = open().map_err(|error| named(&path, &error))?;
        let len = digester.len();
        if found < len {
            return Err(wrong_length(&path, found, len));
        }
        file.set_len(len).map_err(|error| named(&path, &error))?;
        let stored = Stored::recorded(path, 0);
        spool.file = Some(OpenFile { handle: None, stored });
        spool.digester = digester;
        Ok(spool)
    }
}

fn wrong_length(path: &Path, found: u64, len: u64) -> io::Error {
    let text = format!("`{}` has {found} bytes instead of {len}", path.display());
    io::Error::new(io::ErrorKind::InvalidData, text)
}
