//! The pool under every order of events: calls at the same time, servers that close or cut at
//! any moment, callers that go away. Time stands still but for the timers and all runs on one
//! thread, so a seed is a schedule and a failure can be repeated.

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tower_service::Service;

use super::*;
use crate::{http::request::RequestBuilder, transport::stream::Stream};

/// What a server does with one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Answer,
    /// Closes an idle connection some time after the answer.
    AnswerAndClose,
    /// Takes the request and closes without a byte.
    Close,
    /// Breaks off within the answer's head.
    Cut,
}

/// One request as a server saw it.
#[derive(Clone, Copy, Debug)]
struct Seen {
    connection: usize,
    /// Which one on its connection, from 0.
    position: usize,
    deed: Deed,
}

/// In-memory servers that do what the seed says, and remember it.
#[derive(Clone)]
struct World {
    seed: Arc<Mutex<fastrand::Rng>>,
    connections: Arc<AtomicUsize>,
    seen: Arc<Mutex<HashMap<usize, Vec<Seen>>>>,
    /// Of 100 requests.
    trouble: Arc<AtomicU32>,
}

impl World {
    fn new(seed: u64, trouble: u32) -> Self {
        Self {
            seed: Arc::new(Mutex::new(fastrand::Rng::with_seed(seed))),
            connections: Arc::default(),
            seen: Arc::default(),
            trouble: Arc::new(AtomicU32::new(trouble)),
        }
    }

    fn below(&self, limit: u64) -> u64 {
        self.seed.lock().unwrap().u64(..limit)
    }

    fn deed(&self) -> Deed {
        if self.below(100) >= u64::from(self.trouble.load(Ordering::SeqCst)) {
            return Deed::Answer;
        }
        [Deed::AnswerAndClose, Deed::AnswerAndClose, Deed::Close, Deed::Cut]
            .get(usize::try_from(self.below(4)).unwrap())
            .copied()
            .unwrap_or(Deed::Close)
    }

    async fn pause(&self) {
        tokio::time::sleep(Duration::from_millis(self.below(4))).await;
    }

    async fn serve(self, mut socket: DuplexStream) {
        let connection = self.connections.fetch_add(1, Ordering::SeqCst);
        for position in 0.. {
            let Some(id) = read_id(&mut socket).await else { return };
            let deed = self.deed();
            let seen = Seen { connection, position, deed };
            self.seen.lock().unwrap().entry(id).or_default().push(seen);
            self.pause().await;
            let text = id.to_string();
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}", text.len());
            let sent = match deed {
                Deed::Close => return,
                Deed::Cut => &answer.as_bytes()[..12],
                Deed::Answer | Deed::AnswerAndClose => answer.as_bytes(),
            };
            if socket.write_all(sent).await.is_err() || deed == Deed::Cut {
                return;
            }
            if deed == Deed::AnswerAndClose {
                self.pause().await;
                return;
            }
        }
    }
}

/// Reads a request without a body, `GET /<id> …`.
async fn read_id(socket: &mut DuplexStream) -> Option<usize> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    head.split(['/', ' ']).find_map(|word| word.parse().ok())
}

impl Service<Uri> for World {
    type Response = TokioIo<Stream>;
    type Error = io::Error;
    type Future = std::pin::Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let world = self.clone();
        Box::pin(async move {
            world.pause().await;
            let (ours, theirs) = duplex(256);
            tokio::spawn(world.serve(theirs));
            Ok(TokioIo::new(Stream::new(Box::new(ours), false)))
        })
    }
}

fn request(id: usize, effect: Effect) -> Request {
    let uri = format!("http://registry.example/{id}").parse().unwrap();
    RequestBuilder::to(http::Method::GET, uri).effect(effect).build().unwrap()
}

async fn text(response: http::Response<Incoming>) -> Result<String> {
    let body = response.map(Body::stream).into_body();
    Ok(String::from_utf8(body.bytes(100).await?.to_vec()).unwrap())
}

#[derive(Debug)]
enum End {
    Answered(String),
    Failed(Error),
    Dropped,
}

const CALLERS: usize = 6;
const CALLS: usize = 8;

fn is_repeatable(id: usize) -> bool {
    !id.is_multiple_of(3)
}

/// Callers at the same time, one call after the other each, some dropped on the way.
async fn storm(world: &World, connections: &Connections<World>) -> Vec<(usize, End)> {
    let callers = (0..CALLERS).map(|caller| {
        let (world, connections) = (world.clone(), connections.clone());
        tokio::spawn(async move {
            let mut ends = Vec::new();
            for id in caller * CALLS..(caller + 1) * CALLS {
                world.pause().await;
                let effect = if is_repeatable(id) { Effect::Read } else { Effect::Append };
                let call = async { text(connections.exchange(request(id, effect)).await?).await };
                let patience = match world.below(5) {
                    0 => Duration::from_millis(world.below(6)),
                    _ => Duration::from_secs(60),
                };
                let end = match tokio::time::timeout(patience, call).await {
                    Err(_) if patience < Duration::from_secs(60) => End::Dropped,
                    Err(_) => panic!("{id} hangs"),
                    Ok(Ok(text)) => End::Answered(text),
                    Ok(Err(error)) => End::Failed(error),
                };
                ends.push((id, end));
            }
            ends
        })
    });
    let mut all = Vec::new();
    for caller in callers.collect::<Vec<_>>() {
        all.extend(caller.await.unwrap());
    }
    all
}

/// What must hold for one call, whatever the order of events was.
fn check(id: usize, end: &End, seen: &[Seen]) {
    let context = format!("{id}: {end:?} of {seen:?}");
    let was_stale = |seen: &Seen| seen.position > 0 && seen.deed == Deed::Close;
    let limit = if is_repeatable(id) { 2 } else { 1 };
    assert!(seen.len() <= limit, "sent too often: {context}");
    if let [first, second] = seen {
        assert!(was_stale(first), "sent again although the connection was not stale: {context}");
        assert_eq!(second.position, 0, "sent again on a used connection: {context}");
        assert_ne!(first.connection, second.connection, "{context}");
    }
    let last = seen.last().map(|seen| seen.deed);
    match end {
        End::Answered(text) => {
            assert_eq!(*text, id.to_string(), "another's answer: {context}");
            assert!(matches!(last, Some(Deed::Answer | Deed::AnswerAndClose)), "{context}");
        }
        End::Failed(error) => {
            assert_eq!(error.kind(), ErrorKind::Transport, "{context}");
            let is_excused = match last {
                // Its connection was closed in its face; only a repeatable call may go on.
                None => !is_repeatable(id),
                Some(Deed::Cut) => true,
                Some(Deed::Close) => {
                    !is_repeatable(id) || seen.len() == 2 || seen.iter().all(|s| !was_stale(s))
                }
                Some(Deed::Answer | Deed::AnswerAndClose) => false,
            };
            assert!(is_excused, "failed without need: {context}");
        }
        End::Dropped => {}
    }
}

fn run(seed: u64) -> (usize, usize, usize) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let trouble = [10, 30, 60][usize::try_from(seed % 3).unwrap()];
        let world = World::new(seed, trouble);
        let connections = Connections::new(world.clone(), Duration::from_secs(60), 16);
        let ends = storm(&world, &connections).await;
        let seen = world.seen.lock().unwrap().clone();
        for (id, end) in &ends {
            check(*id, end, seen.get(id).map(Vec::as_slice).unwrap_or_default());
        }
        // Nothing that happened is left behind: whoever comes next is served.
        world.trouble.store(0, Ordering::SeqCst);
        let first = CALLERS * CALLS;
        for id in (first..first + CALLERS).filter(|id| is_repeatable(*id)) {
            let answer = connections.exchange(request(id, Effect::Read)).await.unwrap();
            assert_eq!(text(answer).await.unwrap(), id.to_string());
        }
        let replays = seen.values().filter(|seen| seen.len() == 2).count();
        let failed = ends.iter().filter(|(_, end)| matches!(end, End::Failed(_))).count();
        let dropped = ends.iter().filter(|(_, end)| matches!(end, End::Dropped)).count();
        (replays, failed, dropped)
    })
}

#[test]
fn every_schedule_of_the_pool_keeps_its_promises() {
    let mut sums = (0, 0, 0);
    for seed in 0..300 {
        let (replays, failed, dropped) =
            std::panic::catch_unwind(|| run(seed)).unwrap_or_else(|_| panic!("seed {seed}"));
        sums = (sums.0 + replays, sums.1 + failed, sums.2 + dropped);
    }
    // The schedules reach what they are about.
    assert!(sums.0 > 100 && sums.1 > 100 && sums.2 > 100, "{sums:?}");
}

/// A seed is a schedule: what is seen fail can be seen again.
#[test]
fn a_schedule_repeats_itself() {
    for seed in [3, 4, 5] {
        assert_eq!(run(seed), run(seed));
    }
}
