//! A file of nobody else's at a name that can be foreseen: what stands there may be a trap, and may
//! be taken away later.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::Path,
};

#[cfg(unix)]
use crate::file::directory_of;

/// Opens the file to read and write, and locks it; `WouldBlock` while somebody else has it.
pub(crate) fn open_alone(path: &Path) -> io::Result<File> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.is_file() => return Err(trap(path, "it is no regular file")),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    let file = match open(options.clone().create_new(true), path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let file = open(&mut options, path).map_err(|error| match error.kind() {
                // It was there a moment ago.
                io::ErrorKind::NotFound => io::ErrorKind::WouldBlock.into(),
                _ => named(path, error),
            })?;
            check(&file, path)?;
            file
        }
        created => created?,
    };
    lock(&file)?;
    // Whoever had it locked until now may have moved it into place.
    if is_at(&file, path)? { Ok(file) } else { Err(io::ErrorKind::WouldBlock.into()) }
}

/// A new file, to write: nobody else's.
pub(crate) fn create_alone(path: &Path) -> io::Result<File> {
    open(OpenOptions::new().write(true).create_new(true), path)
}

/// The same failure, which says of which file it is where that is not the one the caller named.
pub(crate) fn named(path: &Path, error: io::Error) -> io::Error {
    if error.kind() != io::ErrorKind::PermissionDenied || error.get_ref().is_some() {
        return error;
    }
    let text = format!(
        "`{}` is refused ({error}), it may be another user's; remove it, or choose another folder",
        path.display()
    );
    io::Error::new(io::ErrorKind::PermissionDenied, text)
}

fn trap(path: &Path, why: &str) -> io::Error {
    let text = format!("`{}` may be a trap, {why}; remove it", path.display());
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

#[cfg(unix)]
fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;

    use rustix::fs::OFlags;

    let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC;
    options.mode(0o600).custom_flags(flags.bits().cast_signed()).open(path)
}

/// Refuses a file that was there unless it is as we would have made it. What that is, a new file
/// in the folder tells: there are file systems that give all files one owner and one mode.
#[cfg(unix)]
fn check(file: &File, path: &Path) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;

    let found = file.metadata()?;
    // With a name, which makes it 0600 everywhere; one without gets what the umask leaves of 0666.
    let ours = tempfile::Builder::new().prefix(".acr-").tempfile_in(directory_of(path))?;
    let ours = ours.as_file().metadata()?;
    let open_to_others = found.mode() & !ours.mode() & 0o077;
    if !found.is_file() {
        Err(trap(path, "it is no regular file"))
    } else if found.uid() != ours.uid() {
        Err(trap(path, "it is another user's"))
    } else if found.nlink() > 1 {
        Err(trap(path, "it has a second name (a hard link)"))
    } else if open_to_others != 0 {
        Err(trap(path, "others may open it too"))
    } else {
        Ok(())
    }
}

#[cfg(unix)]
fn lock(file: &File) -> io::Result<()> {
    use rustix::fs::{FlockOperation, flock};

    let locked = flock(file, FlockOperation::NonBlockingLockExclusive);
    locked.map_err(io::Error::from).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => error,
        kind => {
            let text = format!(
                "no file can be locked there ({error}): choose a folder of another file system"
            );
            io::Error::new(kind, text)
        }
    })
}

/// Whether it is still this file that the name leads to.
#[cfg(unix)]
pub(crate) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;

    let here = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(there) => Ok((here.dev(), here.ino()) == (there.dev(), there.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Holds on to the lock while the file is moved or removed.
#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere nothing can be held")]
pub(crate) fn movable(file: File) -> Option<File> {
    Some(file)
}

/// A file that nobody else may write is one that nobody else can open to write, remove or move.
#[cfg(windows)]
fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    use std::os::windows::fs::OpenOptionsExt as _;

    const SHARE_READ: u32 = 0x1;
    const SHARING_VIOLATION: i32 = 32;
    options.share_mode(SHARE_READ).open(path).map_err(|error| match error.raw_os_error() {
        Some(SHARING_VIOLATION) => io::ErrorKind::WouldBlock.into(),
        _ => error,
    })
}

#[cfg(windows)]
fn check(_: &File, _: &Path) -> io::Result<()> {
    // Who may open a file in a folder is the folder's there.
    Ok(())
}

#[cfg(windows)]
fn lock(_: &File) -> io::Result<()> {
    // It was locked when it was opened.
    Ok(())
}

#[cfg(windows)]
pub(crate) fn is_at(_: &File, _: &Path) -> io::Result<bool> {
    // Nobody can take it away while it is open.
    Ok(true)
}

/// What is open can be neither moved nor removed.
#[cfg(windows)]
pub(crate) fn movable(file: File) -> Option<File> {
    drop(file);
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_refused_is_named_with_the_remedy() {
        let denied = named(Path::new("a/b"), io::ErrorKind::PermissionDenied.into());
        assert_eq!(denied.kind(), io::ErrorKind::PermissionDenied);
        let text = denied.to_string();
        assert!(text.starts_with("`a/b` is refused (") && text.contains("remove it"), "{text}");
        // It says so already, or it is another failure.
        assert_eq!(named(Path::new("c"), denied).to_string(), text);
        let full = named(Path::new("c"), io::ErrorKind::StorageFull.into());
        assert!(full.get_ref().is_none(), "{full}");
    }
}
