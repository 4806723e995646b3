//! Everything into a registry.

use std::{fs, io, io::Cursor, ops::RangeInclusive, time::Duration};

use acr_blob::{Content, Mount, UploadCheckpoint};
use acr_core::{Digest, ErrorKind};
use acr_interop::{RegistrySoftware, Trials};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use tempfile::TempDir;
use tokio::{sync::watch, time::timeout};

use crate::{
    Server, noise,
    support::{Result, ensure, same},
};

const REPOSITORY: &str = "library/pushed";
const CHUNK: usize = 256 * 1024;

/// Far more than two chunks take.
const LIMIT: Duration = Duration::from_secs(60);

pub(crate) async fn run(server: &Server, trials: &mut Trials) -> Result {
    trials.pass("upload a file as one body", one_body(server)).await?;
    trials.pass("upload in chunks", chunks(server)).await?;
    trials.pass("upload a stream of unknown length", unknown_length(server)).await?;
    trials.pass("upload nothing", empty(server)).await?;
    trials.pass("refuse another digest than expected", wrong_digest(server)).await?;
    trials.pass("skip what is there", skip_existing(server)).await?;
    trials.pass("write, ask, write on in a session", session(server)).await?;
    let (session, upload) =
        ("go on with a session by its checkpoint", "resume an upload of another process");
    let (cancelled, mounted) = ("cancel an upload", "mount from another repository");
    if server.software == RegistrySoftware::GoContainerRegistry {
        trials.unsupported(session, NO_STATUS, lost_session(server)).await?;
        // GET, DELETE, and then everything anew: POST, three PATCHes, PUT.
        trials.unsupported(upload, NO_STATUS, resumed_upload(server, 6..=7)).await?;
        trials.unsupported(cancelled, NO_CANCEL, not_cancelled(server)).await?;
        trials.unsupported(mounted, NO_MOUNT, uploaded_instead(server)).await?;
    } else {
        trials.pass(session, resumed_session(server)).await?;
        // GET, PATCH with the third chunk, PUT with the fourth or another PATCH before it.
        trials.pass(upload, resumed_upload(server, 3..=4)).await?;
        trials.pass(cancelled, cancel(server)).await?;
        trials.pass(mounted, mount(server)).await?;
    }
    Ok(())
}

const NO_STATUS: &str = "answers 400 `NAME_INVALID` to a GET of an upload (pkg/registry/blobs.go \
    takes the upload's id for a digest), so that nobody can learn how far one got; content that \
    can be read again goes again from its first byte, and is stored";
const NO_CANCEL: &str = "answers 400 `NAME_INVALID` to a DELETE of an upload \
    (pkg/registry/blobs.go takes the upload's id for a digest)";
const NO_MOUNT: &str = "ignores `mount` (pkg/registry/blobs.go does not read it) and opens an \
    upload, through which the blob then goes";

async fn one_body(server: &Server) -> Result {
    let content = noise(5 * CHUNK + 17, 1);
    let folder = TempDir::new()?;
    let path = folder.path().join("layer");
    fs::write(&path, &content)?;
    let before = server.registry.facade().counts().forwarded;
    let info = server.blobs(REPOSITORY)?.upload(Content::file(&path).await?).await?;
    let requests = server.registry.facade().counts().forwarded - before;
    // POST and one PUT: 1.25 MiB are less than a chunk of the default size.
    same(requests, 2, "requests")?;
    stored(server, &info.digest, &content).await
}

async fn chunks(server: &Server) -> Result {
    let content = noise(5 * CHUNK + 18, 2);
    let upload = server.blobs(REPOSITORY)?;
    let before = server.registry.facade().counts().forwarded;
    let info = upload.upload(content.clone()).chunk_size(CHUNK).await?;
    let requests = server.registry.facade().counts().forwarded - before;
    ensure(requests >= 7, "it did not go in chunks")?;
    stored(server, &info.digest, &content).await
}

async fn unknown_length(server: &Server) -> Result {
    // Also a whole number of chunks: the end is only known after the last of them.
    for (length, seed) in [(3 * CHUNK + 1, 3), (2 * CHUNK, 4)] {
        let content = noise(length, seed);
        let source = Content::reader(Cursor::new(content.clone()));
        let info = server.blobs(REPOSITORY)?.upload(source).chunk_size(CHUNK).await?;
        stored(server, &info.digest, &content).await?;
    }
    Ok(())
}

async fn empty(server: &Server) -> Result {
    let info = server.blobs(REPOSITORY)?.upload(Bytes::new()).await?;
    same(info.size, 0, "size")?;
    stored(server, &Digest::sha256(b""), b"").await
}

async fn wrong_digest(server: &Server) -> Result {
    let expected = Digest::sha256(b"something else");
    let upload = server.blobs(REPOSITORY)?;
    let error = upload.upload("this").digest(&expected).await;
    let error = error.err().ok_or("it stored the wrong content")?;
    same(error.kind(), ErrorKind::Integrity, "kind")?;
    ensure(!upload.exists(&expected).await?, "it has something of that digest")
}

async fn skip_existing(server: &Server) -> Result {
    let (blobs, content) = (server.blobs(REPOSITORY)?, noise(CHUNK, 5));
    let digest = Digest::sha256(&content);
    blobs.upload(content.clone()).await?;
    let before = server.registry.facade().counts().forwarded;
    let info = blobs.upload(content).digest(&digest).skip_existing().await?;
    same((info.digest, info.size), (digest, CHUNK as u64), "blob")?;
    same(server.registry.facade().counts().forwarded - before, 1, "requests")
}

async fn session(server: &Server) -> Result {
    let content = noise(3 * CHUNK, 6);
    let mut session = server.blobs(REPOSITORY)?.start_upload().await?;
    session.write(content.slice(..CHUNK)).await?;
    if server.software == RegistrySoftware::GoContainerRegistry {
        // It cannot be asked, and the session goes on all the same.
        let error = session.status().await.err().ok_or("it knows how far the upload got")?;
        same(error.kind(), ErrorKind::Rejected, "kind")?;
    } else {
        same(session.status().await?, CHUNK as u64, "what it has")?;
    }
    session.write(content.slice(CHUNK..2 * CHUNK)).await?;
    same(session.offset(), 2 * CHUNK as u64, "what it confirmed")?;
    let digest = Digest::sha256(&content);
    let info = session.complete(content.slice(2 * CHUNK..), Some(&digest)).await?;
    same(info.size, content.len() as u64, "size")?;
    stored(server, &digest, &content).await
}

async fn resumed_session(server: &Server) -> Result {
    let content = noise(2 * CHUNK, 7);
    let mut session = server.blobs(REPOSITORY)?.start_upload().await?;
    session.write(content.slice(..CHUNK)).await?;
    let saved = serde_json::to_string(&session.checkpoint().ok_or("no checkpoint")?)?;
    drop(session);

    let checkpoint: UploadCheckpoint = serde_json::from_str(&saved)?;
    let session = server.blobs(REPOSITORY)?.resume_upload(&checkpoint).await?;
    same(session.offset(), CHUNK as u64, "what it has")?;
    let info = session.complete(content.slice(CHUNK..), None).await?;
    stored(server, &info.digest, &content).await
}

async fn lost_session(server: &Server) -> Result {
    let mut session = server.blobs(REPOSITORY)?.start_upload().await?;
    session.write(noise(CHUNK, 7)).await?;
    let checkpoint = session.checkpoint().ok_or("no checkpoint")?;
    drop(session);
    let resumed = server.blobs(REPOSITORY)?.resume_upload(&checkpoint).await;
    let error = resumed.err().ok_or("it knows how far the upload got")?;
    same(error.kind(), ErrorKind::Session, "kind")
}

/// Dropped after its second chunk, as if the process had been killed, and gone on with by another.
async fn resumed_upload(server: &Server, expected: RangeInclusive<usize>) -> Result {
    let content = noise(4 * CHUNK, 8);
    let (saver, mut saved) = watch::channel(String::new());
    let save = move |checkpoint: &UploadCheckpoint| {
        if checkpoint.confirmed() == 2 * CHUNK as u64 {
            saver.send_replace(serde_json::to_string(checkpoint).unwrap_or_default());
        }
    };
    let blobs = server.blobs(REPOSITORY)?;
    // A source that gives three quarters and then nothing, not even its end: the third chunk
    // stays here, for it may be the last.
    let pieces = (0..3).map(|piece| content.slice(piece * CHUNK..(piece + 1) * CHUNK));
    let pieces: Vec<_> = pieces.map(Ok::<_, io::Error>).collect();
    let source = Content::stream(stream::iter(pieces).chain(stream::pending()));
    let upload = blobs.upload(source).chunk_size(CHUNK).on_checkpoint(save);
    tokio::select! {
        ended = upload.into_future() => return Err(format!("it ended: {ended:?}").into()),
        told = timeout(LIMIT, saved.changed()) => told??,
    }

    let checkpoint: UploadCheckpoint = serde_json::from_str(&saved.borrow())?;
    let before = server.registry.facade().counts().forwarded;
    let info = blobs.upload(content.clone()).chunk_size(CHUNK).resume(checkpoint).await?;
    let requests = server.registry.facade().counts().forwarded - before;
    ensure(expected.contains(&requests), &format!("{requests} requests"))?;
    stored(server, &info.digest, &content).await
}

async fn cancel(server: &Server) -> Result {
    let blobs = server.blobs(REPOSITORY)?;
    let mut session = blobs.start_upload().await?;
    session.write(noise(CHUNK, 9)).await?;
    let checkpoint = session.checkpoint().ok_or("no checkpoint")?;
    session.cancel().await?;
    let error = blobs.resume_upload(&checkpoint).await.err().ok_or("the session lives on")?;
    same(error.kind(), ErrorKind::Session, "kind")
}

async fn mount(server: &Server) -> Result {
    let content = noise(CHUNK, 10);
    let from = server.blobs("library/mounted-from")?;
    let blob = from.upload(content.clone()).await?;
    let to = server.blobs("library/mounted-to")?;
    let mounted = to.mount(&blob.digest, from.repository()).await?;
    ensure(matches!(mounted, Mount::Mounted), "it opened an upload instead")?;
    let back = to.download(&blob.digest).await?.bytes(content.len()).await?;
    ensure(back == content, "the content differs")?;

    // What is nowhere is uploaded by the session that the same request opened.
    let absent = noise(CHUNK, 11);
    let digest = Digest::sha256(&absent);
    match to.mount(&digest, from.repository()).await? {
        Mount::NotMounted(session) => {
            session.complete(absent.clone(), Some(&digest)).await?;
        }
        _ => return Err("it mounted what is nowhere".into()),
    }
    ensure(to.exists(&digest).await?, "it is not there")
}

async fn not_cancelled(server: &Server) -> Result {
    let mut session = server.blobs(REPOSITORY)?.start_upload().await?;
    session.write(noise(CHUNK, 9)).await?;
    let error = session.cancel().await.err().ok_or("it cancelled the upload")?;
    same(error.kind(), ErrorKind::Rejected, "kind")
}

async fn uploaded_instead(server: &Server) -> Result {
    let content = noise(CHUNK, 10);
    let from = server.blobs("library/mounted-from")?;
    let digest = from.upload(content.clone()).await?.digest;
    let to = server.blobs("library/mounted-to")?;
    match to.mount(&digest, from.repository()).await? {
        Mount::NotMounted(session) => {
            session.complete(content.clone(), Some(&digest)).await?;
        }
        _ => return Err("it mounted the blob".into()),
    }
    let back = to.download(&digest).await?.bytes(content.len()).await?;
    ensure(back == content, "the content differs")
}

async fn stored(server: &Server, digest: &Digest, content: &[u8]) -> Result {
    same(digest, &Digest::sha256(content), "digest")?;
    let reader = server.blobs(REPOSITORY)?.download(digest).await?;
    let back = reader.bytes(content.len()).await?;
    ensure(back == content, "the content differs")
}
