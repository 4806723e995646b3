//! Content that can be read again from any offset.

#[cfg(feature = "fs")]
use std::fs::File;

use acr_core::{Digester, Result};
#[cfg(feature = "fs")]
use acr_core::{Error, ErrorKind};
use bytes::Bytes;
#[cfg(feature = "fs")]
use tokio::task::spawn_blocking;

use crate::stamp::Stamp;
#[cfg(feature = "fs")]
use crate::{
    source::unreadable,
    upload::sync::{Arc, Mutex, lock},
};

/// Content that can be read again from any offset.
#[derive(Clone)]
pub(crate) enum Replay {
    Bytes(Bytes),
    #[cfg(feature = "fs")]
    File {
        file: Arc<Mutex<File>>,
        /// What it was when it was opened.
        stamp: Arc<Stamp>,
    },
}

impl Replay {
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            #[cfg(feature = "fs")]
            Self::File { stamp, .. } => stamp.len(),
        }
    }

    pub(crate) async fn read(&self, from: u64, to: u64) -> Result<Bytes> {
        match self {
            Self::Bytes(_) => self.read_now(from, to),
            #[cfg(feature = "fs")]
            Self::File { .. } => {
                let replay = self.clone();
                spawn_blocking(move || replay.read_now(from, to)).await.map_err(unreadable)?
            }
        }
    }

    pub(crate) fn read_now(&self, from: u64, to: u64) -> Result<Bytes> {
        match self {
            Self::Bytes(bytes) => {
                let end = index(to).min(bytes.len());
                Ok(bytes.slice(index(from).min(end)..end))
            }
            #[cfg(feature = "fs")]
            Self::File { file, stamp } => {
                let mut buffer = vec![0; index(to.saturating_sub(from))];
                match read_exact_at(&lock(file), &mut buffer, from) {
                    Ok(()) => Ok(buffer.into()),
                    Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                        Err(changed(stamp.len(), "it became shorter"))
                    }
                    Err(error) => Err(unreadable(error)),
                }
            }
        }
    }

    /// What it was when it was opened, where that can be told.
    pub(crate) fn stamp(&self) -> Option<&Stamp> {
        match self {
            Self::Bytes(_) => None,
            #[cfg(feature = "fs")]
            Self::File { stamp, .. } => Some(stamp),
        }
    }

    /// Whether the content is still what it was. Where the file system could not show a
    /// change, all of it is read again and must have the hash of what was read, if given.
    #[cfg_attr(not(feature = "fs"), expect(unused_variables, reason = "only files change"))]
    pub(crate) async fn check_unchanged(&self, hash: Option<Digester>) -> Result<()> {
        let replay = self.clone();
        match self {
            Self::Bytes(_) => Ok(()),
            #[cfg(feature = "fs")]
            Self::File { .. } => {
                let check = spawn_blocking(move || {
                    replay.check_now()?;
                    match hash {
                        Some(hash) => replay.compare_now(hash),
                        None => Ok(()),
                    }
                });
                check.await.map_err(unreadable)?
            }
        }
    }

    pub(crate) fn check_now(&self) -> Result<()> {
        match self {
            Self::Bytes(_) => Ok(()),
            #[cfg(feature = "fs")]
            Self::File { file, stamp } => {
                let now = Stamp::of(&lock(file).metadata().map_err(unreadable)?);
                stamp.change(&now).map_or(Ok(()), |how| Err(changed(stamp.len(), how)))
            }
        }
    }

    #[cfg(feature = "fs")]
    fn compare_now(&self, hash: Digester) -> Result<()> {
        if self.stamp().is_none_or(Stamp::is_settled) {
            return Ok(());
        }
        let expected = hash.finish();
        let (mut again, len) = (expected.digester(), self.len());
        let mut at = 0;
        while at < len {
            let piece = self.read_now(at, len.min(at.saturating_add(PIECE)))?;
            at = at.saturating_add(piece.len() as u64);
            again.update(&piece);
        }
        if again.finish() == expected { Ok(()) } else { Err(changed(len, "it was written to")) }
    }
}

/// Reads from a place, wherever the file stands: whoever has a clone of it shares its cursor.
#[cfg(all(feature = "fs", unix))]
fn read_exact_at(file: &File, buffer: &mut [u8], from: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, from)
}

/// The same; here it moves the cursor, but reads from the place it is told.
#[cfg(all(feature = "fs", windows))]
fn read_exact_at(file: &File, mut buffer: &mut [u8], mut from: u64) -> std::io::Result<()> {
    use std::os::windows::fs::FileExt as _;
    while !buffer.is_empty() {
        match file.seek_read(buffer, from) {
            Ok(0) => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => {
                buffer = buffer.get_mut(read..).unwrap_or_default();
                from = from.saturating_add(read as u64);
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(feature = "fs")]
fn changed(len: u64, how: &str) -> Error {
    let text = format!("the content changed: {len} bytes before, and {how}");
    Error::new(ErrorKind::Source, text)
}

pub(crate) fn index(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

/// Read, hashed and sent at once.
pub(crate) const PIECE: u64 = 512 * 1024;
