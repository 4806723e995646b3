//! Blob content: small in memory, large in a temporary folder, or all of it in the folder of a
//! registry that survives its process; hashed while it arrives.

#[cfg(feature = "persist")]
mod kept;
mod stored;

use std::{
    fs::File,
    io::{self, Seek as _, SeekFrom, Write as _},
    path::PathBuf,
    sync::{Arc, Mutex},
};

use acr_core::{Digest, Digester, http::Body, value::DigesterState};
use bytes::Bytes;
use tempfile::TempDir;

pub(crate) use self::stored::Stored;
use crate::{
    budget::{Budget, Share},
    disk::{named, sync_folder},
    ledger::Ledger,
    sync::lock,
};

/// Where contents go.
#[derive(Debug)]
pub(crate) struct Store {
    /// The records of a folder that outlives the process, which takes everything.
    ledger: Option<Arc<Ledger>>,
    /// Else made when the first large content arrives.
    temporary: Mutex<Option<TempDir>>,
    /// For small contents; what finds no room there goes to disk as the large ones do.
    memory: Arc<Budget>,
}

/// Finished content, cheap to clone; its file goes with the last clone.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Memory(Small),
    File(Arc<Stored>),
}

/// Content in memory, and its part of what there is for it.
#[derive(Clone, Debug)]
pub(crate) struct Small {
    bytes: Bytes,
    _share: Arc<Share>,
}

/// Content that is still arriving.
#[derive(Debug)]
pub(crate) struct Spool {
    store: Arc<Store>,
    /// The name of the file, if there will be one.
    name: String,
    memory: Vec<u8>,
    share: Share,
    file: Option<OpenFile>,
    digester: Digester,
}

/// A file that content goes to. Between requests it is closed, so that many uploads at rest do
/// not use up the process's descriptors.
#[derive(Debug)]
struct OpenFile {
    handle: Option<File>,
    stored: Stored,
}

/// A state of a spool to go back to.
#[derive(Debug)]
pub(crate) struct Checkpoint(Digester);

impl Store {
    /// The records of a folder that outlives the process.
    pub(crate) fn ledger(&self) -> Option<Arc<Ledger>> {
        self.ledger.clone()
    }

    fn create(&self, name: &str) -> io::Result<(File, Stored)> {
        let path = self.path(name)?;
        let file = File::create_new(&path).map_err(|error| named(&path, &error))?;
        // From here on the file goes with `stored`, also when this fails.
        let stored = Stored::passing(path);
        if let (true, Some(folder)) = (self.is_lasting(), stored.path.parent()) {
            sync_folder(folder).map_err(|error| named(folder, &error))?;
        }
        Ok((file, stored))
    }

    /// Whether a file of this name is there already, from this process or an earlier one.
    pub(crate) fn holds(&self, name: &str) -> bool {
        self.ledger.as_ref().is_some_and(|ledger| ledger.contents().join(name).exists())
    }

    fn path(&self, name: &str) -> io::Result<PathBuf> {
        if let Some(ledger) = &self.ledger {
            return Ok(ledger.contents().join(name));
        }
        let mut temporary = lock(&self.temporary);
        let folder = match &mut *temporary {
            Some(folder) => folder,
            none => none.insert(tempfile::Builder::new().prefix("acr-testkit-").tempdir()?),
        };
        Ok(folder.path().join(name))
    }

    fn is_lasting(&self) -> bool {
        self.ledger.is_some()
    }
}

impl Default for Store {
    fn default() -> Self {
        Self { ledger: None, temporary: Mutex::default(), memory: Budget::new(MEMORY) }
    }
}

impl Spool {
    pub(crate) fn new(store: Arc<Store>, name: String) -> Self {
        let (memory, share) = (Vec::new(), store.memory.owe(0));
        Self { store, name, memory, share, file: None, digester: Digester::default() }
    }

    /// Where the records are kept; `None` where nothing outlives the process.
    pub(crate) fn ledger(&self) -> Option<Arc<Ledger>> {
        self.store.ledger()
    }

    /// Makes what arrived durable, blocking, and gives the state to go on from.
    pub(crate) fn sync(&mut self) -> io::Result<DigesterState> {
        let len = self.len();
        if let Some(file) = &mut self.file {
            // A rolled-back piece must not come back.
            file.with(|file| file.set_len(len).and_then(|()| file.sync_all()))?;
        }
        Ok(self.digester.save())
    }

    /// Closes the file until the next piece comes.
    pub(crate) fn rest(&mut self) {
        if let Some(file) = &mut self.file {
            file.handle = None;
        }
    }

    /// A record on disk names the file from now on: it stays.
    pub(crate) fn record(&self) {
        if let Some(file) = &self.file {
            file.stored.record();
        }
    }

    /// Gives up what arrived; the file that a record may still name.
    pub(crate) fn discard(mut self) -> Option<Arc<Stored>> {
        self.file.take().map(|file| Arc::new(file.stored))
    }

    /// The name of the file, which is that of the upload.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn len(&self) -> u64 {
        self.digester.len()
    }

    /// Whether the next piece goes to disk, which must not block the runtime.
    pub(crate) fn needs_disk(&mut self, piece: &[u8]) -> bool {
        let len = self.memory.len().saturating_add(piece.len());
        self.file.is_some()
            || len > MAX_IN_MEMORY
            || self.store.is_lasting()
            || !self.share.grow(len.saturating_sub(self.share.bytes()))
    }

    /// Adds a piece: blocking where [`Spool::needs_disk`].
    ///
    /// The file is written before the length moves on, so a failure leaves the old content.
    pub(crate) fn append(&mut self, piece: &[u8]) -> io::Result<()> {
        if self.file.is_none() && self.needs_disk(piece) {
            let (handle, stored) = self.store.create(&self.name)?;
            let mut file = OpenFile { handle: Some(handle), stored };
            file.with(|file| file.write_all(&self.memory))?;
            self.memory = Vec::new();
            self.share = self.store.memory.owe(0);
            self.file = Some(file);
        }
        match &mut self.file {
            None => {
                self.memory.reserve_exact(piece.len());
                self.memory.extend_from_slice(piece);
            }
            Some(file) => file.with(|file| {
                file.seek(SeekFrom::Start(self.digester.len()))?;
                file.write_all(piece)
            })?,
        }
        self.digester.update(piece);
        Ok(())
    }

    pub(crate) fn checkpoint(&self) -> Checkpoint {
        Checkpoint(self.digester.clone())
    }

    /// Forgets what came after a checkpoint.
    pub(crate) fn roll_back(&mut self, Checkpoint(digester): Checkpoint) {
        self.memory.truncate(usize::try_from(digester.len()).unwrap_or(usize::MAX));
        self.digester = digester;
    }

    pub(crate) fn digest(&self) -> Digest {
        self.digester.clone().finish()
    }

    pub(crate) fn finish(mut self) -> io::Result<Content> {
        match self.file.take() {
            None => {
                let (bytes, share) = (self.memory.into(), Arc::new(self.share));
                Ok(Content::Memory(Small { bytes, _share: share }))
            }
            Some(mut file) => {
                let len = self.digester.len();
                file.with(|file| file.set_len(len))?;
                file.stored.len = len;
                Ok(Content::File(Arc::new(file.stored)))
            }
        }
    }
}

impl OpenFile {
    /// Works on the file, opened again if need be; an error names it.
    fn with<T>(&mut self, work: impl FnOnce(&mut File) -> io::Result<T>) -> io::Result<T> {
        let Self { handle, stored } = self;
        let open = || File::options().read(true).write(true).open(&stored.path);
        let result = match handle {
            Some(file) => work(file),
            None => open().and_then(|file| work(handle.insert(file))),
        };
        result.map_err(|error| named(&stored.path, &error))
    }
}

impl Content {
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Memory(Small { bytes, .. }) => bytes.len() as u64,
            Self::File(stored) => stored.len,
        }
    }

    /// The bytes of small content. From a file they are read at once: a config, a page long.
    pub(crate) fn small(&self) -> Option<Bytes> {
        match self {
            Self::Memory(Small { bytes, .. }) => Some(bytes.clone()),
            Self::File(stored) if stored.len <= MAX_IN_MEMORY as u64 => {
                std::fs::read(&stored.path).ok().map(Bytes::from)
            }
            Self::File(_) => None,
        }
    }

    /// The file behind it.
    pub(crate) fn file(&self) -> Option<&Arc<Stored>> {
        match self {
            Self::Memory(..) => None,
            Self::File(stored) => Some(stored),
        }
    }

    /// A part of the content as a body, read piece by piece.
    pub(crate) async fn body(&self, from: u64, len: u64) -> io::Result<Body> {
        match self {
            Self::Memory(Small { bytes, .. }) => {
                let index = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
                Ok(Body::from(bytes.slice(index(from)..index(from.saturating_add(len)))))
            }
            Self::File(stored) => stored.body(from, len).await,
        }
    }
}

/// Content up to this length stays in memory.
const MAX_IN_MEMORY: usize = 1 << 20;

/// What small contents take together before they go to disk too.
const MEMORY: usize = 2 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn large_content_goes_to_disk_and_leaves_with_the_last_user() {
        let store = Arc::new(Store::default());
        let mut spool = Spool::new(Arc::clone(&store), "u".to_owned());
        let piece = vec![7u8; 700_000];
        for _ in 0..3 {
            spool.append(&piece).unwrap();
        }
        assert_eq!(spool.digest(), Digest::sha256(&vec![7u8; 2_100_000]));
        let content = spool.finish().unwrap();
        let Content::File(stored) = &content else { panic!("must be a file") };
        let path = stored.path.clone();
        let body = content.body(2_099_990, 10).await.unwrap();
        drop(content);
        assert_eq!(body.bytes(100).await.unwrap(), vec![7u8; 10]);
        assert!(!path.exists());
        let folder = path.parent().unwrap().to_owned();
        assert!(folder.exists());
        drop(store);
        assert!(!folder.exists());
    }

    #[tokio::test]
    async fn rolls_back_in_memory_and_on_disk() {
        for size in [10, 2_000_000] {
            let store = Arc::new(Store::default());
            let mut spool = Spool::new(Arc::clone(&store), "u".to_owned());
            spool.append(b"head").unwrap();
            let checkpoint = spool.checkpoint();
            spool.append(&vec![1; size]).unwrap();
            spool.roll_back(checkpoint);
            assert_eq!(spool.len(), 4);
            spool.append(b"tail").unwrap();
            assert_eq!(spool.digest(), Digest::sha256(b"headtail"));
            let content = spool.finish().unwrap();
            assert_eq!(content.len(), 8);
            assert_eq!(content.body(0, 8).await.unwrap().bytes(100).await.unwrap(), "headtail");
        }
    }
}
