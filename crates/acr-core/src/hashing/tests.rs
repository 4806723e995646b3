use std::{
    future::poll_fn,
    sync::Mutex,
    task::{Context, Poll, Wake, Waker},
};

use bytes::Bytes;
use proptest::prelude::*;

use super::{sync::Arc, *};
use crate::value::digest::{Digest, Digester};

fn content(len: usize) -> Bytes {
    (0..len).map(|n| u8::try_from((n * 7 + n / 251) % 256).unwrap()).collect()
}

/// What somebody does with a lane.
#[derive(Clone, Copy, Debug)]
enum Op {
    Give(usize),
    Keep(usize),
    GiveHere(usize),
    KeepAt(u64),
    /// Looks once, as somebody does who is dropped then.
    Look,
    Kept,
    Settle,
    SettleNow,
}

fn op() -> impl Strategy<Value = Op> {
    let len = || prop_oneof![99 => 0usize..300, 1 => 100_000usize..300_000];
    prop_oneof![
        4 => len().prop_map(Op::Give),
        4 => len().prop_map(Op::Keep),
        1 => len().prop_map(Op::GiveHere),
        1 => (0u64..2_000).prop_map(Op::KeepAt),
        3 => Just(Op::Look),
        3 => Just(Op::Kept),
        1 => Just(Op::Settle),
        1 => Just(Op::SettleNow),
    ]
}

/// Does all that, beside a content that says what must come.
async fn run(hasher: &Hasher, before: usize, ops: Vec<Op>) {
    static WHOLE: std::sync::LazyLock<Bytes> = std::sync::LazyLock::new(|| content(1 << 20));
    let whole = WHOLE.clone();
    let mut digester = Digester::default();
    digester.update(&whole[..before]);
    let lane = Lane::new(hasher, digester);
    let (mut given, mut to_keep) = (before, std::collections::VecDeque::new());
    let check = |kept: Option<Digester>, to_keep: &mut std::collections::VecDeque<usize>| {
        let Some(kept) = kept else { return };
        let expected = to_keep.pop_front().expect("nothing more was to be kept");
        assert_eq!(kept.len(), expected as u64);
        assert_eq!(kept.finish(), Digest::sha256(&whole[..expected]));
    };
    for op in ops {
        let mut cx = Context::from_waker(Waker::noop());
        match op {
            Op::Give(len) | Op::Keep(len) | Op::GiveHere(len) => {
                let len = len.min(whole.len() - given);
                let piece = whole.slice(given..given + len);
                given += len;
                match op {
                    Op::Give(_) => lane.give(piece),
                    Op::GiveHere(_) => lane.give_here(piece),
                    _ => {
                        lane.give_and_keep(piece);
                        to_keep.extend((len > 0).then_some(given));
                    }
                }
            }
            Op::KeepAt(at) => {
                let at = lane.given() + at % 2;
                if at == given as u64 && lane.keep_at(at) {
                    to_keep.push_back(given);
                }
            }
            Op::Look => {
                let _ = lane.poll_settled(&mut cx);
            }
            Op::Kept => check(lane.kept(), &mut to_keep),
            Op::Settle => {
                poll_fn(|cx| lane.poll_settled(cx)).await;
                assert_eq!(lane.waiting(), 0);
            }
            Op::SettleNow => {
                assert_eq!(lane.settle_now().finish(), Digest::sha256(&whole[..given]));
            }
        }
        assert_eq!(lane.given(), given as u64);
    }
    while !to_keep.is_empty() {
        let kept = poll_fn(|cx| lane.poll_kept(cx)).await;
        assert!(kept.is_some(), "{to_keep:?} are missing");
        check(kept, &mut to_keep);
    }
    assert!(poll_fn(|cx| lane.poll_kept(cx)).await.is_none());
    assert_eq!(lane.settle_now().finish(), Digest::sha256(&whole[..given]));
}

fn hashers() -> [Hasher; 4] {
    let [auto, here, beside] = [Hashing::Auto, Hashing::Here, Hashing::Beside].map(Hasher::new);
    [auto, here, beside, Hasher::without_thread(Hashing::Beside)]
}

#[test]
fn whatever_is_given_and_asked_the_hash_is_that_of_the_content() {
    let runtimes = [true, false].map(|is_paused| {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_time().start_paused(is_paused).build().unwrap()
    });
    let hashers = hashers();
    proptest!(ProptestConfig::with_cases(400), |(
        before in 0usize..200,
        ops in proptest::collection::vec(op(), 0..30),
    )| {
        for runtime in &runtimes {
            for hasher in &hashers {
                runtime.block_on(run(hasher, before, ops.clone()));
            }
        }
    });
}

/// Many contents at once, of tasks on many threads.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_hundred_lanes_keep_apart() {
    for hasher in hashers() {
        let lanes: Vec<_> = (0..200usize)
            .map(|seed| {
                let hasher = hasher.clone();
                tokio::spawn(async move {
                    let whole = content(50_000 + seed);
                    let lane = Lane::new(&hasher, Digester::default());
                    for piece in whole.chunks(9_000 + seed) {
                        lane.give(Bytes::copy_from_slice(piece));
                        if seed % 3 == 0 {
                            poll_fn(|cx| lane.poll_settled(cx)).await;
                        }
                    }
                    poll_fn(|cx| lane.poll_settled(cx)).await;
                    assert_eq!(lane.settle_now().finish(), Digest::sha256(&whole));
                })
            })
            .collect();
        for lane in lanes {
            lane.await.unwrap();
        }
    }
}

/// Time passes only where everybody waits for it: not while something is hashed.
#[tokio::test(start_paused = true)]
async fn a_clock_that_stands_is_not_moved_by_waiting_for_a_hash() {
    for hasher in hashers() {
        let lane = Lane::new(&hasher, Digester::default());
        let start = tokio::time::Instant::now();
        let settled = async {
            for _ in 0..8 {
                lane.give(content(300_000));
                poll_fn(|cx| lane.poll_settled(cx)).await;
            }
        };
        tokio::select! {
            biased;
            () = settled => {}
            () = tokio::time::sleep(std::time::Duration::from_secs(30)) => panic!("{hasher:?}"),
        }
        assert_eq!(start.elapsed(), std::time::Duration::ZERO, "{hasher:?}");
    }
}

#[tokio::test]
async fn without_a_thread_the_task_hashes() {
    let lane = Lane::new(&Hasher::without_thread(Hashing::Beside), Digester::default());
    lane.give("abc".into());
    assert!(!lane.is_beside());
    let mut cx = Context::from_waker(Waker::noop());
    assert_eq!(lane.poll_settled(&mut cx), Poll::Ready(()));
    assert_eq!(lane.settle_now().finish(), Digest::sha256(b"abc"));
}

/// A clock that stands, or only short pieces, or a content that is short so far: no thread.
#[test]
fn by_itself_only_what_is_long_goes_to_the_thread() {
    let auto = Hasher::new(Hashing::Auto);
    let lane = Lane::new(&auto, Digester::default());
    lane.give(content(1 << 19));
    assert!(!lane.is_beside(), "it is short so far");
    lane.settle_now();
    lane.give(content((1 << 20) + (1 << 17)));
    let is_alone = std::thread::available_parallelism().map_or(1, usize::from) == 1;
    // It may be through already.
    assert!(is_alone || lane.is_beside() || lane.waiting() == 0);
    lane.settle_now();
    lane.give(content((1 << 17) - 1));
    assert!(!lane.is_beside() && lane.waiting() > 0, "the piece is short");
    let paused = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let _in_it = paused.enter();
    assert!(clock::stands_still());
    lane.settle_now();
    lane.give(content(1 << 20));
    assert!(!lane.is_beside() && lane.waiting() > 0, "the clock stands");
}

#[test]
fn a_clock_that_goes_is_seen_at_once() {
    assert!(!clock::stands_still());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async { assert!(!clock::stands_still()) });
}

/// A waker that panics.
struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("a waker of somebody else's");
    }
}

/// Bytes whose owner panics in the end.
struct Owner;

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        b"abc"
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        panic!("an owner of bytes of somebody else's");
    }
}

#[tokio::test]
async fn what_others_wrote_cannot_stop_the_thread() {
    let hasher = Hasher::new(Hashing::Beside);
    for _ in 0..3 {
        let lane = Lane::new(&hasher, Digester::default());
        lane.give(content(500_000));
        let panics = Waker::from(Arc::new(Panics));
        let _ = lane.poll_settled(&mut Context::from_waker(&panics));
        lane.give(Bytes::from_owner(Owner));
        poll_fn(|cx| lane.poll_settled(cx)).await;
        let mut whole = content(500_000).to_vec();
        whole.extend(b"abc");
        assert_eq!(lane.settle_now().finish(), Digest::sha256(&whole));
    }
}

/// Somebody who holds the client while it is woken, under a lock that the waker wants too.
struct Holder(Mutex<Option<Lane>>);

impl Wake for Holder {
    fn wake(self: Arc<Self>) {
        drop(self.0.lock().unwrap());
    }
}

#[test]
fn dropping_a_client_waits_for_nobody_who_waits_for_that() {
    for _ in 0..50 {
        let holder = Arc::new(Holder(Mutex::new(None)));
        let lane = Lane::new(&Hasher::new(Hashing::Beside), Digester::default());
        lane.give(content(1_000));
        let waker = Waker::from(Arc::clone(&holder));
        let mut held = holder.0.lock().unwrap();
        let _ = lane.poll_settled(&mut Context::from_waker(&waker));
        *held = Some(lane);
        // Under the lock.
        *held = None;
    }
}
