//! Uploads with everything at once: processes that end and others that go on, sources that
//! change, dropped futures, and a registry that keeps to little.
//!
//! `ACR_BLOB_UPLOAD_CASES` sets how many; `ACR_BLOB_UPLOAD_SEED` which ones come first.

mod case;
mod source;

use std::{
    cell::Cell,
    fs,
    future::{IntoFuture as _, poll_fn},
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::{Duration, SystemTime},
};

use acr_blob::{BlobClient, BlobInfo, Content, UploadCheckpoint};
use acr_core::{Digest, Error, ErrorKind};
use bytes::Bytes;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use self::{
    case::{Case, Given, Process, case},
    source::{Change, Source, set_time},
};
use crate::{content, pieces, unkind::Unkind};

async fn given(given: Given, source: &Arc<Mutex<Source>>) -> Content {
    let (path, now) = {
        let source = source.lock().unwrap();
        (source.path.clone(), Bytes::from(source.now.clone()))
    };
    match given {
        Given::Bytes | Given::Session => Content::from(now),
        Given::File => Content::file(path).await.unwrap(),
        Given::Stream => pieces(&now, 97),
        Given::Reader => Content::reader(std::io::Cursor::new(now)),
    }
}

/// Drives a future for some polls, each when it was woken; `None` if it was dropped before its
/// end.
async fn polled<T>(future: impl Future<Output = T>, polls: usize) -> Option<T> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|cx| {
        let Some(less) = left.checked_sub(1) else { return Poll::Ready(None) };
        left = less;
        future.as_mut().poll(cx).map(Some)
    })
    .await
}

/// A checkpoint, and the content that it is of, unless that is a mixture.
type Saved = (String, Option<Vec<u8>>);

/// An upload by one process, from a checkpoint if there is one.
async fn upload(
    blobs: &BlobClient,
    case: &Case,
    process: &Process,
    source: &Arc<Mutex<Source>>,
    saved: &Arc<Mutex<Vec<Saved>>>,
) -> Option<Result<BlobInfo, Error>> {
    let first = source.lock().unwrap().now.clone();
    let checkpoint = {
        let saved = saved.lock().unwrap();
        saved.iter().rev().nth(process.checkpoint).cloned()
    };
    let is_once = matches!(case.given, Given::Stream | Given::Reader);
    let (mut content, mut is_known, mut of) = (None, process.is_known, Some(first.clone()));
    if let (Some((text, was)), true) = (&checkpoint, is_once && process.vouches) {
        let confirmed = parsed(text).confirmed() as usize;
        let rest = Bytes::copy_from_slice(first.get(confirmed..).unwrap_or_default());
        content = Some(pieces(&rest, 97));
        // Only the digest tells what goes on with other content.
        let is_mixture = was.as_ref() != Some(&first);
        is_known |= is_mixture;
        of = of.filter(|_| !is_mixture);
    }
    let is_vouched = content.is_some();
    let content = match content {
        Some(rest) => rest,
        None => given(case.given, source).await,
    };
    let mut upload = blobs.upload(content);
    if is_known {
        upload = upload.digest(Digest::sha256(&first));
    }
    if let Some(chunk) = process.chunk {
        let log = Arc::clone(saved);
        upload = upload.chunk_size(chunk).on_checkpoint(move |checkpoint: &UploadCheckpoint| {
            log.lock().unwrap().push((serde_json::to_string(checkpoint).unwrap(), of.clone()));
        });
    }
    upload = match checkpoint {
        Some((text, _)) if is_vouched => upload.resume_vouched(parsed(&text)),
        Some((text, _)) => upload.resume(parsed(&text)),
        None => upload,
    };
    polled(upload.into_future(), process.polls).await
}

fn parsed(text: &str) -> UploadCheckpoint {
    serde_json::from_str(text).unwrap()
}

/// The same content, written piece by piece; writes are dropped and go on, here or in another
/// process.
async fn session(blobs: &BlobClient, process: &Process, whole: &Bytes) -> Result<BlobInfo, Error> {
    let mut session = blobs.start_upload().await?;
    // Large pieces are hashed on other threads.
    let parts = if process.is_known { 2 } else { 20 };
    let step = process.chunk.unwrap_or(1000).max(whole.len() / parts);
    let mut at = 0;
    while at + step < whole.len() {
        let piece = whole.slice(at..at + step);
        at += step;
        if let Some(end) = Box::pin(polled(session.write(piece), process.polls % 9 + 1)).await {
            end?;
        }
        if at / step % 3 == process.checkpoint {
            let offset = session.status().await?;
            assert!(offset <= at as u64, "{offset} bytes of {at}");
        }
        if let (true, Some(checkpoint)) = (process.vouches, session.checkpoint()) {
            let text = serde_json::to_string(&checkpoint).unwrap();
            drop(session);
            session = blobs.resume_upload(&parsed(&text)).await?;
            at = session.offset() as usize;
        }
    }
    session.complete(whole.slice(at..), None).await
}

/// What the cases came to: an upload that always fails would never be a wrong success.
#[derive(Debug, Default)]
struct Reached {
    stored: Cell<u32>,
    /// Stored by a process that had a checkpoint.
    resumed: Cell<u32>,
    /// The same, with the rest only.
    vouched: Cell<u32>,
    failed: Cell<u32>,
    dropped: Cell<u32>,
}

fn count(cell: &Cell<u32>) {
    cell.set(cell.get() + 1);
}

#[expect(clippy::future_not_send, reason = "one thread counts how the cases end")]
async fn run(case: &Case, reached: &Reached) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("source");
    let now = content(case.len).to_vec();
    fs::write(&path, &now).unwrap();
    if case.is_settled {
        set_time(&path, SystemTime::now() - Duration::from_secs(1000));
    }
    let versions = vec![now.clone()];
    let source = Arc::new(Mutex::new(Source { path, now, versions, seed: 0 }));
    let registry = Unkind::new(case.manners);
    let saved = Arc::new(Mutex::new(Vec::new()));
    for process in &case.processes {
        source.lock().unwrap().change(process.before);
        if process.loses_sessions {
            registry.forget_sessions();
        }
        registry.wrong(process.wrong.clone());
        let first = source.lock().unwrap().now.clone();
        // Changed while bytes could still be read for the commit.
        let was_changed = Arc::new(AtomicBool::new(false));
        watch(&registry, process, &source, &was_changed);
        let blobs = registry.client();
        let has_saved = saved.lock().unwrap().len() > process.checkpoint;
        let ends = match case.given {
            Given::Session if process.vouches => &reached.resumed,
            Given::Stream | Given::Reader if has_saved && process.vouches => &reached.vouched,
            Given::Bytes | Given::File | Given::Stream | Given::Reader if has_saved => {
                &reached.resumed
            }
            _ => &reached.stored,
        };
        let end = if case.given == Given::Session {
            Some(Box::pin(session(&blobs, process, &Bytes::from(first.clone()))).await)
        } else {
            upload(&blobs, case, process, &source, &saved).await
        };
        match end {
            Some(Ok(info)) => {
                count(ends);
                assert_eq!(info.digest, Digest::sha256(&first), "{case:?}");
                assert_eq!(info.size, first.len() as u64);
                assert!(registry.blobs().contains(&first), "{case:?}");
                assert!(
                    case.given != Given::File || !was_changed.load(Ordering::Relaxed),
                    "ok for a file that changed: {case:?}"
                );
            }
            Some(Err(error)) => {
                count(&reached.failed);
                check_error(&error, case);
            }
            None => count(&reached.dropped),
        }
        let versions = source.lock().unwrap().versions.clone();
        for blob in registry.blobs() {
            assert!(versions.contains(&blob), "a mixture of {} bytes: {case:?}", blob.len());
        }
    }
}

fn check_error(error: &Error, case: &Case) {
    let kinds = [
        ErrorKind::Source,
        ErrorKind::Session,
        ErrorKind::Integrity,
        ErrorKind::Server,
        ErrorKind::Transport,
        ErrorKind::Timeout,
        ErrorKind::Conflict,
        ErrorKind::Rejected,
        ErrorKind::NotFound,
        ErrorKind::Protocol,
    ];
    assert!(kinds.contains(&error.kind()), "{error}: {case:?}");
}

/// Changes the source while a request passes.
fn watch(
    registry: &Unkind,
    process: &Process,
    source: &Arc<Mutex<Source>>,
    was_changed: &Arc<AtomicBool>,
) {
    let (during, source) = (process.during, Arc::clone(source));
    let was_changed = Arc::clone(was_changed);
    let (mut number, mut is_stored) = (0, false);
    registry.before(move |line| {
        // From the first closing request on, the content may have been read whole.
        is_stored |= line.starts_with("PUT");
        if let Some((_, change)) = during.filter(|(at, _)| *at == number)
            && change != Change::None
        {
            source.lock().unwrap().change(change);
            // The open file stays what it was when another one takes its place.
            was_changed.fetch_or(!is_stored && change != Change::Replaced, Ordering::Relaxed);
        }
        number += 1;
    });
}

fn runner() -> TestRunner {
    let number = |name: &str, default: u32| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let config = Config {
        cases: number("ACR_BLOB_UPLOAD_CASES", 1_000),
        failure_persistence: None,
        ..Config::default()
    };
    match std::env::var("ACR_BLOB_UPLOAD_SEED") {
        Ok(seed) => {
            let seed = Digest::sha256(seed.as_bytes());
            let bytes = seed.hex().as_bytes()[..32].to_vec();
            TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
        }
        Err(_) => TestRunner::new(config),
    }
}

#[test]
fn a1_a3_an_upload_is_never_a_wrong_success() {
    let reached = Reached::default();
    let mut runner = runner();
    let cases = runner.config().cases;
    let end = runner.run(&case(), |case| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(run(&case, &reached));
        Ok(())
    });
    if let Err(failure) = end {
        panic!("{failure}");
    }
    let Reached { stored, resumed, vouched, failed, dropped } = &reached;
    for ends in [stored, resumed, vouched, failed, dropped] {
        assert!(cases < 1_000 || ends.get() > cases / 200, "{reached:?} of {cases} cases");
    }
}
