//! What a download into a file keeps beside its target, so that another process can go on: what
//! came so far, and a checkpoint of it.

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
    time::Duration,
};

use acr_core::{Digest, Error, ErrorKind, Result};
use tokio::{task::spawn_blocking, time::sleep};

use crate::{
    download::{
        alone::{create_alone, is_at, movable, named, open_alone},
        checkpoint::DownloadCheckpoint,
        partial_file::{Stop, rewind},
    },
    file::directory_of,
};

/// The files beside a target. While it is there, no other download writes to them.
#[derive(Debug)]
pub(crate) struct Kept {
    names: Names,
    /// Of the partial content, locked.
    file: File,
}

#[derive(Clone, Debug)]
struct Names {
    target: PathBuf,
    partial: PathBuf,
    checkpoint: PathBuf,
    /// The next checkpoint, as long as it is being written.
    next: PathBuf,
}

impl Kept {
    /// Opens what an earlier download left, or begins anew.
    pub(crate) async fn open(target: &Path) -> Result<Self> {
        let names = Names::beside(target)?;
        let mut attempts = ATTEMPTS;
        let file = loop {
            let names = names.clone();
            let open = move || Ok(names.check().and_then(|()| open_alone(&names.partial)));
            match blocking(open).await? {
                // A download whose future was dropped may still be writing its last piece.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && attempts > 0 => {
                    attempts -= 1;
                    sleep(PATIENCE).await;
                }
                opened => break opened.map_err(|error| unwritable(target, error))?,
            }
        };
        Ok(Self { names, file })
    }

    /// How far an earlier download of this blob got, the file cut to that; or why nothing can be
    /// gone on with. A drop ends the comparison.
    pub(crate) async fn saved(
        self,
        digest: &Digest,
    ) -> Result<(Self, Result<DownloadCheckpoint, String>)> {
        let digest = digest.clone();
        let stop = Stop::default();
        let stopped = stop.flag();
        blocking(move || {
            let mut kept = self;
            let saved = kept.read(&digest, &stopped).map_err(|error| {
                let target = kept.names.target.display();
                let text = format!("cannot read what was kept of the download to `{target}`");
                Error::new(ErrorKind::Source, text).with_source(error)
            })?;
            Ok((kept, saved))
        })
        .await
    }

    /// The checkpoint if there is one that is of this blob, and the file has what it says. An error
    /// says nothing of either: it may be another one the next time.
    fn read(
        &mut self,
        digest: &Digest,
        stopped: &AtomicBool,
    ) -> io::Result<Result<DownloadCheckpoint, String>> {
        let Some(text) = read_small(&self.names.checkpoint)? else {
            return Ok(Err("there is no checkpoint of it".to_owned()));
        };
        // The error itself would show a piece of the file.
        let Ok(saved) = serde_json::from_str::<DownloadCheckpoint>(&text) else {
            return Ok(Err("its checkpoint cannot be read".to_owned()));
        };
        let digester = match saved.open(digest) {
            Ok(digester) => digester,
            Err(error) => return Ok(Err(error.to_string())),
        };
        match rewind(&mut self.file, &digester, stopped) {
            Ok(()) => Ok(Ok(saved)),
            Err(error) => match error.kind() {
                io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => {
                    Ok(Err(error.to_string()))
                }
                _ => Err(error),
            },
        }
    }

    /// Empties the file: the new content is on its way.
    pub(crate) async fn begin_anew(self, why: String) -> Result<Self> {
        blocking(move || {
            let mut kept = self;
            let mut empty = || {
                let bytes = kept.file.metadata()?.len();
                if bytes > 0 {
                    let file = kept.names.partial.display();
                    tracing::warn!(%file, bytes, why, "begins anew: what was kept is given up");
                }
                kept.file.set_len(0)?;
                kept.file.rewind()
            };
            match empty() {
                Ok(()) => Ok(kept),
                Err(error) => Err(unwritable(&kept.names.target, error)),
            }
        })
        .await
    }

    /// Another handle to the partial content, to write with.
    pub(crate) fn writer(&self) -> Result<File> {
        self.file.try_clone().map_err(|error| unwritable(&self.names.target, error))
    }

    /// Notes how much was written: whole or not at all, whatever happens meanwhile.
    pub(crate) async fn note(self, checkpoint: DownloadCheckpoint) -> Result<Self> {
        blocking(move || {
            let Names { checkpoint: place, next, .. } = &self.names;
            let write = || {
                self.is_still_there()?;
                // Of a process that was killed.
                removed(next)?;
                let mut file = create_alone(next)?;
                file.write_all(&serde_json::to_vec(&checkpoint)?)?;
                drop(file);
                fs::rename(next, place).map_err(|error| named(place, error))
            };
            match write() {
                Ok(()) => Ok(self),
                Err(error) => Err(unwritable(&self.names.target, error)),
            }
        })
        .await
    }

    /// Moves the content into place: it is verified and on disk. No other handle may be open.
    pub(crate) async fn finish(self) -> Result<()> {
        blocking(move || {
            let there = self.is_still_there();
            there.map_err(|error| unwritable(&self.names.target, error))?;
            let Self { names: Names { target, partial, checkpoint, next }, file } = self;
            let file = movable(file);
            let moved = fs::rename(&partial, &target).and_then(|()| match &file {
                Some(file) if !is_at(file, &target)? => Err(replaced(&partial)),
                _ => Ok(()),
            });
            moved.map_err(|error| unwritable(&target, error))?;
            // Without its file it says nothing; the next download would find that out, too.
            let _ = removed(&checkpoint);
            let _ = removed(&next);
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
            self.remove();
            Ok(is_empty)
        });
        discarded.await.unwrap_or(false)
    }

    /// Leaves what came for the next download; whether there is anything. No other handle may be open.
    pub(crate) async fn leave(self) -> bool {
        let left = blocking(move || {
            let is_empty = self.file.metadata().is_ok_and(|found| found.len() == 0);
            if is_empty {
                self.remove();
            }
            Ok(!is_empty)
        });
        left.await.unwrap_or(true)
    }

    fn remove(self) {
        if self.is_still_there().is_ok() {
            let _file = movable(self.file);
            let Names { partial, checkpoint, next, .. } = &self.names;
            for name in [partial, checkpoint, next] {
                let _ = removed(name);
            }
        }
    }

    /// Whoever gives up deletes the files, and somebody else may have begun since: then the names
    /// are theirs.
    fn is_still_there(&self) -> io::Result<()> {
        let partial = &self.names.partial;
        if is_at(&self.file, partial)? { Ok(()) } else { Err(replaced(partial)) }
    }
}

impl Names {
    fn beside(target: &Path) -> Result<Self> {
        let Some(name) = target.file_name() else {
            let text = format!("`{}` does not end with the name of a file", target.display());
            return Err(Error::new(ErrorKind::InvalidInput, text));
        };
        let beside = |ending: &str| {
            let mut name = name.to_owned();
            name.push(ending);
            directory_of(target).join(name)
        };
        let [partial, checkpoint, next] = [PARTIAL, CHECKPOINT, NEXT].map(beside);
        Ok(Self { target: target.to_owned(), partial, checkpoint, next })
    }

    /// Finds before anything is sent what could not be written in the end.
    fn check(&self) -> io::Result<()> {
        match fs::symlink_metadata(&self.target) {
            Ok(found) if found.is_dir() => {
                let text = "it is a folder: choose another path";
                return Err(io::Error::new(io::ErrorKind::IsADirectory, text));
            }
            _ => {}
        }
        match fs::symlink_metadata(&self.checkpoint) {
            Err(error) if error.kind() == io::ErrorKind::InvalidFilename => {
                let text =
                    format!("with `{CHECKPOINT}` behind it the name is too long: shorten it");
                Err(io::Error::new(error.kind(), text))
            }
            _ => Ok(()),
        }
    }
}

fn replaced(partial: &Path) -> io::Error {
    let text = format!("`{}` was removed or replaced meanwhile", partial.display());
    io::Error::new(io::ErrorKind::NotFound, text)
}

fn removed(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(named(path, error)),
        _ => Ok(()),
    }
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

/// The text of a checkpoint; nothing if there is none, or what cannot be one.
fn read_small(path: &Path) -> io::Result<Option<String>> {
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        found => found?,
    };
    if !found.is_file() || found.len() > MAX_CHECKPOINT {
        return Ok(None);
    }
    let mut text = Vec::new();
    let file = File::open(path).map_err(|error| named(path, error))?;
    file.take(MAX_CHECKPOINT).read_to_end(&mut text)?;
    Ok(String::from_utf8(text).ok())
}

const PARTIAL: &str = ".acr-partial";
const CHECKPOINT: &str = ".acr-checkpoint";
/// None may be longer than that of the checkpoint.
const NEXT: &str = ".acr-next";

/// Many times what one has.
const MAX_CHECKPOINT: u64 = 64 * 1024;

/// A second in all.
const ATTEMPTS: usize = 20;
const PATIENCE: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use acr_core::Digester;

    use super::*;

    /// A disk that fails, no more files to be opened: it may be otherwise the next time.
    #[test]
    fn what_cannot_be_read_now_is_not_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let names = Names::beside(&folder.path().join("file")).unwrap();
        let digest = Digest::sha256(b"sample layer");
        let mut digester = Digester::default();
        digester.update(b"sample");
        let repository = "library/app".parse().unwrap();
        let saved = DownloadCheckpoint::new(repository, digest.clone(), &digester, Some(12));
        fs::write(&names.checkpoint, serde_json::to_vec(&saved).unwrap()).unwrap();
        fs::write(&names.partial, "sample").unwrap();
        let running = AtomicBool::new(false);
        // This handle may not read.
        let file = File::options().write(true).open(&names.partial).unwrap();
        let mut kept = Kept { names, file };
        assert!(kept.read(&digest, &running).is_err());
        kept.file = File::options().read(true).write(true).open(&kept.names.partial).unwrap();
        assert_eq!(kept.read(&digest, &running).unwrap().unwrap(), saved);
        assert!(kept.read(&Digest::sha256(b"other"), &running).unwrap().is_err());
        assert_eq!(fs::read(&kept.names.partial).unwrap(), b"sample");
    }
}
