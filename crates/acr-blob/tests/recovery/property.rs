//! Uploads with everything at once: processes that end and others that go on, sources that
//! change, dropped futures, and a registry that keeps to little.
//!
//! `ACR_BLOB_UPLOAD_CASES` sets how many; `ACR_BLOB_UPLOAD_SEED` which ones come first.

use std::{
    cell::Cell,
    fs,
    future::{IntoFuture as _, poll_fn},
    path::{Path, PathBuf},
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
use proptest::{
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

use crate::{
    content, pieces,
    unkind::{Manners, Unkind, Wrong},
};

/// How the content is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Given {
    Bytes,
    File,
    Stream,
    Reader,
    Session,
}

/// What becomes of the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    None,
    SameLength,
    SameTime,
    Longer,
    Shorter,
    /// Another file with the same content in the same place.
    Replaced,
}

/// One process of several.
#[derive(Clone, Debug)]
struct Process {
    wrong: Vec<Wrong>,
    /// The future is dropped after so many polls.
    polls: usize,
    /// What happens to the source before this process, and while its n-th request passes.
    before: Change,
    during: Option<(u32, Change)>,
    chunk: Option<usize>,
    is_known: bool,
    /// Which of the checkpoints it goes on from, from the newest.
    checkpoint: usize,
    loses_sessions: bool,
}

#[derive(Clone, Debug)]
struct Case {
    len: usize,
    given: Given,
    manners: Manners,
    is_settled: bool,
    processes: Vec<Process>,
}

fn wrong() -> impl Strategy<Value = Wrong> {
    prop_oneof![
        8 => Just(Wrong::Nothing),
        2 => (0usize..3000).prop_map(Wrong::Cut),
        2 => Just(Wrong::Unanswered),
        1 => Just(Wrong::Forgotten),
        2 => prop::sample::select(vec![400, 404, 409, 413, 416, 500, 503, 504, 200, 204])
            .prop_map(Wrong::Status),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        6 => Just(Change::None),
        1 => Just(Change::SameLength),
        1 => Just(Change::SameTime),
        1 => Just(Change::Longer),
        1 => Just(Change::Shorter),
        1 => Just(Change::Replaced),
    ]
}

fn process() -> impl Strategy<Value = Process> {
    (
        prop_oneof![Just(Vec::new()), prop::collection::vec(wrong(), 0..8)],
        prop_oneof![1usize..40, Just(usize::MAX)],
        change(),
        prop_oneof![3 => Just(None), 1 => (0u32..8, change()).prop_map(Some)],
        prop_oneof![1 => Just(None), 3 => (200usize..2500).prop_map(Some)],
        any::<bool>(),
        0usize..3,
        prop::bool::weighted(0.1),
    )
        .prop_map(
            |(wrong, polls, before, during, chunk, is_known, checkpoint, loses_sessions)| Process {
                wrong,
                polls,
                before,
                during,
                chunk,
                is_known,
                checkpoint,
                loses_sessions,
            },
        )
}

fn manners() -> impl Strategy<Value = Manners> {
    (
        prop::sample::select(vec![200, 202, 202, 204]),
        prop::sample::select(vec![200, 201, 201, 202, 204]),
        (any::<bool>(), any::<bool>(), any::<bool>()),
        prop::sample::select(vec![None, None, None, Some(400), Some(404)]),
        prop::sample::select(vec![None, None, Some(500u64), Some(3000)]),
        prop::sample::select(vec![Duration::ZERO, Duration::from_secs(200)]),
    )
        .prop_map(
            |(patch, put, (names_range, names_place, names_digest), first_put, least, storing)| {
                Manners {
                    patch,
                    put,
                    names_range,
                    names_place,
                    names_digest,
                    first_put,
                    least,
                    storing,
                    front_end: Duration::from_secs(60),
                    ..Manners::default()
                }
            },
        )
}

fn case() -> impl Strategy<Value = Case> {
    let given = prop::sample::select(vec![
        Given::Bytes,
        Given::File,
        Given::File,
        Given::File,
        Given::Stream,
        Given::Reader,
        Given::Session,
    ]);
    let len = prop_oneof![4 => 0usize..8000, 1 => Just(300_000)];
    let manners = prop_oneof![Just(Manners::default()), manners()];
    (len, given, manners, any::<bool>(), prop::collection::vec(process(), 1..4)).prop_map(
        |(len, given, manners, is_settled, processes)| Case {
            len,
            given,
            manners,
            is_settled,
            processes,
        },
    )
}

/// The source and all that it ever was.
struct Source {
    path: PathBuf,
    now: Vec<u8>,
    versions: Vec<Vec<u8>>,
    seed: u8,
}

impl Source {
    fn change(&mut self, change: Change) {
        self.seed = self.seed.wrapping_add(1);
        let (len, seed) = (self.now.len(), self.seed);
        let at = len * 7 % 5 * len / 5;
        match change {
            Change::None => return,
            Change::Replaced => {
                let other = self.path.with_extension("other");
                fs::write(&other, &self.now).unwrap();
                fs::rename(&other, &self.path).unwrap();
                return;
            }
            Change::SameLength | Change::SameTime => {}
            Change::Longer => self.now.extend_from_slice(&[seed; 333]),
            Change::Shorter => self.now.truncate(len / 2),
        }
        if let Some(byte) = self.now.get_mut(at) {
            *byte = byte.wrapping_add(seed).wrapping_add(1);
        }
        self.versions.push(self.now.clone());
        let time = fs::metadata(&self.path).unwrap().modified().unwrap();
        fs::write(&self.path, &self.now).unwrap();
        if change == Change::SameTime {
            set_time(&self.path, time);
        }
    }
}

fn set_time(path: &Path, time: SystemTime) {
    fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

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

/// An upload by one process, from a checkpoint if there is one.
async fn upload(
    blobs: &BlobClient,
    case: &Case,
    process: &Process,
    source: &Arc<Mutex<Source>>,
    saved: &Arc<Mutex<Vec<String>>>,
) -> Option<Result<BlobInfo, Error>> {
    let content = given(case.given, source).await;
    let mut upload = blobs.upload(content);
    if process.is_known {
        upload = upload.digest(Digest::sha256(&source.lock().unwrap().now));
    }
    if let Some(chunk) = process.chunk {
        let log = Arc::clone(saved);
        upload = upload.chunk_size(chunk).on_checkpoint(move |checkpoint: &UploadCheckpoint| {
            log.lock().unwrap().push(serde_json::to_string(checkpoint).unwrap());
        });
    }
    let checkpoint = {
        let saved = saved.lock().unwrap();
        saved.iter().rev().nth(process.checkpoint).cloned()
    };
    if let Some(text) = checkpoint {
        upload = upload.resume(serde_json::from_str(&text).unwrap());
    }
    polled(upload.into_future(), process.polls).await
}

/// The same content, written piece by piece; writes are dropped and go on.
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
    }
    session.complete(whole.slice(at..), None).await
}

/// What the cases came to: an upload that always fails would never be a wrong success.
#[derive(Debug, Default)]
struct Reached {
    stored: Cell<u32>,
    /// Stored by a process that had a checkpoint.
    resumed: Cell<u32>,
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
        let resumes = case.given != Given::Session && !saved.lock().unwrap().is_empty();
        let end = if case.given == Given::Session {
            Some(Box::pin(session(&blobs, process, &Bytes::from(first.clone()))).await)
        } else {
            upload(&blobs, case, process, &source, &saved).await
        };
        match end {
            Some(Ok(info)) => {
                count(if resumes { &reached.resumed } else { &reached.stored });
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
    let Reached { stored, resumed, failed, dropped } = &reached;
    for ends in [stored, resumed, failed, dropped] {
        assert!(cases < 1_000 || ends.get() > cases / 100, "{reached:?} of {cases} cases");
    }
}
