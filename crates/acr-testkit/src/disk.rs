//! Files that must last, and how their failures are told.

use std::{fs::File, io, path::Path};

/// The error of a file, with its name.
pub(crate) fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("`{}`: {error}", path.display()))
}

/// Makes the entry of a new file durable, not only its bytes.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// The error of a file in the data folder, with the folder's name.
pub(crate) fn of_folder(folder: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("the data folder `{}`: {error}", folder.display()))
}
