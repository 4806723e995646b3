//! The registry's records on disk: one embedded database, and one file for each content.
//!
//! A change is staged while the state in memory changes, in the same order, and reaches the
//! disk before the answer leaves. Requests that arrive together share one transaction.

#[cfg(feature = "persist")]
mod database;
#[cfg(not(feature = "persist"))]
mod no_database;
mod record;
#[cfg(feature = "persist")]
mod recorded;

use std::{
    fmt, io,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

#[cfg(feature = "persist")]
use self::database::Database;
#[cfg(not(feature = "persist"))]
use self::no_database::Database;
pub(crate) use self::record::{Change, Table};
use crate::{content::Stored, disk::of_folder, sync::lock};

/// The folder of a registry that survives its process, locked while this lives.
pub(crate) struct Ledger {
    database: Database,
    folder: PathBuf,
    staged: Mutex<Staged>,
    /// Where requests wait for the commit under way, so that they hold no thread meanwhile.
    queue: tokio::sync::Mutex<()>,
    /// Held by the one commit under way.
    turn: Mutex<()>,
    durable: AtomicU64,
    /// The first write that failed: the database takes no more after it.
    failed: Mutex<Option<(io::ErrorKind, String)>>,
}

#[derive(Debug, Default)]
struct Staged {
    changes: Vec<Change>,
    /// Files that nothing refers to once the changes are on disk.
    retired: Vec<Arc<Stored>>,
    version: u64,
}

impl Ledger {
    /// The folder of the contents.
    pub(crate) fn contents(&self) -> PathBuf {
        self.folder.join(CONTENT)
    }

    /// Notes changes that belong together; they reach the disk as one, and after earlier ones.
    pub(crate) fn stage(&self, changes: impl IntoIterator<Item = Change>) {
        self.stage_and_retire(changes, []);
    }

    /// As [`Ledger::stage`], with files that go once the changes are on disk.
    pub(crate) fn stage_and_retire(
        &self,
        changes: impl IntoIterator<Item = Change>,
        files: impl IntoIterator<Item = Arc<Stored>>,
    ) {
        let mut staged = lock(&self.staged);
        staged.changes.extend(changes);
        staged.retired.extend(files);
        staged.version += 1;
    }

    /// Waits until all that was staged so far is on disk.
    ///
    /// # Cancellation
    ///
    /// The commit under way is finished all the same.
    pub(crate) async fn flush(self: &Arc<Self>) -> io::Result<()> {
        let wanted = lock(&self.staged).version;
        if self.durable.load(Ordering::Acquire) >= wanted {
            return Ok(());
        }
        let _place = self.queue.lock().await;
        // Whoever was in front has often committed this too.
        if self.durable.load(Ordering::Acquire) >= wanted {
            return Ok(());
        }
        let ledger = Arc::clone(self);
        let commit = tokio::task::spawn_blocking(move || ledger.commit(wanted));
        commit.await.map_err(io::Error::other)?
    }

    /// As [`Ledger::flush`], on a thread that may block.
    pub(crate) fn flush_blocking(&self) -> io::Result<()> {
        let wanted = lock(&self.staged).version;
        self.commit(wanted)
    }

    fn commit(&self, wanted: u64) -> io::Result<()> {
        let _turn = lock(&self.turn);
        if self.durable.load(Ordering::Acquire) >= wanted {
            return Ok(());
        }
        if let Some((kind, text)) = &*lock(&self.failed) {
            return Err(io::Error::new(*kind, format!("an earlier write failed: {text}")));
        }
        let Staged { changes, retired, version } = {
            let mut staged = lock(&self.staged);
            let version = staged.version;
            Staged { version, ..std::mem::replace(&mut *staged, Staged::empty(version)) }
        };
        if let Err(error) = self.database.write(&changes) {
            // The memory is ahead of the disk now: nothing more may be promised.
            let error = of_folder(&self.folder, &error);
            *lock(&self.failed) = Some((error.kind(), error.to_string()));
            return Err(error);
        }
        self.durable.store(version, Ordering::Release);
        retired.iter().for_each(|file| file.give_up());
        Ok(())
    }
}

impl Staged {
    fn empty(version: u64) -> Self {
        Self { changes: Vec::new(), retired: Vec::new(), version }
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").field("folder", &self.folder).finish_non_exhaustive()
    }
}

const CONTENT: &str = "content";
