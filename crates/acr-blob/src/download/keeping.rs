//! A download into a file that can be gone on with.

use std::path::Path;

use acr_core::{Error, ErrorKind, Result};
use tokio::{
    fs::File,
    io::{AsyncWriteExt as _, BufWriter},
};

use crate::{
    download::{
        checkpoint::DownloadCheckpoint,
        kept::{Kept, unwritable},
        reader::BlobReader,
    },
    file::{BUFFER, directory_of, sync_directory},
};

/// Writes what comes to the partial file, notes how far it got, and moves it into place in the end.
pub(crate) async fn store(mut reader: BlobReader, mut kept: Kept, target: &Path) -> Result<u64> {
    let mut file = BufWriter::with_capacity(BUFFER, File::from_std(kept.writer()?));
    let mut unnoted = 0u64;
    let ended = loop {
        let piece = match reader.chunk().await {
            Ok(Some(piece)) => piece,
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        };
        let written = file.write_all(&piece).await;
        written.map_err(|error| reader.describe(unwritable(target, error)))?;
        unnoted = unnoted.saturating_add(piece.len() as u64);
        if unnoted >= NOTE_EVERY {
            let noted = note(&mut file, kept, reader.checkpoint(), target).await;
            kept = noted.map_err(|error| reader.describe(error))?;
            unnoted = 0;
        }
    };
    if let Err(error) = ended {
        if reader.is_refuted() {
            closed(file).await;
            return Err(refuted(error, kept).await);
        }
        // Of two errors the first one tells why.
        return match note(&mut file, kept, reader.checkpoint(), target).await {
            Ok(kept) => {
                closed(file).await;
                Err(left(error, kept).await)
            }
            Err(_) => Err(error),
        };
    }
    let size = reader.checkpoint().delivered();
    let synced = async {
        file.flush().await?;
        file.get_ref().sync_all().await
    };
    synced.await.map_err(|error| reader.describe(unwritable(target, error)))?;
    closed(file).await;
    kept.finish().await.map_err(|error: Error| reader.describe(error))?;
    sync_directory(directory_of(target)).await;
    Ok(size)
}

/// Removes what was kept: it can never become the blob.
async fn refuted(error: Error, kept: Kept) -> Error {
    match kept.discard().await {
        true => error.with_hint("what was kept of the download is removed: begin anew"),
        false => error,
    }
}

/// Leaves what was kept for the next call.
pub(crate) async fn left(error: Error, kept: Kept) -> Error {
    let is_kept = kept.leave().await;
    if !is_kept || error.kind() != ErrorKind::Integrity || error.hint().is_some() {
        return error;
    }
    // One answer may have been wrong, or what is kept is of a wrong one: nobody can say.
    error.with_hint(
        "what was kept of the download stays; if this comes again, delete the files beside the target \
         (`.acr-partial`, `.acr-checkpoint`) to begin anew",
    )
}

/// What the checkpoint counts must be in the file before it.
async fn note(
    file: &mut BufWriter<File>,
    kept: Kept,
    checkpoint: DownloadCheckpoint,
    target: &Path,
) -> Result<Kept> {
    file.flush().await.map_err(|error| unwritable(target, error))?;
    kept.note(checkpoint).await
}

/// Waits for what is still being written, and closes.
async fn closed(file: BufWriter<File>) {
    drop(file.into_inner().into_std().await);
}

/// What is fetched again at most after a process was killed.
const NOTE_EVERY: u64 = 4 * 1024 * 1024;
