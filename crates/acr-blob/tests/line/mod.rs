//! HTTP over a line that is cut once, at one byte, in one direction, in one way.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use acr_core::{
    Error, ErrorKind, Transport,
    http::{Body, Request, Response},
};
use http::header;
use hyper::{client::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tower::ServiceExt as _;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    Fin,
    Rst,
    Stall,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Request,
    Response,
}

/// Where the line is cut, and how many bytes passed so far.
#[derive(Clone, Debug)]
pub struct Cut(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    direction: Direction,
    how: How,
    at: Option<u64>,
    passed: [u64; 2],
}

impl Cut {
    pub fn new(direction: Direction, how: How, at: Option<u64>) -> Self {
        Self(Arc::new(Mutex::new(State { direction, how, at, passed: [0, 0] })))
    }

    /// How many bytes passed in a direction.
    pub fn passed(&self, direction: Direction) -> u64 {
        self.0.lock().unwrap().passed[direction as usize]
    }

    pub fn has_struck(&self) -> bool {
        self.0.lock().unwrap().at.is_none()
    }

    /// How many of these bytes may pass; a cut if none.
    fn pass(&self, direction: Direction, len: usize) -> Result<usize, How> {
        let mut state = self.0.lock().unwrap();
        let passed = state.passed[direction as usize];
        let mut allowed = len;
        if let Some(at) = state.at.filter(|_| state.direction == direction) {
            let left = at.saturating_sub(passed) as usize;
            if left == 0 {
                state.at = None;
                return Err(state.how);
            }
            allowed = left.min(len);
        }
        Ok(allowed)
    }

    fn note(&self, direction: Direction, len: usize) {
        self.0.lock().unwrap().passed[direction as usize] += len as u64;
    }
}

/// The client's end of a connection.
pub struct Line<S> {
    inner: S,
    cut: Cut,
    struck: Option<How>,
    /// Read from the other end, before it may pass.
    pending: Vec<u8>,
}

impl<S> Line<S> {
    pub fn new(inner: S, cut: Cut) -> Self {
        Self { inner, cut, struck: None, pending: Vec::new() }
    }
}

fn reset() -> io::Error {
    io::Error::from(io::ErrorKind::ConnectionReset)
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Line<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            match self.struck {
                Some(How::Fin) => {
                    // The other end learns of it as well.
                    let _ = Pin::new(&mut self.inner).poll_shutdown(cx);
                    return Poll::Ready(Ok(()));
                }
                Some(How::Rst) => return Poll::Ready(Err(reset())),
                Some(How::Stall) => return Poll::Pending,
                None => {}
            }
            if self.pending.is_empty() {
                let mut space = [0; 4096];
                let mut read = ReadBuf::new(&mut space);
                std::task::ready!(Pin::new(&mut self.inner).poll_read(cx, &mut read))?;
                if read.filled().is_empty() {
                    return Poll::Ready(Ok(()));
                }
                self.pending = read.filled().to_vec();
            }
            let len = self.pending.len().min(buffer.remaining());
            match self.cut.pass(Direction::Response, len) {
                Ok(len) => {
                    self.cut.note(Direction::Response, len);
                    let rest = self.pending.split_off(len);
                    buffer.put_slice(&self.pending);
                    self.pending = rest;
                    return Poll::Ready(Ok(()));
                }
                Err(how) => self.struck = Some(how),
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Line<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.struck.is_none() {
            match self.cut.pass(Direction::Request, bytes.len()) {
                Ok(allowed) => {
                    let bytes = &bytes[..allowed];
                    let written =
                        std::task::ready!(Pin::new(&mut self.inner).poll_write(cx, bytes))?;
                    self.cut.note(Direction::Request, written);
                    return Poll::Ready(Ok(written));
                }
                Err(how) => {
                    self.struck = Some(how);
                    cx.waker().wake_by_ref();
                }
            }
        }
        match self.struck {
            Some(How::Stall) => Poll::Pending,
            _ => Poll::Ready(Err(reset())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.struck {
            Some(How::Stall) => Poll::Pending,
            Some(_) => Poll::Ready(Err(reset())),
            None => Pin::new(&mut self.inner).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// Sends one request over a connection of its own.
pub async fn exchange<S>(line: Line<S>, mut request: Request) -> Result<Response, Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let broken = |e: hyper::Error| Error::new(ErrorKind::Transport, "cut").with_source(e);
    let (mut sender, connection) = http1::handshake(TokioIo::new(line)).await.map_err(broken)?;
    // As a client does whose caller has lost patience: the connection goes with the request.
    let connection = AbortOnDrop(Some(tokio::spawn(connection).abort_handle()));
    let authority = request.uri().authority().unwrap().as_str().parse().unwrap();
    request.headers_mut().insert(header::HOST, authority);
    let path = request.uri().path_and_query().unwrap().as_str().parse().unwrap();
    *request.uri_mut() = path;
    let answer = sender.send_request(request).await.map_err(broken)?;
    connection.keep();
    Ok(answer.map(Body::stream))
}

struct AbortOnDrop(Option<tokio::task::AbortHandle>);

impl AbortOnDrop {
    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        if let Some(handle) = self.0.take() {
            handle.abort();
        }
    }
}

/// A transport to a service of this process, over HTTP in memory.
pub fn in_memory(service: Transport, cut: Cut) -> Transport {
    Transport::new(tower::service_fn(move |request: Request| {
        let (service, cut) = (service.clone(), cut.clone());
        async move {
            let origin = request.uri().clone();
            let (here, there) = tokio::io::duplex(256);
            let serve = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                let (service, origin) = (service.clone(), origin.clone());
                let mut request = request.map(Body::stream);
                *request.uri_mut() = origin;
                async move { service.oneshot(request).await }
            });
            tokio::spawn(async move {
                let builder = hyper::server::conn::http1::Builder::new();
                builder.serve_connection(TokioIo::new(there), serve).await
            });
            exchange(Line::new(here, cut), request).await
        }
    }))
}
