//! The registry's records on disk: one embedded database, and one file for each content.
//!
//! A change is staged while the state in memory changes, in the same order, and reaches the
//! disk before the answer leaves. Requests that arrive together share one transaction.

use std::{
    fmt,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use redb::{Database, DatabaseError, ReadableTable as _, TableDefinition, TableError};
use serde::{Serialize, de::DeserializeOwned};

use crate::{content::Stored, sync::lock};

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

/// What a record is about. The keys have two parts; where one suffices the second is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Table {
    /// The registry itself.
    Settings,
    /// Repository.
    Repositories,
    /// Repository and tag.
    Tags,
    /// Repository and digest.
    Manifests,
    /// Repository and digest: the bytes of a manifest, deleted or not.
    Documents,
    /// Repository and digest of a blob.
    Blobs,
    /// Digest: where a blob's content is.
    Contents,
    /// Id of an upload session.
    Uploads,
    /// Repository and digest.
    DeletedManifests,
    /// Repository, and tag with digest.
    DeletedTags,
}

/// One record that is written or removed.
#[derive(Debug)]
pub(crate) struct Change {
    table: Table,
    key: (String, String),
    value: Option<Vec<u8>>,
}

#[derive(Debug, Default)]
struct Staged {
    changes: Vec<Change>,
    /// Files that nothing refers to once the changes are on disk.
    retired: Vec<Arc<Stored>>,
    version: u64,
}

type Definition = TableDefinition<'static, (&'static str, &'static str), &'static [u8]>;

impl Ledger {
    /// Opens or makes the folder.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder.join(CONTENT)).map_err(|error| named(folder, &error))?;
        make_database(folder).map_err(|error| named(folder, &error))?;
        let database = Database::create(folder.join(DATABASE)).map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => io::Error::new(
                io::ErrorKind::ResourceBusy,
                format!("`{}` is in use by another registry", folder.display()),
            ),
            error => named(folder, &disk(error)),
        })?;
        let ledger = Self {
            database,
            folder: folder.to_owned(),
            staged: Mutex::default(),
            queue: tokio::sync::Mutex::default(),
            turn: Mutex::default(),
            durable: AtomicU64::new(0),
            failed: Mutex::default(),
        };
        ledger.check_format()?;
        Ok(ledger)
    }

    /// The folder of the contents.
    pub(crate) fn contents(&self) -> PathBuf {
        self.folder.join(CONTENT)
    }

    /// Removes every content file that is not named: what an interrupted process left.
    pub(crate) fn sweep(&self, is_named: impl Fn(&str) -> bool) -> io::Result<()> {
        let of_contents = self.files(&self.contents(), |name| !is_named(name))?;
        // Databases that were not finished: this one is.
        let of_folder = self.files(&self.folder, |name| name.starts_with(UNFINISHED))?;
        for path in of_contents.iter().chain(&of_folder) {
            fs::remove_file(path).map_err(|error| named(path, &error))?;
        }
        Ok(())
    }

    fn files(&self, folder: &Path, is_wanted: impl Fn(&str) -> bool) -> io::Result<Vec<PathBuf>> {
        let entries = fs::read_dir(folder).map_err(|error| named(&self.folder, &error))?;
        let mut paths = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| named(&self.folder, &error))?;
            if is_wanted(entry.file_name().to_str().unwrap_or_default()) {
                paths.push(entry.path());
            }
        }
        Ok(paths)
    }

    /// Reads all records of a table; one that cannot be read is an error that names it.
    pub(crate) fn read<T: DeserializeOwned>(
        &self,
        table: Table,
    ) -> io::Result<Vec<(String, String, T)>> {
        let read = |first: &str, second: &str, bytes: &[u8]| {
            let value = serde_json::from_slice(bytes).map_err(|error| {
                let text = format!("the {} record `{first}` `{second}`: {error}", table.name());
                io::Error::new(io::ErrorKind::InvalidData, text)
            })?;
            Ok((first.to_owned(), second.to_owned(), value))
        };
        self.each(table, read)
    }

    /// Reads all values of a table as they are.
    pub(crate) fn read_bytes(&self, table: Table) -> io::Result<Vec<(String, String, Vec<u8>)>> {
        self.each(table, |first, second, bytes| {
            Ok((first.to_owned(), second.to_owned(), bytes.to_vec()))
        })
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
        if let Err(error) = self.write(&changes) {
            // The memory is ahead of the disk now: nothing more may be promised.
            let error = named(&self.folder, &error);
            *lock(&self.failed) = Some((error.kind(), error.to_string()));
            return Err(error);
        }
        self.durable.store(version, Ordering::Release);
        retired.iter().for_each(|file| file.give_up());
        Ok(())
    }

    fn write(&self, changes: &[Change]) -> io::Result<()> {
        let transaction = self.database.begin_write().map_err(disk)?;
        for Change { table, key, value } in changes {
            let mut table = transaction.open_table(table.definition()).map_err(disk)?;
            let key = (key.0.as_str(), key.1.as_str());
            match value {
                Some(value) => table.insert(key, value.as_slice()),
                None => table.remove(key),
            }
            .map_err(disk)?;
        }
        transaction.commit().map_err(disk)
    }

    fn each<T>(
        &self,
        table: Table,
        read: impl Fn(&str, &str, &[u8]) -> io::Result<T>,
    ) -> io::Result<Vec<T>> {
        let transaction = self.database.begin_read().map_err(disk)?;
        let table = match transaction.open_table(table.definition()) {
            Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
            table => table.map_err(disk)?,
        };
        let records = table.iter().map_err(disk)?;
        let records = records.map(|record| {
            let (key, value) = record.map_err(disk)?;
            let (first, second) = key.value();
            read(first, second, value.value())
        });
        records.collect()
    }

    fn check_format(&self) -> io::Result<()> {
        let records = self.read::<serde_json::Value>(Table::Settings)?;
        let format = records.iter().find(|(name, _, _)| name == "format");
        match format.map(|(_, _, format)| format.as_u64()) {
            Some(Some(FORMAT)) => Ok(()),
            None if records.is_empty() => {
                self.stage([Change::put(Table::Settings, "format", "", &FORMAT)]);
                self.flush_blocking()
            }
            _ => {
                let text = format!("`{}` is of another version", self.folder.display());
                Err(io::Error::new(io::ErrorKind::InvalidData, text))
            }
        }
    }
}

impl Change {
    /// Writes a record as JSON.
    pub(crate) fn put<T: Serialize>(table: Table, first: &str, second: &str, value: &T) -> Self {
        // The records are the crate's own structs, whose keys are text: this does not fail.
        let value = serde_json::to_vec(value).unwrap_or_default();
        Self::put_bytes(table, first, second, value)
    }

    /// Writes a record as it is.
    pub(crate) fn put_bytes(table: Table, first: &str, second: &str, value: Vec<u8>) -> Self {
        Self { table, key: (first.to_owned(), second.to_owned()), value: Some(value) }
    }

    /// Removes a record, whether it is there or not.
    pub(crate) fn remove(table: Table, first: &str, second: &str) -> Self {
        Self { table, key: (first.to_owned(), second.to_owned()), value: None }
    }
}

impl Staged {
    fn empty(version: u64) -> Self {
        Self { changes: Vec::new(), retired: Vec::new(), version }
    }
}

impl Table {
    fn name(self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::Repositories => "repositories",
            Self::Tags => "tags",
            Self::Manifests => "manifests",
            Self::Documents => "documents",
            Self::Blobs => "blobs",
            Self::Contents => "contents",
            Self::Uploads => "uploads",
            Self::DeletedManifests => "deleted_manifests",
            Self::DeletedTags => "deleted_tags",
        }
    }

    fn definition(self) -> Definition {
        TableDefinition::new(self.name())
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// Makes the entry of a new file durable, not only its bytes.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Makes the database where there is none, as a whole or not at all: one that was half made
/// when the process ended could never be opened again.
fn make_database(folder: &Path) -> io::Result<()> {
    let path = folder.join(DATABASE);
    if path.exists() {
        return Ok(());
    }
    let file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(folder)?;
    drop(Database::create(file.path()).map_err(disk)?);
    match file.persist_noclobber(&path) {
        Ok(file) => file.sync_all()?,
        // Somebody else made one meanwhile, or swept this one away; whose it is shows next.
        Err(_) if path.exists() => {}
        Err(error) => return Err(error.error),
    }
    sync_folder(folder)
}

/// The disk's own error where there is one, so that its kind is not lost.
fn disk(error: impl Into<redb::Error>) -> io::Error {
    match error.into() {
        redb::Error::Io(error) => error,
        error => io::Error::other(error),
    }
}

fn named(folder: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("the data folder `{}`: {error}", folder.display()))
}

const DATABASE: &str = "registry.redb";
const CONTENT: &str = "content";

/// How the names of databases begin that are being made.
const UNFINISHED: &str = ".unfinished-";

/// The version of the records.
const FORMAT: u64 = 1;
