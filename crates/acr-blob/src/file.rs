//! Writes a download to disk: temporary file, sync, rename.

use std::{io, path::Path};

use acr_core::{Error, ErrorKind, Result};
use tokio::io::{AsyncWriteExt as _, BufWriter};

use crate::download::BlobReader;

/// Stores a verified download at a path; nothing is left behind on failure or drop.
pub(crate) async fn store(mut reader: BlobReader, path: &Path) -> Result<u64> {
    let directory = directory_of(path);
    let unwritable = |error: io::Error| {
        let text = format!("cannot write `{}`", path.display());
        Error::new(ErrorKind::Source, text).with_source(error)
    };
    let temporary = tempfile::Builder::new()
        .prefix(".acr-")
        .suffix(".partial")
        .tempfile_in(directory)
        .map_err(|error| reader.describe(unwritable(error)))?;
    // `place` removes the file when it is dropped before it is persisted.
    let (file, place) = temporary.into_parts();
    let mut writer = BufWriter::with_capacity(BUFFER, tokio::fs::File::from_std(file));

    let mut size = 0u64;
    while let Some(piece) = reader.chunk().await? {
        size = size.saturating_add(piece.len() as u64);
        writer.write_all(&piece).await.map_err(|error| reader.describe(unwritable(error)))?;
    }
    let finish = async {
        writer.flush().await?;
        writer.get_ref().sync_all().await?;
        drop(writer);
        place.persist(path).map_err(|error| error.error)
    };
    finish.await.map_err(|error| reader.describe(unwritable(error)))?;
    sync_directory(directory).await;
    Ok(size)
}

/// Where a file stands or will stand.
pub(crate) fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Makes the new name durable, where the platform can. The file is in place and its
/// content synced: a failure here is no failure of the download.
pub(crate) async fn sync_directory(directory: &Path) {
    let synced = match tokio::fs::File::open(directory).await {
        Ok(directory) => directory.sync_all().await,
        Err(error) => Err(error),
    };
    if let Err(error) = synced {
        tracing::debug!(%error, "the directory could not be synced");
    }
}

/// TLS delivers 16 KiB at a time; the disk prefers more.
pub(crate) const BUFFER: usize = 256 * 1024;
