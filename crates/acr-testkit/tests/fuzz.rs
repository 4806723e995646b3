//! Raw bytes into the emulator's socket: mutated requests, over and over. It answers or
//! hangs up in time, never with a 5xx or a panic, and its memory stays where it was.
//!
//! `ACR_FUZZ_ITERATIONS` sets how many (default 3,000), `ACR_FUZZ_SEED` which (default: by
//! the clock; a failure prints it).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests may stop at the first surprise"
)]

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use acr_testkit::{Anonymous, FakeRegistry, Tls};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::Instant,
};

/// What mutations start from: one of each kind of request.
const CORPUS: &[&str] = &[
    "GET /v2/ HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET /acr/v1/_catalog?n=2&last=a&orderby=timedesc HTTP/1.1\r\nHost: h\r\nAuthorization: Basic dTpw\r\n\r\n",
    "GET /acr/v1/a%2Fb/_tags?n=1&digest=sha256%3Aabc HTTP/1.1\r\nHost: h\r\nAuthorization: Basic dTpw\r\n\r\n",
    "PATCH /acr/v1/a/b/_tags/v1 HTTP/1.1\r\nHost: h\r\nAuthorization: Basic dTpw\r\nContent-Length: 22\r\n\r\n{\"deleteEnabled\":true}",
    "DELETE /acr/v1/a/b HTTP/1.1\r\nHost: h\r\nAuthorization: Basic dTpw\r\n\r\n",
    "PUT /v2/a/b/manifests/v1 HTTP/1.1\r\nHost: h\r\nAuthorization: Basic dTpw\r\nContent-Type: application/vnd.oci.image.index.v1+json\r\nContent-Length: 35\r\n\r\n{\"schemaVersion\":2,\"manifests\":[ ]}",
    "GET /v2/a/b/manifests/v1 HTTP/1.1\r\nHost: h\r\nAccept: */*\r\nAuthorization: Basic dTpw\r\n\r\n",
    "HEAD /v2/a/b/blobs/sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 HTTP/1.1\r\nHost: h\r\nRange: bytes=0-9\r\nAuthorization: Basic dTpw\r\n\r\n",
    "POST /v2/a/b/blobs/uploads/?from=c&mount=sha256%3Ae3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 HTTP/1.1\r\nHost: h\r\nAuthorization: Basic dTpw\r\nContent-Length: 0\r\n\r\n",
    "PATCH /v2/a/b/blobs/uploads/11bd78e5-2660-4c5b-93ca-808726387e51?_nouploadcache=false&_state=AAAA HTTP/1.1\r\nHost: h\r\nContent-Range: 0-3\r\nAuthorization: Basic dTpw\r\nContent-Length: 4\r\n\r\nabcd",
    "PUT /v2/a/b/blobs/uploads/11bd78e5-2660-4c5b-93ca-808726387e51?_state=AAAA&digest=sha256%3Aabc HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nAuthorization: Basic dTpw\r\n\r\n4\r\nabcd\r\n0\r\n\r\n",
    "GET /v2/a/b/referrers/sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855?artifactType=x HTTP/1.1\r\nHost: h\r\nAuthorization: Basic dTpw\r\n\r\n",
    "POST /oauth2/token HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 72\r\n\r\ngrant_type=password&service=h&scope=registry%3Acatalog%3A*&refresh_token=",
    "POST /oauth2/exchange HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 52\r\n\r\ngrant_type=access_token&service=h&access_token=abcde",
    "GET /oauth2/token?service=h&scope=repository%3Aa%3Apull HTTP/1.1\r\nHost: h\r\nAuthorization: Basic dTpw\r\n\r\n",
];

/// Words that parsers trip over.
const WORDS: &[&[u8]] = &[
    b"\0",
    b"\r\n",
    b"\r\n\r\n",
    b"%",
    b"%00",
    b"%2F",
    b"%2e%2e/",
    b"..",
    b"//",
    b"?",
    b"&",
    b"=",
    b"\xff\xfe",
    b"99999999999999999999",
    b"-1",
    b"18446744073709551615",
    b"0-",
    b"bytes=-0",
    b"sha256:",
    b"sha512:",
    b"Transfer-Encoding: chunked\r\n",
    b"Content-Length: 9\r\n",
    b"Expect: 100-continue\r\n",
    b"Upgrade: h2c\r\n",
    b"HTTP/1.0",
    b"{\"a\":[[[[[[[[",
    b"\xc3\x28",
];

static PANICS: AtomicUsize = AtomicUsize::new(0);

#[tokio::test]
async fn any_bytes_get_an_answer_or_a_closed_connection() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let iterations = number("ACR_FUZZ_ITERATIONS").unwrap_or(3_000);
    let clock = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let seed = number("ACR_FUZZ_SEED").unwrap_or(clock);
    let mut random = fastrand::Rng::with_seed(seed);
    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        quiet(info);
    }));

    let registry = FakeRegistry::builder().user("u", "p").anonymous(Anonymous::Pull).build();
    let server = registry.serve(Tls::Off).await.unwrap();
    let address: SocketAddr = server.endpoint().authority().parse().unwrap();
    // Everything that is made once is made before memory is measured.
    for request in CORPUS {
        exchange(address, request.as_bytes(), seed).await;
    }
    let (before, start) = (resident_kib(), Instant::now());
    for iteration in 0..iterations {
        let request = mutate(&mut random);
        exchange(address, &request, seed).await;
        if iteration % 500 == 0 {
            registry.journal().clear();
        }
    }
    let (grown, time) = (resident_kib().saturating_sub(before), start.elapsed());
    println!("{iterations} requests of seed {seed} in {time:.1?}; memory grew by {grown} KiB");
    assert_eq!(PANICS.load(Ordering::Relaxed), 0, "seed {seed}");
    assert!(grown < 64 * 1024, "memory grew by {grown} KiB, seed {seed}");
    let alive = exchange(address, CORPUS[0].as_bytes(), seed).await;
    assert!(alive.starts_with("HTTP/1.1 401"), "{alive}");
    server.shutdown().await;
}

/// Sends the bytes on a connection of their own and reads what comes until the end.
async fn exchange(address: SocketAddr, request: &[u8], seed: u64) -> String {
    let answer = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // The emulator may hang up in the middle.
        let _ = stream.write_all(request).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let _ = stream.take(MAX_ANSWER).read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    };
    let shown = String::from_utf8_lossy(request).into_owned();
    let Ok(answer) = tokio::time::timeout(LIMIT, answer).await else {
        panic!("no end after {LIMIT:?} (seed {seed}): {shown:?}");
    };
    assert!(answer.is_empty() || answer.starts_with("HTTP/1."), "seed {seed}: {answer:?}");
    assert!(!answer.starts_with("HTTP/1.1 5"), "seed {seed}: {answer:?} to {shown:?}");
    answer
}

fn mutate(random: &mut fastrand::Rng) -> Vec<u8> {
    let pick = |random: &mut fastrand::Rng| CORPUS[random.usize(..CORPUS.len())].as_bytes();
    let mut bytes = pick(random).to_vec();
    for _ in 0..random.usize(..6) {
        let at = random.usize(..=bytes.len());
        let end = at + random.usize(..=(bytes.len() - at).min(20));
        match random.u8(..7) {
            0 if at < bytes.len() => bytes[at] = random.u8(..),
            1 => drop(bytes.drain(at..end)),
            2 => drop(bytes.splice(at..at, WORDS[random.usize(..WORDS.len())].iter().copied())),
            3 => drop(bytes.splice(at..end, WORDS[random.usize(..WORDS.len())].iter().copied())),
            4 => {
                let other = pick(random);
                let from = random.usize(..other.len());
                drop(bytes.splice(at.., other[from..].iter().copied()));
            }
            5 => {
                let again = bytes[at..end].repeat(random.usize(..200));
                drop(bytes.splice(at..at, again));
            }
            _ => bytes.truncate(at),
        }
    }
    bytes
}

/// What the process holds in memory; 0 where the platform does not say.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

const LIMIT: Duration = Duration::from_secs(20);
const MAX_ANSWER: u64 = 1 << 20;
