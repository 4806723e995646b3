//! Everything out of a registry, and blobs deleted.

use std::fs;

use acr_blob::DownloadCheckpoint;
use acr_core::{ByteRange, Digest, ErrorKind};
use acr_interop::Trials;
use tempfile::TempDir;

use crate::{
    Server, noise,
    support::{Result, ensure, same},
};

const REPOSITORY: &str = "library/content";
const SIZE: usize = 1024 * 1024;

pub(crate) async fn run(server: &Server, trials: &mut Trials) -> Result {
    trials.pass("ask whether a blob is there, and how long", stat(server)).await?;
    trials.pass("download into a file, verified", to_file(server)).await?;
    trials.pass("read a range", range(server)).await?;
    trials.pass("go on with a download by its checkpoint", resumed(server)).await?;
    trials.pass("a missing blob is NotFound", missing(server)).await?;
    trials.pass("delete a blob", delete(server)).await?;
    Ok(())
}

async fn stat(server: &Server) -> Result {
    let blobs = server.blobs(REPOSITORY)?;
    let blob = blobs.upload(noise(SIZE, 20)).await?;
    let found = blobs.blob_properties(&blob.digest).await?;
    same(found.size, SIZE as u64, "size")?;
    ensure(blobs.has_range(&blob.digest, ByteRange::new(0, Some(99))?).await?, "no first bytes")?;
    let beyond = ByteRange::new(SIZE as u64, None)?;
    ensure(!blobs.has_range(&blob.digest, beyond).await?, "it has bytes beyond its end")
}

async fn to_file(server: &Server) -> Result {
    let (blobs, content) = (server.blobs(REPOSITORY)?, noise(SIZE, 21));
    let blob = blobs.upload(content.clone()).await?;
    let folder = TempDir::new()?;
    let path = folder.path().join("copy");
    same(blobs.download(&blob.digest).to_file(&path).await?, SIZE as u64, "size")?;
    ensure(fs::read(&path)? == content, "the copy differs")
}

async fn range(server: &Server) -> Result {
    let (blobs, content) = (server.blobs(REPOSITORY)?, noise(SIZE, 22));
    let blob = blobs.upload(content.clone()).await?;
    let range = ByteRange::new(1000, Some(1999))?;
    let part = blobs.download_range(&blob.digest, range).await?;
    same(part.total(), Some(SIZE as u64), "total")?;
    ensure(part.bytes(1000).await? == content.slice(1000..2000), "the part differs")
}

async fn resumed(server: &Server) -> Result {
    let (blobs, content) = (server.blobs(REPOSITORY)?, noise(SIZE, 23));
    let blob = blobs.upload(content.clone()).await?;
    let mut reader = blobs.download(&blob.digest).await?;
    let first = reader.chunk().await?.ok_or("it is empty")?;
    let saved = serde_json::to_string(&reader.checkpoint())?;
    drop(reader);

    let checkpoint: DownloadCheckpoint = serde_json::from_str(&saved)?;
    same(checkpoint.delivered(), first.len() as u64, "delivered")?;
    let rest = blobs.download(&blob.digest).resume(checkpoint).await?.bytes(SIZE).await?;
    ensure([first, rest].concat() == content, "the parts do not make the content")
}

async fn missing(server: &Server) -> Result {
    let blobs = server.blobs(REPOSITORY)?;
    let absent = Digest::sha256(b"absent");
    ensure(!blobs.exists(&absent).await?, "it tells of a blob that is not there")?;
    let error = blobs.blob_properties(&absent).await.err().ok_or("it has what nobody pushed")?;
    same(error.kind(), ErrorKind::NotFound, "kind of its properties")?;
    let error = blobs.download(&absent).await.err().ok_or("it has what nobody pushed")?;
    same(error.kind(), ErrorKind::NotFound, "kind")?;
    same(error.code().map(ToString::to_string), Some("BLOB_UNKNOWN".to_owned()), "code")
}

async fn delete(server: &Server) -> Result {
    let blobs = server.blobs(REPOSITORY)?;
    let blob = blobs.upload(noise(100, 24)).await?;
    let first = blobs.delete_blob(&blob.digest).await?;
    ensure(first.existed(), "it was not there")?;
    ensure(!blobs.exists(&blob.digest).await?, "it is still there")
}
