//! Files as the content of uploads, looked at when they are opened.

use std::path::PathBuf;

use acr_core::{Error, ErrorKind, Result, http::BoxError};
use tokio::{
    fs::File,
    io::{AsyncSeekExt as _, AsyncWriteExt as _},
};

use crate::{source::Source, stamp::Stamp};

/// A file that was not looked at yet.
pub(crate) enum Unopened {
    At(PathBuf),
    File(File),
}

impl Unopened {
    pub(crate) async fn open(self) -> Result<Source> {
        let (file, name) = match self {
            Self::At(path) => {
                let name = format!("`{}`", path.display());
                let file = File::open(&path).await;
                (file.map_err(|error| unreadable(&name, error))?, name)
            }
            Self::File(file) => (file, "the file".to_owned()),
        };
        source(file).await.map_err(|error| unreadable(&name, error))
    }
}

async fn source(mut file: File) -> Result<Source, BoxError> {
    // What was written and is under way, or failed, without anybody having been told.
    file.flush().await?;
    let metadata = file.metadata().await?;
    if metadata.is_dir() {
        return Err("it is a directory".into());
    }
    // Only a regular file knows its length beforehand and can be read again.
    if !metadata.is_file() {
        return Ok(Source::Reader(Box::pin(file)));
    }
    // One that was given open may stand anywhere.
    file.rewind().await?;
    let file = file.into_std().await;
    let stamp = Stamp::of(&metadata);
    if metadata.len() > 0 {
        return Ok(Source::File { file, stamp });
    }
    let (file, is_empty) = probe(file).await?;
    Ok(if is_empty {
        Source::File { file, stamp }
    } else {
        Source::Reader(Box::pin(File::from_std(file)))
    })
}

fn unreadable(name: &str, error: impl Into<BoxError>) -> Error {
    Error::new(ErrorKind::Source, format!("cannot read {name}")).with_source(error)
}

/// Whether a file without a length has no content either: those of `/proc` have some, and
/// tell no length. What follows reads from the first byte.
async fn probe(mut file: std::fs::File) -> Result<(std::fs::File, bool), BoxError> {
    use std::io::{Read as _, Seek as _};
    let probed = tokio::task::spawn_blocking(move || {
        let is_empty = file.read(&mut [0])? == 0;
        file.rewind()?;
        Ok::<_, std::io::Error>((file, is_empty))
    });
    Ok(probed.await??)
}
