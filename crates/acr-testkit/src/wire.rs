//! Answers as bytes on a connection, for what no well-behaved server sends.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use acr_core::http::Body;
use http::{HeaderMap, HeaderValue, header};
use http_body_util::{BodyExt as _, Limited};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    net::TcpStream,
    time::Sleep,
};
use tokio_rustls::server::TlsStream;

use crate::{
    answer::{Answer, with},
    clock::Stamp,
    damage,
    fault::{CutEnd, Effect},
    service::Carrier,
    sync::lock,
};

/// What the answers of one connection ask of it; a handle.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wire(Arc<Mutex<Wishes>>);

#[derive(Debug, Default)]
struct Wishes {
    script: Option<Script>,
    close_idle: Option<Duration>,
}

/// Bytes to send once the server has given the connection up, and how it ends.
#[derive(Debug)]
struct Script {
    bytes: Vec<u8>,
    end: CutEnd,
}

/// A connection that can be reset.
pub(crate) trait Socket: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Lets the end of the connection be a reset.
    fn reset_on_close(&self);
}

/// A connection that the server uses and that is still there when the server is done with it.
pub(crate) struct Line<S> {
    stream: Arc<Mutex<S>>,
    wire: Wire,
    end: Option<Pin<Box<Sleep>>>,
}

impl Wire {
    /// Lets the connection end with these bytes.
    fn play(&self, script: Script) {
        lock(&self.0).script = Some(script);
    }

    /// Lets the connection close when it was idle for so long.
    fn close_idle(&self, after: Duration) {
        lock(&self.0).close_idle = Some(after);
    }

    fn take_script(&self) -> Option<Script> {
        lock(&self.0).script.take()
    }

    fn take_close_idle(&self) -> Option<Duration> {
        lock(&self.0).close_idle.take()
    }
}

impl Carrier for Wire {
    async fn carry(&self, answer: Answer, effects: &[Effect], time: Stamp) -> io::Result<Answer> {
        for effect in effects {
            if let Effect::CloseIdle { after } = effect {
                self.close_idle(*after);
            }
        }
        if !effects.iter().any(Effect::is_raw) {
            return Ok(answer);
        }
        if let Some(script) = Script::render(answer, effects, &time.http_date()).await {
            self.play(script);
        }
        Err(damage::broken())
    }
}

impl Script {
    /// Writes an answer as the faults want it; `None` for one too large to hold.
    async fn render(answer: Answer, effects: &[Effect], date: &str) -> Option<Self> {
        let (mut head, body) = with(answer, header::DATE, date).into_parts();
        let body = collect(body).await?;
        let reason = head.status.canonical_reason().unwrap_or("Unknown");
        let mut bytes = Vec::new();
        for effect in effects {
            if let Effect::Informational { count } = effect {
                for _ in 0..*count {
                    bytes.extend_from_slice(
                        b"HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n",
                    );
                }
            }
        }
        let framing = Framing::choose(&head.headers, effects);
        let body = framing.apply(&mut head.headers, body);
        let status = head.status.as_u16();
        bytes.extend_from_slice(format!("HTTP/1.1 {status} {reason}\r\n").as_bytes());
        for (name, value) in &head.headers {
            bytes.extend_from_slice(name.as_str().as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&body);
        let mut end = CutEnd::Fin;
        for effect in effects {
            if let Effect::Cut { at, end: cut_end } = effect {
                bytes.truncate(usize::try_from(*at).unwrap_or(usize::MAX));
                end = *cut_end;
            }
        }
        Some(Self { bytes, end })
    }
}

/// How the end of the body is told.
enum Framing {
    /// `Content-Length` off by so much, and so many bytes more.
    Counted {
        by: i64,
        extra: u64,
    },
    Chunked {
        garbage_after: Option<u64>,
    },
    Closed,
}

impl Framing {
    fn choose(headers: &HeaderMap, effects: &[Effect]) -> Self {
        let is_counted = headers.contains_key(header::CONTENT_LENGTH);
        let mut framing = match is_counted {
            true => Self::Counted { by: 0, extra: 0 },
            false => Self::Chunked { garbage_after: None },
        };
        for effect in effects {
            framing = match effect {
                Effect::CloseDelimited => Self::Closed,
                Effect::GarbageChunk { after } => Self::Chunked { garbage_after: Some(*after) },
                Effect::Length { by } => Self::Counted { by: *by, extra: 0 },
                Effect::Extend { bytes } => Self::Counted { by: 0, extra: *bytes },
                _ => framing,
            };
        }
        framing
    }

    fn apply(self, headers: &mut HeaderMap, mut body: Vec<u8>) -> Vec<u8> {
        match self {
            Self::Counted { by, extra } => {
                let len = (body.len() as u64).saturating_add_signed(by);
                headers.insert(header::CONTENT_LENGTH, HeaderValue::from(len));
                let extra = usize::try_from(extra).unwrap_or(0);
                body.resize(body.len().saturating_add(extra), b'x');
                body
            }
            Self::Closed => {
                headers.remove(header::CONTENT_LENGTH);
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
                body
            }
            Self::Chunked { garbage_after } => {
                headers.remove(header::CONTENT_LENGTH);
                let chunked = HeaderValue::from_static("chunked");
                headers.insert(header::TRANSFER_ENCODING, chunked);
                let good = garbage_after
                    .map_or(usize::MAX, |after| usize::try_from(after).unwrap_or(usize::MAX));
                body.truncate(good);
                let mut chunks = Vec::new();
                if !body.is_empty() {
                    chunks.extend_from_slice(format!("{:x}\r\n", body.len()).as_bytes());
                    chunks.append(&mut body);
                    chunks.extend_from_slice(b"\r\n");
                }
                let end = if garbage_after.is_some() { "nonsense\r\n" } else { "0\r\n\r\n" };
                chunks.extend_from_slice(end.as_bytes());
                chunks
            }
        }
    }
}

async fn collect(body: Body) -> Option<Vec<u8>> {
    let collected = Limited::new(body, MAX_SCRIPT).collect().await.ok()?;
    Some(collected.to_bytes().to_vec())
}

impl<S: Socket> Line<S> {
    /// The connection for the server, and for afterwards.
    pub(crate) fn new(stream: S, wire: Wire) -> (Self, Arc<Mutex<S>>) {
        let stream = Arc::new(Mutex::new(stream));
        (Self { stream: Arc::clone(&stream), wire, end: None }, stream)
    }
}

/// Plays what a fault left for the end of a connection, if it did.
pub(crate) async fn finish<S: Socket>(stream: Arc<Mutex<S>>, wire: &Wire) -> io::Result<()> {
    let Some(Script { bytes, end }) = wire.take_script() else { return Ok(()) };
    // The server has dropped its half.
    let Some(stream) = Arc::into_inner(stream) else { return Ok(()) };
    let mut stream = stream.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    stream.write_all(&bytes).await?;
    stream.flush().await?;
    end_with(stream, end).await
}

/// Ends a connection in one of three ways.
pub(crate) async fn end_with<S: Socket>(mut stream: S, end: CutEnd) -> io::Result<()> {
    match end {
        CutEnd::Reset => {
            stream.reset_on_close();
            Ok(())
        }
        CutEnd::Fin => stream.shutdown().await,
        // Until the client gives up.
        CutEnd::Stall => {
            let mut rest = [0; 1024];
            while stream.read(&mut rest).await? > 0 {}
            Ok(())
        }
    }
}

impl Socket for TcpStream {
    fn reset_on_close(&self) {
        // Without the option the connection ends in order, which is an end as well.
        let _ = self.set_zero_linger();
    }
}

impl Socket for TlsStream<TcpStream> {
    fn reset_on_close(&self) {
        self.get_ref().0.reset_on_close();
    }
}

impl<S: Socket> AsyncRead for Line<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.end.as_mut().is_some_and(|end| end.as_mut().poll(cx).is_ready()) {
            return Poll::Ready(Ok(())); // Nothing read: the end.
        }
        let polled = Pin::new(&mut *lock(&self.stream)).poll_read(cx, buffer);
        if polled.is_ready() {
            self.end = None; // Not idle any more.
        }
        polled
    }
}

impl<S: Socket> AsyncWrite for Line<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *lock(&self.stream)).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The answer is out; the server waits for the next request from now on.
        if let Some(after) = self.wire.take_close_idle() {
            let mut end = Box::pin(tokio::time::sleep(after));
            if end.as_mut().poll(cx).is_ready() {
                cx.waker().wake_by_ref();
            }
            self.end = Some(end);
        }
        Pin::new(&mut *lock(&self.stream)).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *lock(&self.stream)).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *lock(&self.stream)).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        lock(&self.stream).is_write_vectored()
    }
}

/// A bound on an answer that is held in memory to be spoilt.
const MAX_SCRIPT: usize = 64 << 20;
