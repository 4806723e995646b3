//! The embedded database.

use std::{io, path::Path};

use redb::{DatabaseError, ReadableTable as _, TableDefinition, TableError};

use super::record::{Change, Table};
use crate::disk::{of_folder, sync_folder};

/// The database of a folder, locked while this lives.
pub(super) struct Database(redb::Database);

type Definition = TableDefinition<'static, (&'static str, &'static str), &'static [u8]>;

impl Database {
    /// Opens it, or makes it where there is none.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        make(folder).map_err(|error| of_folder(folder, &error))?;
        let opened = redb::Database::create(folder.join(DATABASE));
        opened.map(Self).map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => io::Error::new(
                io::ErrorKind::ResourceBusy,
                format!("`{}` is in use by another registry", folder.display()),
            ),
            error => of_folder(folder, &disk(error)),
        })
    }

    /// Writes changes, all or none.
    pub(super) fn write(&self, changes: &[Change]) -> io::Result<()> {
        let transaction = self.0.begin_write().map_err(disk)?;
        for Change { table, key, value } in changes {
            let mut table = transaction.open_table(definition(*table)).map_err(disk)?;
            let key = (key.0.as_str(), key.1.as_str());
            match value {
                Some(value) => table.insert(key, value.as_slice()),
                None => table.remove(key),
            }
            .map_err(disk)?;
        }
        transaction.commit().map_err(disk)
    }

    /// Reads all records of a table.
    pub(super) fn each<T>(
        &self,
        table: Table,
        read: impl Fn(&str, &str, &[u8]) -> io::Result<T>,
    ) -> io::Result<Vec<T>> {
        let transaction = self.0.begin_read().map_err(disk)?;
        let table = match transaction.open_table(definition(table)) {
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
}

fn definition(table: Table) -> Definition {
    TableDefinition::new(table.name())
}

/// Makes the database where there is none, as a whole or not at all: one that was half made
/// when the process ended could never be opened again.
fn make(folder: &Path) -> io::Result<()> {
    let path = folder.join(DATABASE);
    if path.exists() {
        return Ok(());
    }
    let file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(folder)?;
    drop(redb::Database::create(file.path()).map_err(disk)?);
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

const DATABASE: &str = "registry.redb";

/// How the names of databases begin that are being made.
pub(super) const UNFINISHED: &str = ".unfinished-";
