//! Whatever a registry serves and however it is read, left and gone on with: what was handed
//! out before an end is the content, and a checkpoint counts what the caller holds.

use std::{
    collections::BTreeMap,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use acr_blob::{BlobClient, BlobReader, DownloadCheckpoint};
use acr_core::{Digest, Error, ErrorKind};
use bytes::Bytes;
use futures_util::StreamExt as _;
use proptest::{prelude::*, test_runner::TestRunner};
use tokio::io::AsyncReadExt as _;

use crate::{
    client, content,
    origin::{End, Framing, Origin, Serve, What},
};

/// One of the ways to read.
#[derive(Clone, Copy, Debug)]
enum Way {
    Chunk,
    Next,
    Read(usize),
}

/// What a caller does next.
#[derive(Clone, Copy, Debug)]
enum Op {
    Read(Way),
    /// Polls so often, and drops the future if it was not ready.
    Drop(Way, u8),
    /// Notes a checkpoint.
    Note,
    /// Another process goes on from here.
    Restart,
    /// Another process goes on from the n-th of the checkpoints noted.
    Return(usize),
    /// The same, and the first attempt to open it is dropped after so many polls.
    Hesitate(u8),
}

fn way() -> impl Strategy<Value = Way> {
    prop_oneof![
        Just(Way::Chunk),
        Just(Way::Next),
        Just(Way::Read(1)),
        (1usize..100).prop_map(Way::Read),
        (1usize..=1 << 20).prop_map(Way::Read),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => way().prop_map(Op::Read),
        6 => (way(), 0u8..6).prop_map(|(way, polls)| Op::Drop(way, polls)),
        2 => Just(Op::Note),
        2 => Just(Op::Restart),
        1 => (0usize..8).prop_map(Op::Return),
        1 => (0u8..6).prop_map(Op::Hesitate),
    ]
}

fn serve() -> impl Strategy<Value = Serve> {
    let what = prop_oneof![
        8 => Just(What::Asked),
        2 => Just(What::Whole),
        1 => any::<usize>().prop_map(What::Other),
        1 => (1usize..9).prop_map(What::Longer),
        1 => (1usize..9).prop_map(What::Shorter),
        1 => Just(What::WrongPlace),
        2 => (0usize..300).prop_map(What::Fewer),
        2 => Just(What::NoTotal),
        2 => prop_oneof![Just(400), Just(403), Just(416), Just(503)].prop_map(What::Status),
    ];
    let framing = prop_oneof![
        3 => Just(Framing::Length),
        1 => Just(Framing::Chunked),
        1 => Just(Framing::Http2),
        1 => Just(Framing::Close),
    ];
    let end = prop_oneof![
        2 => Just(End::Whole),
        1 => (0usize..300).prop_map(End::Early),
        3 => (0usize..300).prop_map(End::Broken),
        1 => (100_000usize..300_000).prop_map(End::Broken),
    ];
    let piece = prop_oneof![3 => 1usize..100, 1 => 100_000usize..200_000];
    (what, framing, end, piece, any::<bool>()).prop_map(
        |(what, framing, end, piece, empty_frames)| Serve {
            what,
            framing,
            end,
            piece,
            empty_frames,
        },
    )
}

/// A caller: what it holds, and how it is told to go on.
struct Caller {
    blobs: BlobClient,
    digest: Digest,
    size: Option<u64>,
    reader: BlobReader,
    held: Vec<u8>,
    noted: Vec<String>,
}

/// What one step of reading gave.
type Gave = Result<Option<Bytes>, Error>;

async fn read(reader: &mut BlobReader, way: Way) -> Gave {
    match way {
        Way::Chunk => reader.chunk().await,
        Way::Next => reader.next().await.transpose(),
        Way::Read(len) => {
            let mut buffer = vec![0; len];
            match reader.read(&mut buffer).await {
                Ok(0) => Ok(None),
                Ok(read) => Ok(Some(Bytes::copy_from_slice(&buffer[..read]))),
                Err(error) => Err(*error.into_inner().unwrap().downcast().unwrap()),
            }
        }
    }
}

/// The output after at most so many polls.
async fn poll_at_most<F: Future>(mut future: Pin<&mut F>, polls: u8) -> Option<F::Output> {
    for _ in 0..polls {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return Some(output);
        }
        tokio::task::yield_now().await;
    }
    None
}

impl Caller {
    fn note(&self) -> String {
        let checkpoint = self.reader.checkpoint();
        assert_eq!(checkpoint.delivered(), self.held.len() as u64);
        serde_json::to_string(&checkpoint).unwrap()
    }

    /// Cuts off what came after a checkpoint, and goes on from there.
    async fn go_on(&mut self, note: &str, hesitate: Option<u8>) -> Result<(), Error> {
        let checkpoint: DownloadCheckpoint = serde_json::from_str(note).unwrap();
        self.held.truncate(checkpoint.delivered() as usize);
        let open = || {
            let mut download = self.blobs.download(&self.digest).resume(checkpoint.clone());
            if let Some(size) = self.size {
                download = download.size(size);
            }
            download.into_future()
        };
        if let Some(polls) = hesitate {
            drop(poll_at_most(pin!(open()), polls).await);
        }
        self.reader = open().await?;
        assert_eq!(self.reader.checkpoint().delivered(), self.held.len() as u64);
        Ok(())
    }

    /// Takes in what was given; whether that was the end.
    fn take(&mut self, gave: Option<Bytes>) -> bool {
        match gave {
            None => true,
            Some(bytes) => {
                assert!(!bytes.is_empty());
                self.held.extend_from_slice(&bytes);
                false
            }
        }
    }

    /// Whether the end was reached.
    async fn step(&mut self, op: Op) -> Result<bool, Error> {
        match op {
            Op::Read(way) => {
                let gave = read(&mut self.reader, way).await?;
                return Ok(self.take(gave));
            }
            Op::Drop(way, polls) => {
                let gave = poll_at_most(pin!(read(&mut self.reader, way)), polls).await;
                if let Some(gave) = gave {
                    return gave.map(|gave| self.take(gave));
                }
            }
            Op::Note => self.noted.push(self.note()),
            Op::Restart => self.go_on(&self.note(), None).await?,
            Op::Return(at) => {
                let at = at % self.noted.len().max(1);
                if let Some(note) = self.noted.get(at).cloned() {
                    self.noted.truncate(at + 1);
                    self.go_on(&note, None).await?;
                }
            }
            Op::Hesitate(polls) => self.go_on(&self.note(), Some(polls)).await?,
        }
        assert_eq!(self.reader.checkpoint().delivered(), self.held.len() as u64);
        Ok(false)
    }

    /// However it is asked again: the same failure, or the same end, and nothing more.
    async fn is_over_for_good(&mut self, failure: Option<ErrorKind>) {
        for way in [Way::Chunk, Way::Next, Way::Read(1), Way::Read(1 << 20), Way::Chunk] {
            match (read(&mut self.reader, way).await, failure) {
                (Ok(None), None) => {}
                (Err(error), Some(kind)) => assert_eq!(error.kind(), kind),
                (gave, _) => panic!("{gave:?} after {failure:?}"),
            }
        }
        assert_eq!(self.reader.checkpoint().delivered(), self.held.len() as u64);
    }
}

/// How a case ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Ended {
    Unopened,
    Whole,
    /// Whole, and other processes had a part in it.
    WholeByMany,
    Failed,
    /// Failed after some of the content was given.
    FailedWithin,
}

async fn run(
    content: Bytes,
    script: Vec<Serve>,
    ops: Vec<Op>,
    last: Op,
    knows_size: bool,
) -> Ended {
    let is_prefix_only =
        !script.iter().any(|it| matches!(it.what, What::Other(_) | What::Longer(_)));
    let origin = Origin::new(content.clone(), script);
    let answers = origin.clone();
    let blobs = client(move |request| answers.answer(request));
    let digest = Digest::sha256(&content);
    let size = knows_size.then_some(content.len() as u64);
    let mut download = blobs.download(&digest);
    if let Some(size) = size {
        download = download.size(size);
    }
    let Ok(reader) = download.await else { return Ended::Unopened };
    let (held, noted) = (Vec::new(), Vec::new());
    let mut caller = Caller { blobs: blobs.clone(), digest, size, reader, held, noted };
    let mut is_alone = true;
    for op in ops.into_iter().chain(std::iter::repeat_n(last, 500_000)) {
        is_alone &= matches!(op, Op::Read(_) | Op::Drop(..) | Op::Note);
        match caller.step(op).await {
            Ok(false) => {}
            Ok(true) => {
                assert!(caller.held == content, "an end, and not the content");
                caller.is_over_for_good(None).await;
                return if is_alone { Ended::Whole } else { Ended::WholeByMany };
            }
            Err(error) => {
                let kind = error.kind();
                let known = [
                    ErrorKind::Integrity,
                    ErrorKind::Protocol,
                    ErrorKind::Transport,
                    ErrorKind::Rejected,
                    ErrorKind::Forbidden,
                    ErrorKind::Server,
                ];
                assert!(known.contains(&kind), "{error}");
                assert!(!is_prefix_only || content.starts_with(&caller.held), "{error}");
                if matches!(op, Op::Read(_) | Op::Drop(..)) {
                    caller.is_over_for_good(Some(kind)).await;
                }
                let is_within = !caller.held.is_empty();
                return if is_within { Ended::FailedWithin } else { Ended::Failed };
            }
        }
    }
    panic!("neither end nor error");
}

/// How many cases; a long run takes more.
fn cases() -> u32 {
    std::env::var("ACR_TEST_CASES").ok().map_or(1_000, |text| text.parse().unwrap())
}

#[test]
fn a2_what_any_mix_of_readers_holds_is_the_content_or_an_error() {
    let last =
        prop_oneof![Just(Way::Chunk), Just(Way::Next), (1_000usize..100_000).prop_map(Way::Read),];
    let case = (
        prop_oneof![12 => 0usize..400, 1 => 130_000usize..300_000],
        proptest::collection::vec(serve(), 0..8),
        proptest::collection::vec(op(), 0..40),
        last,
        any::<bool>(),
    );
    let ends = std::cell::RefCell::new(BTreeMap::new());
    let config = ProptestConfig { cases: cases(), ..ProptestConfig::default() };
    let run = TestRunner::new(config).run(&case, |(len, script, ops, last, knows_size)| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let run = run(content(len), script, ops, Op::Read(last), knows_size);
        *ends.borrow_mut().entry(runtime.block_on(run)).or_insert(0) += 1;
        Ok(())
    });
    if let Err(failure) = run {
        panic!("{failure}");
    }
    // A reader that always fails would never hold anything wrong.
    let ends = ends.into_inner();
    println!("{ends:?}");
    let all =
        [Ended::Unopened, Ended::Whole, Ended::WholeByMany, Ended::Failed, Ended::FailedWithin];
    for end in all {
        assert!(ends.get(&end).is_some_and(|count| *count > cases() / 200), "{end:?}: {ends:?}");
    }
}

/// A megabyte in one piece, of which a part was read.
#[tokio::test(start_paused = true)]
async fn a2_a_checkpoint_within_a_piece_goes_on_within_it() {
    let whole = content(3 << 20);
    let origin = Origin::new(whole.clone(), vec![Serve::honest(1 << 20)]);
    let answers = origin.clone();
    let blobs = client(move |request| answers.answer(request));
    let digest = Digest::sha256(&whole);
    let mut reader = blobs.download(&digest).await.unwrap();
    let mut held = vec![0; 40_960];
    reader.read_exact(&mut held).await.unwrap();
    let checkpoint = reader.checkpoint();
    assert_eq!(checkpoint.delivered(), 40_960);
    // In this process the next interface goes on in the middle of the piece.
    let mut here = held.clone();
    here.extend(reader.chunk().await.unwrap().unwrap());
    here.extend(reader.next().await.unwrap().unwrap());
    reader.read_to_end(&mut here).await.unwrap();
    assert!(here == whole);
    // And so does the next process.
    let reader = blobs.download(&digest).resume(checkpoint.clone()).await.unwrap();
    held.extend(reader.bytes(4 << 20).await.unwrap());
    assert!(held == whole);
    // A file is written from the first byte: whoever wants to go on in one says so otherwise.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, "some of it").unwrap();
    let download = blobs.download(&digest).resume(checkpoint);
    let error = download.to_file(&path).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("DownloadCheckpoint::reopen"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), b"some of it");
    for before in [&b""[..], b"some of it", &vec![0; 5 << 20]] {
        std::fs::write(&path, before).unwrap();
        assert_eq!(blobs.download(&digest).to_file(&path).await.unwrap(), whole.len() as u64);
        assert!(std::fs::read(&path).unwrap() == whole);
    }
}

/// What another process wrote is believed only if it is there.
#[tokio::test(start_paused = true)]
async fn a2_a_file_must_have_what_its_checkpoint_says() {
    let whole = content(300_000);
    let origin = Origin::new(whole.clone(), vec![Serve::honest(1_000)]);
    let blobs = client(move |request| origin.answer(request));
    let digest = Digest::sha256(&whole);
    let mut reader = blobs.download(&digest).await.unwrap();
    reader.read_exact(&mut vec![0; 200_500]).await.unwrap();
    let checkpoint = reader.checkpoint();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("partial");
    let kind = checkpoint.reopen(&path).await.unwrap_err().kind();
    assert_eq!(kind, ErrorKind::Source, "it is not there");
    let mut zeros = whole[..100_000].to_vec();
    zeros.resize(200_500, 0);
    for (written, is_good) in [
        (&whole[..200_500], true),
        (&whole[..250_000], true),
        (&whole[..200_499], false),
        (&whole[..0], false),
        (&zeros, false),
    ] {
        std::fs::write(&path, written).unwrap();
        match checkpoint.reopen(&path).await {
            Ok(mut file) => {
                assert!(is_good);
                let rest = blobs.download(&digest).resume(checkpoint.clone()).await.unwrap();
                std::io::Write::write_all(&mut file, &rest.bytes(1 << 20).await.unwrap()).unwrap();
                assert!(std::fs::read(&path).unwrap() == whole);
            }
            Err(error) => {
                assert!(!is_good && error.kind() == ErrorKind::Source, "{error}");
                assert!(std::fs::read(&path).unwrap() == written, "it was changed");
            }
        }
    }
}

/// A buffer without room says nothing about the content.
#[tokio::test(start_paused = true)]
async fn a2_an_empty_buffer_takes_nothing() {
    let whole = content(100);
    let origin = Origin::new(whole.clone(), vec![]);
    let blobs = client(move |request| origin.answer(request));
    let mut reader = blobs.download(Digest::sha256(&whole)).await.unwrap();
    assert_eq!(reader.read(&mut []).await.unwrap(), 0);
    assert_eq!(reader.checkpoint().delivered(), 0);
    assert_eq!(reader.bytes(100).await.unwrap(), whole);
}
