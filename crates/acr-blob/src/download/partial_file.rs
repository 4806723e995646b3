//! A file with the beginning of a download, on disk since another process wrote it.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use acr_core::{Digester, Error, ErrorKind, Result};
use tokio::task::spawn_blocking;

use crate::download::checkpoint::DownloadCheckpoint;

impl DownloadCheckpoint {
    /// Opens the file that what was read was written to, as it was at the checkpoint: what
    /// was written later is cut off, and the next byte goes behind the last one.
    ///
    /// The file is read and compared: after a crash of the machine it may have fewer bytes
    /// than the checkpoint says, or zeros in their place. Sends nothing.
    ///
    /// ```no_run
    /// # async fn go_on(blobs: &acr_blob::BlobClient, saved: acr_blob::DownloadCheckpoint) -> acr_core::Result<()> {
    /// use std::io::Write as _;
    ///
    /// let mut file = saved.reopen("layer.partial").await?;
    /// let digest = saved.digest().clone();
    /// let mut reader = blobs.download(&digest).resume(saved).await?;
    /// while let Some(piece) = reader.chunk().await? {
    ///     file.write_all(&piece).expect("the disk has room");
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Source`] when the file cannot be opened or lacks some of what was read:
    /// start anew, without the checkpoint.
    ///
    /// # Cancellation
    ///
    /// A drop ends the comparison; the file may have been cut.
    pub async fn reopen(&self, path: impl AsRef<Path> + Send) -> Result<File> {
        let digester = self.digester()?;
        let path = path.as_ref().to_owned();
        let shown = path.display().to_string();
        let stop = Stop::default();
        let stopped = stop.flag();
        let opened = spawn_blocking(move || reopen(&path, &digester, &stopped)).await;
        opened.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(|error| {
            let text = format!("cannot go on with `{shown}`; start anew, without the checkpoint");
            Error::new(ErrorKind::Source, text).with_source(error)
        })
    }
}

/// Tells what works on a thread that nobody waits for it any more, when it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    pub(crate) fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn reopen(path: &Path, saved: &Digester, stopped: &AtomicBool) -> io::Result<File> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    rewind(&mut file, saved, stopped)?;
    Ok(file)
}

/// Cuts a file to what the digester has seen, if that is what is in it. `UnexpectedEof` or
/// `InvalidData` if it is not.
pub(crate) fn rewind(file: &mut File, saved: &Digester, stopped: &AtomicBool) -> io::Result<()> {
    file.rewind()?;
    let mut digester = saved.clone().finish().digester();
    let mut buffer = vec![0; BUFFER];
    let mut left = saved.len();
    while left > 0 {
        // Many gigabytes take minutes.
        if stopped.load(Ordering::Relaxed) {
            return Err(io::Error::other("nobody waits for it any more"));
        }
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let read = match file.read(buffer.get_mut(..most).unwrap_or_default()) {
            Ok(0) => {
                let text = format!("it has {} of the {} bytes", digester.len(), saved.len());
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
            }
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        digester.update(buffer.get(..read).unwrap_or_default());
        left = left.saturating_sub(read as u64);
    }
    if digester.finish() != saved.clone().finish() {
        let text = "it does not have what was read before the checkpoint";
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    file.set_len(saved.len())?;
    file.seek(SeekFrom::End(0))?;
    Ok(())
}

const BUFFER: usize = 256 * 1024;
