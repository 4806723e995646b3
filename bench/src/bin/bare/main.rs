//! The yardstick: what transfers cost on hyper-util and sha2 alone.
//!
//! No retry, no sign-in, no layers, no time-outs: whatever goes wrong ends it. It is as fast as a
//! program can be that is written plainly, on one thread, and that is all it is for. It asks a sink
//! (`acr-emulator --sink`), prints one line of JSON and ends.
//!
//! ```text
//! bare get http://127.0.0.1:5000/v2/bench/1073741824/blobs/sha256:… [--to FILE]
//! bare put-file http://127.0.0.1:5000/v2/bench FILE
//! ```

#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::future_not_send,
    reason = "a program on one thread that measures and prints"
)]

mod case;
mod measure;
mod tls;

use std::{fs::File, io::Write as _, path::Path};

use bytes::{Bytes, BytesMut};
use clap::Parser as _;
use http::{Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{
        Client,
        connect::{Connect, HttpConnector},
    },
    rt::TokioExecutor,
};
use sha2::{Digest as _, Sha256};
use tokio::task::JoinSet;

use self::{
    case::{Bare, Case, Reader},
    measure::Measured,
};

fn main() {
    let Bare { case, ca } = Bare::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let told = runtime.block_on(async {
        if let Some(ca) = ca {
            return Yardstick::new(tls::Connector::trusting(&ca)).run(case).await;
        }
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        Yardstick::new(tcp).run(case).await
    });
    println!("{told}");
}

#[derive(Clone)]
struct Yardstick<C> {
    client: Client<C, Full<Bytes>>,
}

impl<C: Connect + Clone + Send + Sync + 'static> Yardstick<C> {
    fn new(connector: C) -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build(connector) }
    }

    async fn run(self, case: Case) -> String {
        let measured = Measured::begin();
        let (bytes, requests) = match case {
            Case::Rate { mib } => (hash(mib << 20), 0),
            Case::Get { url, to } => (self.get(&url, to.as_deref()).await, 1),
            Case::PutFile { repository, file, chunk } => {
                let len = File::open(&file).unwrap().metadata().unwrap().len();
                self.put(&repository, Reader::file(&file, len, chunk)).await
            }
            Case::PutMemory { repository, bytes, chunk } => {
                self.put(&repository, Reader::memory(bytes, chunk)).await
            }
            Case::Ping { url, load } => {
                let ask = move |this: Self| {
                    let url = url.clone();
                    async move {
                        let answer = this.send(Method::GET, &url, &[], Bytes::new()).await;
                        // A connection whose answer was not read is not used again.
                        answer.into_body().collect().await.unwrap();
                    }
                };
                (0, self.at_once(load.count, load.tasks, ask).await)
            }
            Case::SmallGet { url, load } => {
                let get = move |this: Self| {
                    let url = url.clone();
                    async move {
                        this.get(&url, None).await;
                    }
                };
                (0, self.at_once(load.count, load.tasks, get).await)
            }
            Case::SmallPut { repository, bytes, load } => {
                let content = Bytes::from(vec![7; bytes]);
                let put = move |this: Self| {
                    let (repository, content) = (repository.clone(), content.clone());
                    async move { this.put_small(&repository, content).await }
                };
                (0, 2 * self.at_once(load.count, load.tasks, put).await)
            }
            Case::List { url } => self.list(url).await,
        };
        measured.end(bytes, requests)
    }

    /// So many times the same, by so many tasks; how often in all.
    async fn at_once<F, Fut>(&self, count: u64, tasks: u64, one: F) -> u64
    where
        F: Fn(Self) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let mut running = JoinSet::new();
        for task in 0..tasks {
            let (this, one) = (self.clone(), one.clone());
            let share = count / tasks + u64::from(task < count % tasks);
            running.spawn(async move {
                for _ in 0..share {
                    one(this.clone()).await;
                }
            });
        }
        while let Some(done) = running.join_next().await {
            done.unwrap();
        }
        count
    }

    async fn send(
        &self,
        method: Method,
        uri: &Uri,
        headers: &[(header::HeaderName, String)],
        body: Bytes,
    ) -> Response<Incoming> {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(body)).unwrap();
        let answer = self.client.request(request).await.unwrap();
        assert!(answer.status().is_success(), "{uri}: {}", answer.status());
        answer
    }

    /// Reads a blob whose digest the URL ends with, to a file or to nowhere, and verifies it.
    async fn get(&self, url: &Uri, to: Option<&Path>) -> u64 {
        let mut body = self.send(Method::GET, url, &[], Bytes::new()).await.into_body();
        let mut file = to.map(|path| File::create(path).unwrap());
        let (mut hash, mut len) = (Sha256::new(), 0);
        while let Some(frame) = body.frame().await {
            let Ok(piece) = frame.unwrap().into_data() else { continue };
            hash.update(&piece);
            len += piece.len() as u64;
            if let Some(file) = &mut file {
                file.write_all(&piece).unwrap();
            }
        }
        assert!(url.path().ends_with(&digest(hash)), "the content has another digest");
        if let Some(file) = file {
            file.sync_all().unwrap();
        }
        len
    }

    /// Uploads content of unknown digest in chunks, hashed while it is read.
    async fn put(&self, repository: &Uri, mut content: Reader) -> (u64, u64) {
        let start = at(repository, &format!("{}/blobs/uploads/", repository.path()));
        let answer = self.send(Method::POST, &start, &[], Bytes::new()).await;
        let (mut place, mut hash) = (place(&start, &answer), Sha256::new());
        let (mut sent, mut requests) = (0, 2);
        while let Some(chunk) = content.next(&mut hash) {
            let end = sent + chunk.len() as u64;
            let range = (header::CONTENT_RANGE, format!("{sent}-{}", end - 1));
            let answer = self.send(Method::PATCH, &place, &[range], chunk.clone()).await;
            content.take_back(chunk);
            place = self::place(&place, &answer);
            (sent, requests) = (end, requests + 1);
        }
        let close = at(&place, &format!("{}?digest={}", place.path(), digest(hash)));
        let answer = self.send(Method::PUT, &close, &[], Bytes::new()).await;
        assert_eq!(answer.status(), StatusCode::CREATED);
        (sent, requests)
    }

    /// Uploads content in two requests.
    async fn put_small(&self, repository: &Uri, content: Bytes) {
        let start = at(repository, &format!("{}/blobs/uploads/", repository.path()));
        let place = place(&start, &self.send(Method::POST, &start, &[], Bytes::new()).await);
        let digest = digest(Sha256::new_with_prefix(&content));
        let close = at(&place, &format!("{}?digest={digest}", place.path()));
        self.send(Method::PUT, &close, &[], content).await;
    }

    /// Reads all pages of a list, and nothing in them.
    async fn list(&self, url: Uri) -> (u64, u64) {
        let (mut next, mut bytes, mut requests) = (Some(url), 0, 0);
        while let Some(url) = next {
            let answer = self.send(Method::GET, &url, &[], Bytes::new()).await;
            let link = answer.headers().get(header::LINK).map(|link| link.to_str().unwrap());
            let target = link.and_then(|link| link.strip_prefix('<')?.split('>').next());
            next = target.map(|target| at(&url, target));
            bytes += answer.into_body().collect().await.unwrap().to_bytes().len() as u64;
            requests += 1;
        }
        (bytes, requests)
    }
}

/// Another path of the same origin.
fn at(base: &Uri, path_and_query: &str) -> Uri {
    let mut parts = base.clone().into_parts();
    parts.path_and_query = Some(path_and_query.parse().unwrap());
    Uri::from_parts(parts).unwrap()
}

fn place(base: &Uri, answer: &Response<Incoming>) -> Uri {
    at(base, answer.headers()[header::LOCATION].to_str().unwrap())
}

fn digest(hash: Sha256) -> String {
    let hex: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// What of it all is the hash: content in the pieces that connections give, from a cache.
fn hash(bytes: u64) -> u64 {
    let piece = BytesMut::zeroed(PIECE);
    let mut hash = Sha256::new();
    for _ in 0..bytes / PIECE as u64 {
        hash.update(&piece);
    }
    std::hint::black_box(hash.finalize());
    bytes
}

/// A quarter of a usual second-level cache.
const PIECE: usize = 256 * 1024;
