//! What an earlier process recorded.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, atomic::AtomicU64},
};

use serde::de::DeserializeOwned;

use super::{
    CONTENT, Ledger,
    database::{Database, UNFINISHED},
    record::{Change, Table},
};
use crate::disk::of_folder;

impl Ledger {
    /// Opens or makes the folder.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder.join(CONTENT)).map_err(|error| of_folder(folder, &error))?;
        let database = Database::open(folder)?;
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

    /// Removes every content file that is not named: what an interrupted process left.
    pub(crate) fn sweep(&self, is_named: impl Fn(&str) -> bool) -> io::Result<()> {
        let of_contents = self.files(&self.contents(), |name| !is_named(name))?;
        // Databases that were not finished: this one is.
        let unfinished = self.files(&self.folder, |name| name.starts_with(UNFINISHED))?;
        for path in of_contents.iter().chain(&unfinished) {
            fs::remove_file(path).map_err(|error| of_folder(path, &error))?;
        }
        Ok(())
    }

    fn files(&self, folder: &Path, is_wanted: impl Fn(&str) -> bool) -> io::Result<Vec<PathBuf>> {
        let entries = fs::read_dir(folder).map_err(|error| of_folder(&self.folder, &error))?;
        let mut paths = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| of_folder(&self.folder, &error))?;
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
        self.database.each(table, read)
    }

    /// Reads all values of a table as they are.
    pub(crate) fn read_bytes(&self, table: Table) -> io::Result<Vec<(String, String, Vec<u8>)>> {
        self.database.each(table, |first, second, bytes| {
            Ok((first.to_owned(), second.to_owned(), bytes.to_vec()))
        })
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

/// The version of the records.
const FORMAT: u64 = 1;
