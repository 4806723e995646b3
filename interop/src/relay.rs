//! A plain relay between a client and a registry, which tells what passed and spoils one thing.

use std::{
    fmt,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{
    Method, Request, Response, StatusCode,
    header::{CONNECTION, CONTENT_TYPE, RANGE, TRANSFER_ENCODING},
    request::Parts,
};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use crate::{
    error::{Attempt as _, Error, Result},
    upstream,
};

/// What a relay spoils.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Spoils {
    /// The first download of a blob breaks off after about so many bytes.
    Download(usize),
    /// A blob is stored only after it was looked for so many times, whoever hangs up before.
    Commit {
        /// How often.
        looks: usize,
        /// Whether the registry knows the upload meanwhile.
        is_known: bool,
    },
}

/// A request that passed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Passed {
    /// Its method.
    pub method: Method,
    /// Its path, without the query.
    pub path: String,
    /// Its `Range`.
    pub range: Option<String>,
    /// How many bytes its body had.
    pub sent: u64,
}

/// A running relay; stops when dropped.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    state: Arc<State>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    upstream: SocketAddr,
    spoils: Spoils,
    /// Whether the download has broken off, or the commit has begun.
    is_spoilt: AtomicBool,
    /// How often a blob was looked for.
    looks: watch::Sender<usize>,
    passed: Mutex<Vec<Passed>>,
}

impl Relay {
    /// Starts in front of an address.
    ///
    /// # Errors
    ///
    /// When no loopback port is free.
    pub async fn start(upstream: SocketAddr, spoils: Spoils) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.attempt(|| "bind a relay")?;
        let address = listener.local_addr().attempt(|| "read the relay's address")?;
        let state = Arc::new(State {
            upstream,
            spoils,
            is_spoilt: AtomicBool::new(false),
            looks: watch::Sender::new(0),
            passed: Mutex::default(),
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&state)));
        Ok(Self { address, state, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What passed since it was asked last, in the order it came.
    pub fn passed(&self) -> Vec<Passed> {
        std::mem::take(&mut *self.state.passed.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, path, range, sent } = self;
        write!(f, "{method} {path}, {sent} bytes")?;
        range.as_ref().map_or(Ok(()), |range| write!(f, ", {range}"))
    }
}

impl State {
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Broken>> {
        let (mut head, body) = request.into_parts();
        let body = whole(body).await?;
        self.note(&head, body.len());
        head.headers.remove(CONNECTION);
        head.headers.remove(TRANSFER_ENCODING);
        let is_blob = head.uri.path().contains("/blobs/sha256:");
        let method = head.method.clone();
        let is_upload = head.uri.path().contains("/blobs/uploads/");
        let request = Request::from_parts(head, Full::new(body));
        match self.spoils {
            Spoils::Commit { is_known: false, .. }
                if is_upload && self.is_spoilt.load(Ordering::SeqCst) =>
            {
                unknown()
            }
            Spoils::Commit { looks, .. } if is_upload && method == Method::PUT => {
                self.is_spoilt.store(true, Ordering::SeqCst);
                self.commit(request, looks).await
            }
            Spoils::Commit { .. } if is_blob && method == Method::HEAD => {
                let answer = self.ask(request).await;
                self.looks.send_modify(|looks| *looks += 1);
                answer
            }
            Spoils::Download(after)
                if is_blob
                    && method == Method::GET
                    && !self.is_spoilt.swap(true, Ordering::SeqCst) =>
            {
                let answer = self.ask(request).await?;
                Ok(answer.map(|answer| Broken { after: Some(after), ..answer }))
            }
            _ => self.ask(request).await,
        }
    }

    /// Done in a task of its own, for the front end hangs up long before.
    async fn commit(
        self: Arc<Self>,
        request: Request<Full<Bytes>>,
        needed: usize,
    ) -> Result<Response<Broken>> {
        let mut looks = self.looks.subscribe();
        let stored = tokio::spawn(async move {
            looks.wait_for(|looks| *looks >= needed).await.attempt(|| "wait for a look")?;
            self.ask(request).await
        });
        stored.await.attempt(|| "store a blob")?
    }

    async fn ask(&self, request: Request<Full<Bytes>>) -> Result<Response<Broken>> {
        let (mut head, body) = upstream::send(self.upstream, request).await?.into_parts();
        head.headers.remove(CONNECTION);
        head.headers.remove(TRANSFER_ENCODING);
        let body = whole(body).await?;
        Ok(Response::from_parts(head, Broken { body: Some(body), after: None }))
    }

    fn note(&self, head: &Parts, sent: usize) {
        let range = head.headers.get(RANGE).and_then(|range| range.to_str().ok());
        let passed = Passed {
            method: head.method.clone(),
            path: head.uri.path().to_owned(),
            range: range.map(str::to_owned),
            sent: sent as u64,
        };
        self.passed.lock().unwrap_or_else(PoisonError::into_inner).push(passed);
    }
}

/// A body that may break off: its announced length stays, and the connection ends.
#[derive(Debug)]
struct Broken {
    /// What is left to send.
    body: Option<Bytes>,
    after: Option<usize>,
}

impl Body for Broken {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        let Some(mut body) = self.body.take() else { return Poll::Ready(None) };
        match self.after {
            None => Poll::Ready(Some(Ok(Frame::data(body)))),
            Some(0) => Poll::Ready(Some(Err(Error::new("broken off")))),
            Some(after) => {
                let first = body.split_to(after.min(body.len()));
                (self.body, self.after) = (Some(body), Some(0));
                // Sent before the break, which comes with the next poll.
                context.waker().wake_by_ref();
                Poll::Ready(Some(Ok(Frame::data(first))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.body.as_ref().map_or(0, |body| body.len() as u64))
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, Arc::clone(&state)));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, state: Arc<State>) {
    let service = service_fn(move |request| Arc::clone(&state).answer(request));
    // An error is the other side hanging up, or the break itself.
    let _ended = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// What a registry says of an upload that it does not know.
fn unknown() -> Result<Response<Broken>> {
    let body = r#"{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN","message":"blob upload unknown"}]}"#;
    let answer = Response::builder()
        .status(StatusCode::NOT_FOUND)
        .header(CONTENT_TYPE, "application/json")
        .body(Broken { body: Some(body.into()), after: None });
    answer.attempt(|| "make an answer")
}

async fn whole(body: Incoming) -> Result<Bytes> {
    let body = Limited::new(body, LIMIT).collect().await;
    Ok(body.map_err(|source| Error::with_source("read a body", source))?.to_bytes())
}

/// More than any body of these tests.
const LIMIT: usize = 64 * 1024 * 1024;
