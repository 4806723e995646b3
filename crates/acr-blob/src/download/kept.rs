//! What a download into a file keeps beside its target, so that another process can go on: what
//! came so far, and a checkpoint of it.

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use acr_core::{Digest, Error, ErrorKind, RepositoryName, Result};
use tokio::{task::spawn_blocking, time::sleep};

use crate::{
    download::{
        alone::{is_at, movable, open_alone},
        checkpoint::DownloadCheckpoint,
        partial_file::rewind,
    },
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
                self.is_still_there()?;
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

    /// Moves the content into place: it is verified and on disk. No other handle may be open.
    pub(crate) async fn finish(self) -> Result<()> {
        blocking(move || {
            let there = self.is_still_there();
            there.map_err(|error| unwritable(&self.target, error))?;
            let Self { target, partial, checkpoint, file } = self;
            let file = movable(file);
            let moved = fs::rename(&partial, &target).and_then(|()| match &file {
                Some(file) if !is_at(file, &target)? => Err(replaced(&partial)),
                _ => Ok(()),
            });
            moved.map_err(|error| unwritable(&target, error))?;
            // Without its file it says nothing; the next download would find that out, too.
            let _ = fs::remove_file(&checkpoint);
            Ok(())
        })
        .await
    }

    /// Removes both: what came was not the blob's. Whether the next download begins anew. No other
    /// handle may be open.
    pub(crate) async fn discard(self) -> bool {
        let discarded = blocking(move || {
            // Needs no right in the folder, and without its content the checkpoint is worth nothing.
            let is_empty = self.file.set_len(0).is_ok();
            if self.is_still_there().is_ok() {
                let _file = movable(self.file);
                let _ = fs::remove_file(&self.checkpoint);
                let _ = fs::remove_file(&self.partial);
            }
            Ok(is_empty)
        });
        discarded.await.unwrap_or(false)
    }

    /// Whoever gives up deletes the files, and somebody else may have begun since: then the names
    /// are theirs.
    fn is_still_there(&self) -> io::Result<()> {
        if is_at(&self.file, &self.partial)? { Ok(()) } else { Err(replaced(&self.partial)) }
    }
}

fn replaced(partial: &Path) -> io::Error {
    let text = format!("`{}` was removed or replaced meanwhile", partial.display());
    io::Error::new(io::ErrorKind::NotFound, text)
}

pub(crate) fn unwritable(target: &Path, error: io::Error) -> Error {
    let what = match error.kind() {
        io::ErrorKind::WouldBlock => {
            ": another download is writing to it; wait for that, or choose another path".to_owned()
        }
        // Of ours, with a remedy.
        _ if error.get_ref().is_some() => format!(": {error}"),
        _ => String::new(),
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
