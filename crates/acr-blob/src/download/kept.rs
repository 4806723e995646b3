//! What a download into a file keeps beside its target, so that another process can go on: what
//! came so far, and a checkpoint of it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use acr_core::{Digest, Error, ErrorKind, RepositoryName, Result};
use tokio::{task::spawn_blocking, time::sleep};

use crate::{
    download::{checkpoint::DownloadCheckpoint, partial_file::rewind},
    file::directory_of,
};

/// The files beside a target. While it is there, no other download writes to them.
#[derive(Debug)]
pub(crate) struct Kept {
    target: PathBuf,
    partial: PathBuf,
    checkpoint: PathBuf,
    /// Of the partial content, locked.
    file: File,
}

impl Kept {
    /// Opens what an earlier download left, or begins anew.
    pub(crate) async fn open(target: &Path) -> Result<Self> {
        let Some(name) = target.file_name() else {
            let text = format!("`{}` does not end with the name of a file", target.display());
            return Err(Error::new(ErrorKind::InvalidInput, text));
        };
        let beside = |ending: &str| {
            let mut name = name.to_owned();
            name.push(ending);
            directory_of(target).join(name)
        };
        let (partial, checkpoint) = (beside(PARTIAL), beside(CHECKPOINT));
        let mut attempts = ATTEMPTS;
        let file = loop {
            let path = partial.clone();
            match blocking(move || Ok(open_alone(&path))).await? {
                // A download whose future was dropped may still be writing its last piece.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && attempts > 0 => {
                    attempts -= 1;
                    sleep(PATIENCE).await;
                }
                opened => break opened.map_err(|error| unwritable(target, error))?,
            }
        };
        Ok(Self { target: target.to_owned(), partial, checkpoint, file })
    }

    /// How far an earlier download of this blob got, the file cut to that; `None` and an empty file
    /// where nothing can be gone on with.
    pub(crate) async fn saved(
        self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<(Self, Option<DownloadCheckpoint>)> {
        let (repository, digest) = (repository.clone(), digest.clone());
        blocking(move || {
            let mut kept = self;
            match kept.read(&repository, &digest) {
                Ok(saved) => Ok((kept, Some(saved))),
                Err(why) => {
                    tracing::debug!(file = %kept.partial.display(), why, "begins anew");
                    let emptied = kept.file.set_len(0).and_then(|()| kept.file.rewind());
                    emptied.map_err(|error| unwritable(&kept.target, error))?;
                    Ok((kept, None))
                }
            }
        })
        .await
    }

    /// The checkpoint if there is one that is of this blob, and the file has what it says.
    fn read(
        &mut self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<DownloadCheckpoint, String> {
        let text = read_small(&self.checkpoint).map_err(|error| error.to_string())?;
        // The error itself would show a piece of the file.
        let saved: DownloadCheckpoint =
            serde_json::from_str(&text).map_err(|_| "it is no checkpoint".to_owned())?;
        let digester = saved.open(repository, digest).map_err(|error| error.to_string())?;
        rewind(&mut self.file, &digester).map_err(|error| error.to_string())?;
        Ok(saved)
    }

    /// Another handle to the partial content, to write with.
    pub(crate) fn writer(&self) -> Result<File> {
        self.file.try_clone().map_err(|error| unwritable(&self.target, error))
    }

    /// Notes how much was written: whole or not at all, whatever happens meanwhile.
    pub(crate) async fn note(self, checkpoint: DownloadCheckpoint) -> Result<Self> {
        blocking(move || {
            let write = || {
                let mut file = tempfile::Builder::new()
                    .prefix(".acr-")
                    .suffix(".partial")
                    .tempfile_in(directory_of(&self.target))?;
                file.write_all(&serde_json::to_vec(&checkpoint)?)?;
                file.persist(&self.checkpoint).map_err(|error| error.error)
            };
            match write() {
                Ok(_) => Ok(self),
                Err(error) => Err(unwritable(&self.target, error)),
            }
        })
        .await
    }

    /// Moves the content into place: it is verified and on disk.
    pub(crate) async fn finish(self) -> Result<()> {
        blocking(move || {
            let moved = fs::rename(&self.partial, &self.target);
            moved.map_err(|error| unwritable(&self.target, error))?;
            // Without its file it says nothing; the next download would find that out, too.
            let _ = fs::remove_file(&self.checkpoint);
            Ok(())
        })
        .await
    }

    /// Removes both: what came was not the blob's.
    pub(crate) async fn discard(self) {
        let _ = blocking(move || {
            let _ = fs::remove_file(&self.checkpoint);
            let _ = fs::remove_file(&self.partial);
            Ok(())
        })
        .await;
    }
}

pub(crate) fn unwritable(target: &Path, error: io::Error) -> Error {
    let what = match error.kind() {
        io::ErrorKind::WouldBlock => {
            ": another download is writing to it; wait for that, or choose \
            another path"
        }
        _ => "",
    };
    let text = format!("cannot write `{}`{what}", target.display());
    Error::new(ErrorKind::Source, text).with_source(error)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    spawn_blocking(work).await.unwrap_or_else(|error| {
        Err(Error::new(ErrorKind::Source, "a file could not be written").with_source(error))
    })
}

/// A file of nobody else's: the name can be foreseen, so what stands there may be a trap.
fn open_alone(path: &Path) -> io::Result<File> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.is_file() => {
            let text = format!("`{}` is no regular file: remove it", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let file = open_locked(options, path)?;
    // Whoever had it locked until now may have moved it into place.
    if is_at(&file, path)? { Ok(file) } else { Err(io::ErrorKind::WouldBlock.into()) }
}

#[cfg(unix)]
fn open_locked(mut options: OpenOptions, path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;

    use rustix::fs::{FlockOperation, OFlags, flock};

    let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = options.mode(0o600).custom_flags(flags.bits().cast_signed()).open(path)?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    Ok(file)
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;

    let here = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(there) => Ok((here.dev(), here.ino()) == (there.dev(), there.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// A file that nobody else may write is one that nobody else can open to write.
#[cfg(windows)]
fn open_locked(mut options: OpenOptions, path: &Path) -> io::Result<File> {
    use std::os::windows::fs::OpenOptionsExt as _;

    /// Others may read it, and we may move it while it is open.
    const SHARE_READ_AND_DELETE: u32 = 0x1 | 0x4;
    const SHARING_VIOLATION: i32 = 32;
    options.share_mode(SHARE_READ_AND_DELETE).open(path).map_err(|error| {
        match error.raw_os_error() {
            Some(SHARING_VIOLATION) => io::ErrorKind::WouldBlock.into(),
            _ => error,
        }
    })
}

#[cfg(windows)]
fn is_at(_: &File, _: &Path) -> io::Result<bool> {
    // It was opened and locked at once.
    Ok(true)
}

fn read_small(path: &Path) -> io::Result<String> {
    let found = fs::symlink_metadata(path)?;
    if !found.is_file() || found.len() > MAX_CHECKPOINT {
        return Err(io::Error::other("it is no checkpoint"));
    }
    let mut text = String::new();
    File::open(path)?.take(MAX_CHECKPOINT).read_to_string(&mut text)?;
    Ok(text)
}

const PARTIAL: &str = ".acr-partial";
const CHECKPOINT: &str = ".acr-checkpoint";

/// Many times what one has.
const MAX_CHECKPOINT: u64 = 64 * 1024;

/// A second in all.
const ATTEMPTS: usize = 20;
const PATIENCE: Duration = Duration::from_millis(50);
