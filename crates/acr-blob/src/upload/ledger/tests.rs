use std::{
    future::Future as _,
    pin::pin,
    task::{Context, Waker},
};

use acr_core::Algorithm;

use super::*;

fn piece(len: usize, seed: usize) -> Bytes {
    (0..len).map(|n| u8::try_from((n * 7 + seed) % 251).unwrap()).collect()
}

/// Every size around the threshold, dropped at every poll, with a small piece behind it that
/// could overtake.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a3_a_dropped_hash_keeps_its_place() {
    for len in [0, 1, LARGE - 1, LARGE, LARGE + 1, 512 * 1024, 512 * 1024 + 1, 1 << 20] {
        for polls in 0..3 {
            let ledger = Ledger::new(Digester::default());
            let (large, small) = (piece(len, 1), piece(100, 2));
            {
                let waiting = ledger.give(0, &large).unwrap();
                let mut settle = pin!(ledger.settle(waiting));
                for _ in 0..polls {
                    let mut cx = Context::from_waker(Waker::noop());
                    if settle.as_mut().poll(&mut cx).is_ready() {
                        break;
                    }
                }
            }
            ledger.hash(large.len() as u64, small.clone()).await.unwrap();
            let whole = [large, small].concat();
            assert_eq!(ledger.digester().finish(), Digest::sha256(&whole), "{len} {polls}");
            assert_eq!(ledger.len(), whole.len() as u64);
        }
    }
}

#[tokio::test]
async fn a3_a_gap_is_an_error_and_what_is_known_is_left_out() {
    let ledger = Ledger::new(Digester::default());
    ledger.hash(0, piece(10, 0)).await.unwrap();
    assert_eq!(ledger.hash(11, piece(1, 0)).await.unwrap_err().kind(), ErrorKind::Integrity);
    ledger.hash(4, piece(10, 4 * 7)).await.unwrap();
    ledger.hash(3, piece(2, 0)).await.unwrap();
    assert_eq!(ledger.digester().finish(), Digest::sha256(&piece(14, 0)));
}

#[test]
fn a1_the_first_bytes_are_compared_exactly_where_the_proof_ends() {
    let whole = piece(2_000_000, 3);
    for end in [0usize, 1, 600_000, 2_000_000] {
        let mut saved = Digester::default();
        saved.update(&whole[..end]);
        let ledger = Ledger::new(Digester::default());
        ledger.prove(&saved);
        assert_eq!(ledger.is_proven(), (end == 0).then_some(true));
        for start in (0..whole.len()).step_by(700_000) {
            let piece = whole.slice(start..whole.len().min(start + 700_000));
            ledger.hash_now(start as u64, &piece).unwrap();
        }
        assert_eq!(ledger.is_proven(), Some(true), "{end}");
        let other = Ledger::new(Digester::default());
        other.prove(&saved);
        other.hash_now(0, &piece(2_000_000, 4)).unwrap();
        assert_eq!(other.is_proven(), Some(end == 0), "{end}");
        let foreign = Ledger::new(Digester::new(Algorithm::Sha512));
        foreign.prove(&saved);
        foreign.hash_now(0, &whole).unwrap();
        assert_eq!(foreign.is_proven(), Some(false), "{end}");
    }
    // Where more was hashed already, nothing can be compared any more.
    let ledger = Ledger::new(Digester::default());
    ledger.hash_now(0, &whole).unwrap();
    ledger.prove(&Digester::default());
    assert_eq!(ledger.is_proven(), Some(false));
}

#[test]
fn a_body_breaks_off_only_when_all_of_it_is_there_and_is_other_content() {
    for (content, is_right) in [(&b"abcd"[..], true), (b"abXd", false)] {
        let ledger = Ledger::new(Digester::default());
        assert!(ledger.check().is_ok(), "nothing is expected");
        ledger.expect(Digest::sha256(b"abcd"), 4);
        for (at, piece) in content.chunks(2).enumerate() {
            assert!(ledger.check().is_ok(), "not all is there");
            ledger.hash_now(at as u64 * 2, &Bytes::copy_from_slice(piece)).unwrap();
        }
        let kind = ledger.check().err().map(|error| error.kind());
        assert_eq!(kind, (!is_right).then_some(ErrorKind::Integrity));
    }
}

#[test]
fn why_a_body_broke_off_is_kept_for_the_driver_once() {
    let ledger = Ledger::new(Digester::default());
    assert!(ledger.take_broken().is_none());
    let copy = ledger.breaks(Error::new(ErrorKind::Integrity, "other content"));
    let kept = ledger.take_broken().unwrap();
    assert_eq!((copy.kind(), copy.to_string()), (kept.kind(), kept.to_string()));
    assert!(ledger.take_broken().is_none());
}

#[test]
fn what_was_sent_is_told_also_after_a_new_beginning() {
    let told = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let count = Arc::clone(&told);
    let ledger = Ledger::new(Digester::default());
    ledger.note_sent(1);
    ledger.observe(
        Observer::new(move |_| {
            count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }),
        Some(4),
    );
    let told = || told.load(std::sync::atomic::Ordering::Relaxed);
    ledger.note_sent(2);
    assert_eq!(told(), 0, "not where the body is polled");
    let ledger = ledger.anew(Digester::default());
    let request = pin!(std::future::pending::<()>());
    let mut driver = pin!(ledger.telling(request));
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    for sent in 1..=3 {
        assert!(driver.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        assert_eq!(told(), sent - 1);
        ledger.note_sent(u64::from(sent));
        assert_eq!(woken.0.load(std::sync::atomic::Ordering::Relaxed), sent);
    }
}

/// Counts how often a driver was woken.
#[derive(Default)]
struct Woken(std::sync::atomic::AtomicU32);

impl std::task::Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
}
