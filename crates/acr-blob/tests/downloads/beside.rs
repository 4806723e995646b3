//! What a reader does while the thread has something else to do.

use std::{
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    task::{Context, Poll, Waker},
};

use acr_blob::{BlobClient, BlobReader};
use acr_core::{
    Digest, Digester, Error, ErrorKind, Pipeline, Transport,
    hashing::{Hasher, Hashing, Lane},
    http::{Body, Request},
};
use bytes::Bytes;
use futures_util::stream;
use http::header;

use crate::content;

const PIECE: usize = 200 * 1024;

/// Bytes of an owner who does not let go of them until it is told.
struct Stuck(Mutex<mpsc::Receiver<()>>);

impl AsRef<[u8]> for Stuck {
    fn as_ref(&self) -> &[u8] {
        b"x"
    }
}

impl Drop for Stuck {
    fn drop(&mut self) {
        // An error if the test is over.
        let _ = self.0.lock().unwrap().recv();
    }
}

/// Keeps the thread of a client from everything else until the sender is dropped.
fn keep_busy(hasher: &Hasher) -> (Lane, mpsc::Sender<()>) {
    let (free, stuck) = mpsc::channel();
    let lane = Lane::new(hasher, Digester::default());
    lane.give(Bytes::from_owner(Stuck(Mutex::new(stuck))));
    (lane, free)
}

/// What was seen of a download.
#[derive(Default)]
struct Seen {
    /// How many pieces were taken from the connection, and how many are held somewhere.
    taken: AtomicUsize,
    alive: AtomicUsize,
    ranges: Mutex<Vec<String>>,
}

/// A piece that counts as long as somebody holds it.
struct Counted(Bytes, Arc<Seen>);

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A client that hashes on its thread, of a registry whose first answer breaks off after some pieces.
fn client(whole: &Bytes, breaks_after: usize) -> (BlobClient, Hasher, Arc<Seen>) {
    let seen = Arc::new(Seen::default());
    let (whole, told) = (whole.clone(), Arc::clone(&seen));
    let transport = Transport::new(tower::service_fn(move |request: Request| {
        let range = request.headers().get(header::RANGE).map(|range| range.to_str().unwrap());
        let from = range.map_or(0, |range| {
            told.ranges.lock().unwrap().push(range.to_owned());
            range.trim_start_matches("bytes=").split('-').next().unwrap().parse().unwrap()
        });
        let pieces: Vec<_> =
            whole.slice(from..).chunks(PIECE).map(Bytes::copy_from_slice).collect();
        let seen = Arc::clone(&told);
        let pieces = pieces.into_iter().enumerate().map(move |(at, piece)| {
            if from == 0 && at == breaks_after {
                return Err(Error::new(ErrorKind::Transport, "the line broke"));
            }
            seen.taken.fetch_add(1, Ordering::SeqCst);
            seen.alive.fetch_add(1, Ordering::SeqCst);
            Ok(http_body::Frame::data(Bytes::from_owner(Counted(piece, Arc::clone(&seen)))))
        });
        let body = Body::stream(http_body_util::StreamBody::new(stream::iter(pieces)));
        let mut answer = http::Response::builder();
        answer = match from {
            0 => answer.header(header::CONTENT_LENGTH, whole.len()),
            _ => {
                let part = format!("bytes {from}-{}/{}", whole.len() - 1, whole.len());
                answer.status(206).header(header::CONTENT_RANGE, part)
            }
        };
        let answer = answer.body(body).unwrap();
        async move { Ok::<_, Error>(answer) }
    }));
    let pipeline = Pipeline::builder("r.azurecr.io".parse().unwrap())
        .transport(transport)
        .hashing(Hashing::Beside)
        .build()
        .unwrap();
    let hasher = pipeline.hasher().clone();
    (BlobClient::new(pipeline, "a".parse().unwrap()), hasher, seen)
}

fn is_waiting(reader: &mut BlobReader) -> bool {
    let chunk = pin!(reader.chunk());
    matches!(chunk.poll(&mut Context::from_waker(Waker::noop())), Poll::Pending)
}

#[tokio::test]
async fn it_reads_on_while_a_piece_is_hashed_and_not_without_end() {
    let whole = content(20 * PIECE);
    let (blobs, hasher, seen) = client(&whole, usize::MAX);
    let (_busy, free) = keep_busy(&hasher);
    let mut reader = blobs.download(Digest::sha256(&whole)).await.unwrap();
    for _ in 0..3 {
        assert!(is_waiting(&mut reader));
        // 600 KiB: half a mebibyte, and what came at once.
        assert_eq!(seen.taken.load(Ordering::SeqCst), 3);
    }
    assert_eq!(reader.checkpoint().delivered(), 0);
    drop(free);
    let mut held = Vec::new();
    while let Some(piece) = reader.chunk().await.unwrap() {
        held.extend_from_slice(&piece);
        assert_eq!(reader.checkpoint().delivered(), held.len() as u64);
        // What flies, what is held back, what the caller has, and what the thread is about to let go.
        assert!(seen.alive.load(Ordering::SeqCst) <= 3 + 3, "too much is held");
    }
    assert!(held == whole);
}

/// What flies when a line breaks came: it is not asked for again.
#[tokio::test(start_paused = true)]
async fn what_flies_when_the_line_breaks_is_hashed_first() {
    let whole = content(20 * PIECE);
    let (blobs, hasher, seen) = client(&whole, 2);
    let (_busy, free) = keep_busy(&hasher);
    let mut reader = blobs.download(Digest::sha256(&whole)).await.unwrap();
    assert!(is_waiting(&mut reader));
    assert!(is_waiting(&mut reader));
    assert!(seen.ranges.lock().unwrap().is_empty(), "it asked before it knew where it is");
    drop(free);
    let held = reader.bytes(usize::MAX).await.unwrap();
    assert!(held == whole);
    let rest = format!("bytes={}-{}", 2 * PIECE, whole.len() - 1);
    assert_eq!(*seen.ranges.lock().unwrap(), [rest]);
    assert_eq!(seen.taken.load(Ordering::SeqCst), 20);
}

#[tokio::test]
async fn a_reader_that_is_dropped_lets_go_of_what_flies() {
    let whole = content(20 * PIECE);
    let (blobs, hasher, seen) = client(&whole, usize::MAX);
    let (_busy, free) = keep_busy(&hasher);
    let mut reader = blobs.download(Digest::sha256(&whole)).await.unwrap();
    assert!(is_waiting(&mut reader));
    assert_eq!(seen.alive.load(Ordering::SeqCst), 3);
    drop(reader);
    // The thread is busy with something else still.
    assert_eq!(seen.alive.load(Ordering::SeqCst), 0);
    drop(free);
    let again = blobs.download(Digest::sha256(&whole)).await.unwrap();
    assert!(again.bytes(usize::MAX).await.unwrap() == whole);
}
