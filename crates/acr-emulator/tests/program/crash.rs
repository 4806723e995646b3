//! Kills at every step of an upload, and at random moments among many writers.

use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use acr_core::Digest;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::Notify,
};

use crate::support::{Emulator, Got, OCI_MANIFEST};

/// Far more than a piece takes to be on disk, also on a machine with much else to do.
const PATIENCE: Duration = Duration::from_secs(60);

fn files(folder: &Path) -> usize {
    std::fs::read_dir(folder.join("content")).map_or(0, Iterator::count)
}

/// Sends the head of a request and so much of its body, and waits until that is on disk.
async fn begin(
    emulator: &Emulator,
    folder: &Path,
    line: &str,
    body: &[u8],
    part: usize,
) -> TcpStream {
    let before = files(folder);
    let mut stream = emulator.connect().await;
    stream.write_all(emulator.head(line, "", body.len()).as_bytes()).await.unwrap();
    stream.write_all(&body[..part]).await.unwrap();
    stream.flush().await.unwrap();
    if part > 0 && line.starts_with("PATCH") && before == 0 {
        let is_there = async {
            while files(folder) == 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, is_there).await.expect("nothing arrived on disk");
    }
    stream
}

/// Goes on with an upload from wherever its status says, to its end.
async fn finish(emulator: &Emulator, location: &str, content: &[u8]) -> Digest {
    let got = emulator.ask(&format!("GET {location}"), "").await;
    assert_eq!(got.status, 204, "{got:?}");
    let end: usize = got.header("range").strip_prefix("0-").unwrap().parse().unwrap();
    // `0-0` stands for nothing as for one byte; the contents here never break off after one.
    let at = if end == 0 { 0 } else { end + 1 };
    let got = emulator.ask(&format!("PATCH {}", got.header("location")), &content[at..]).await;
    assert_eq!(got.status, 202, "from {at}: {got:?}");
    let digest = Digest::sha256(content);
    let got = emulator.ask(&format!("PUT {}&digest={digest}", got.header("location")), "").await;
    assert_eq!(got.status, 201, "{got:?}");
    digest
}

#[tokio::test]
async fn e2_an_upload_goes_on_after_a_kill_at_each_of_its_steps() {
    let content: Vec<u8> = (0..300_000u32).map(|n| (n % 251) as u8).collect();
    let half = content.len() / 2;
    for step in 0..8 {
        let folder = TempDir::new().unwrap();
        let emulator = Emulator::on(folder.path()).await;
        let start = emulator.ask("POST /v2/a/blobs/uploads/", "").await;
        let mut location = start.header("location").to_owned();
        let patch = format!("PATCH {location}");
        let mut streams = Vec::new();
        match step {
            0 => {}
            1 => streams.push(begin(&emulator, folder.path(), &patch, &content, 0).await),
            2 => streams.push(begin(&emulator, folder.path(), &patch, &content, 2).await),
            3 => streams.push(begin(&emulator, folder.path(), &patch, &content, half).await),
            _ => {
                let got = emulator.ask(&patch, &content[..half]).await;
                assert_eq!(got.status, 202);
                location = got.header("location").to_owned();
            }
        }
        let digest = Digest::sha256(&content);
        let patch = format!("PATCH {location}");
        let put = format!("PUT {location}&digest={digest}");
        let rest = &content[half..];
        match step {
            5 => streams.push(begin(&emulator, folder.path(), &patch, rest, rest.len() / 2).await),
            6 => streams.push(begin(&emulator, folder.path(), &put, rest, 0).await),
            7 => streams.push(begin(&emulator, folder.path(), &put, rest, rest.len() / 2).await),
            _ => {}
        }
        emulator.kill().await;
        drop(streams);

        let emulator = Emulator::on(folder.path()).await;
        let got = finish(&emulator, &location, &content).await;
        let got = emulator.ask(&format!("GET /v2/a/blobs/{got}"), "").await;
        assert!(got.status == 200 && got.body == content, "step {step}");
        assert_eq!(files(folder.path()), 1, "step {step}: one blob, one file");
        emulator.stop().await;
    }
}

#[tokio::test]
async fn e2_a_kill_at_any_moment_loses_nothing_that_was_answered() {
    let rounds = std::env::var("ACR_TESTKIT_KILLS").map_or(20, |text| text.parse().unwrap());
    let folder = TempDir::new().unwrap();
    let mut random = fastrand::Rng::with_seed(20_261_128);
    let mut all = Vec::new();
    for round in 0..rounds {
        let emulator = Emulator::on(folder.path()).await;
        let round = Round::new(random.u64(..), round, random.u64(0..120));
        round.run(&emulator).await;
        let emulator = Emulator::on(folder.path()).await;
        let known = std::mem::take(&mut *round.known.lock().unwrap());
        known.verify(&emulator).await;
        let told = known.blobs.iter().filter(|(_, is_told)| *is_told);
        all.extend(told.map(|(content, _)| Digest::sha256(content)));
        // The next round begins with a kill, too, of a process that nobody asks.
        emulator.kill().await;
    }
    let emulator = Emulator::on(folder.path()).await;
    for digest in all {
        let got = emulator.ask(&format!("GET /v2/a/blobs/{digest}"), "").await;
        assert_eq!((got.status, Digest::sha256(&got.body)), (200, digest));
    }
    emulator.stop().await;
}

/// What was sent to one process, and what of it was answered, at the moment of the kill.
#[derive(Debug, Default)]
struct Known {
    /// Contents, and whether their blob was told to be there.
    blobs: Vec<(Vec<u8>, bool)>,
    /// Addresses of uploads with their content, what was told to have arrived, and whether their
    /// end was sent.
    uploads: Vec<(String, Vec<u8>, usize, bool)>,
    /// A tag and the digests that it may point to: the last one that was told, and what was
    /// sent after it.
    tags: Vec<(String, Vec<Option<Digest>>)>,
}

struct Round {
    seed: u64,
    number: usize,
    /// How many steps are left until the kill.
    left: AtomicU64,
    over: Notify,
    known: Mutex<Known>,
}

impl Round {
    fn new(seed: u64, number: usize, steps: u64) -> Arc<Self> {
        let (left, over, known) = (AtomicU64::new(steps), Notify::new(), Mutex::default());
        Arc::new(Self { seed, number, left, over, known })
    }

    async fn run(self: &Arc<Self>, emulator: &Emulator) {
        let address: Arc<str> = emulator.address().into();
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let (round, address) = (Arc::clone(self), Arc::clone(&address));
                tokio::spawn(async move {
                    let seed = round.seed.wrapping_add(writer);
                    let random = fastrand::Rng::with_seed(seed);
                    let mut writer = Writer { round, address, random, name: format!("w{writer}") };
                    while writer.act().await.is_some() {}
                })
            })
            .collect();
        self.over.notified().await;
        emulator.kill_now().await;
        for writer in writers {
            writer.await.unwrap();
        }
    }

    /// One step nearer to the kill.
    fn step(&self) {
        if self.left.fetch_sub(1, Ordering::Relaxed) == 0 {
            self.over.notify_one();
        }
    }

    fn know<T>(&self, change: impl FnOnce(&mut Known) -> T) -> T {
        change(&mut self.known.lock().unwrap())
    }
}

/// Sends one request after another, each in pieces, until the connection breaks.
struct Writer {
    round: Arc<Round>,
    address: Arc<str>,
    random: fastrand::Rng,
    name: String,
}

impl Writer {
    async fn act(&mut self) -> Option<()> {
        match self.random.u8(0..4) {
            0 => self.whole().await,
            1 => self.tag().await,
            _ => self.chunked().await,
        }
    }

    fn content(&mut self) -> Vec<u8> {
        let len = self.random.usize(2..200_000);
        let (byte, tail) = (self.random.u8(..), self.random.u64(..).to_le_bytes());
        [vec![byte; len], tail.to_vec()].concat()
    }

    async fn whole(&mut self) -> Option<()> {
        let content = self.content();
        let line = format!("POST /v2/a/blobs/uploads/?digest={}", Digest::sha256(&content));
        let at = self.round.know(|known| {
            known.blobs.push((content.clone(), false));
            known.blobs.len() - 1
        });
        assert_eq!(self.ask(&line, "", &content).await?.status, 201);
        self.round.know(|known| known.blobs[at].1 = true);
        Some(())
    }

    async fn chunked(&mut self) -> Option<()> {
        let content = self.content();
        let digest = Digest::sha256(&content);
        let got = self.ask("POST /v2/a/blobs/uploads/", "", b"").await?;
        let mut location = got.header("location").to_owned();
        let at = self.round.know(|known| {
            known.uploads.push((location.clone(), content.clone(), 0, false));
            known.uploads.len() - 1
        });
        let mut sent = 0;
        while sent < content.len() {
            let end = (sent + self.random.usize(2..100_000)).min(content.len());
            let got = self.ask(&format!("PATCH {location}"), "", &content[sent..end]).await?;
            assert_eq!(got.status, 202, "{got:?}");
            got.header("location").clone_into(&mut location);
            sent = end;
            self.round.know(|known| {
                (known.uploads[at].0, known.uploads[at].2) = (location.clone(), sent)
            });
        }
        self.round.know(|known| known.uploads[at].3 = true);
        let got = self.ask(&format!("PUT {location}&digest={digest}"), "", b"").await?;
        assert_eq!(got.status, 201, "{got:?}");
        self.round.know(|known| {
            known.uploads[at].2 = usize::MAX;
            known.blobs.push((content, true));
        });
        Some(())
    }

    async fn tag(&mut self) -> Option<()> {
        let number = self.random.u64(..);
        let index =
            format!(r#"{{"schemaVersion":2,"manifests":[],"annotations":{{"n":"{number}"}}}}"#);
        let tag = format!("{}-{}", self.round.number, self.name);
        let is_delete = self.random.bool();
        let becomes = (!is_delete).then(|| Digest::sha256(index.as_bytes()));
        let at = self.round.know(|known| {
            let at = known.tags.iter().position(|(own, _)| *own == tag);
            let at = at.unwrap_or_else(|| {
                known.tags.push((tag.clone(), vec![None]));
                known.tags.len() - 1
            });
            known.tags[at].1.push(becomes.clone());
            at
        });
        let kind = "Content-Type: application/vnd.oci.image.index.v1+json\r\n";
        match is_delete {
            true => {
                let got = self.ask(&format!("DELETE /acr/v1/t/_tags/{tag}"), "", b"").await?;
                assert!(matches!(got.status, 202 | 404), "{got:?}");
            }
            false => {
                let line = format!("PUT /v2/t/manifests/{tag}");
                assert_eq!(self.ask(&line, kind, index.as_bytes()).await?.status, 201);
            }
        }
        self.round.know(|known| known.tags[at].1 = vec![becomes]);
        Some(())
    }

    /// Sends a request in pieces; `None` once the emulator is dead.
    async fn ask(&mut self, line: &str, headers: &str, body: &[u8]) -> Option<Got> {
        let mut stream = TcpStream::connect(&*self.address).await.ok()?;
        let head = Emulator::head_for(&self.address, line, headers, body.len());
        self.round.step();
        stream.write_all(head.as_bytes()).await.ok()?;
        let cut = self.random.usize(0..=body.len());
        for piece in [&body[..cut], &body[cut..]] {
            self.round.step();
            stream.write_all(piece).await.ok()?;
            stream.flush().await.ok()?;
            tokio::task::yield_now().await;
        }
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.ok()?;
        self.round.step();
        let is_whole = bytes.windows(4).any(|four| four == b"\r\n\r\n");
        is_whole.then(|| Got::read(&bytes))
    }
}

impl Known {
    async fn verify(&self, emulator: &Emulator) {
        for (content, is_told) in &self.blobs {
            let digest = Digest::sha256(content);
            let got = emulator.ask(&format!("GET /v2/a/blobs/{digest}"), "").await;
            match got.status {
                200 => assert!(got.body == *content, "{digest} is half there"),
                status => assert!(status == 404 && !is_told, "{digest} was told and is {status}"),
            }
        }
        for (location, content, told, is_closed) in &self.uploads {
            if *told == usize::MAX {
                continue;
            }
            let got = emulator.ask(&format!("GET {location}"), "").await;
            if *is_closed && got.status == 404 {
                let line = format!("GET /v2/a/blobs/{}", Digest::sha256(content));
                assert!(emulator.ask(&line, "").await.body == *content, "over, and no blob");
                continue;
            }
            assert_eq!(got.status, 204, "{got:?}");
            let end: usize = got.header("range").strip_prefix("0-").unwrap().parse().unwrap();
            assert!(end + 1 >= *told, "{told} bytes were told, {end} is the last one");
            finish(emulator, location, content).await;
        }
        for (tag, allowed) in &self.tags {
            let accept =
                format!("Accept: {OCI_MANIFEST}, application/vnd.oci.image.index.v1+json\r\n");
            let got = emulator.ask_with(&format!("GET /v2/t/manifests/{tag}"), &accept, "").await;
            let found = (got.status == 200).then(|| Digest::sha256(&got.body));
            assert!(allowed.contains(&found), "{tag}: {found:?} of {allowed:?}");
        }
    }
}
