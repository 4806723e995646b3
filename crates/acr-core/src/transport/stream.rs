//! A connection as hyper wants it, and what it remembers of its use.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use hyper_util::client::legacy::connect::{Connected, Connection};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// TCP, or any number of TLS and tunnels around it.
pub(crate) type Io = Box<dyn Duplex>;

/// Both directions of a connection.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// A plain or an encrypted connection.
pub(crate) struct Stream {
    io: Io,
    is_h2: bool,
    usage: Usage,
}

/// What happened on a connection so far. Without TLS records: this is what hyper saw.
#[derive(Clone, Debug)]
pub(crate) struct Usage(Arc<Facts>);

#[derive(Debug)]
struct Facts {
    is_h2: bool,
    /// Something was received since the last thing was sent.
    heard: AtomicBool,
    /// Something was sent after something was received: a second exchange began.
    reused: AtomicBool,
    /// An answer's head came.
    answered: AtomicBool,
    /// An exchange on it was told to an observer.
    told: AtomicBool,
}

impl Stream {
    pub(crate) fn new(io: Io, is_h2: bool) -> Self {
        Self {
            io,
            is_h2,
            usage: Usage(Arc::new(Facts {
                is_h2,
                heard: AtomicBool::new(false),
                reused: AtomicBool::new(false),
                answered: AtomicBool::new(false),
                told: AtomicBool::new(false),
            })),
        }
    }
}

impl Usage {
    /// What is remembered of a connection.
    pub(crate) fn of(connection: &Connected) -> Option<Self> {
        let mut extras = http::Extensions::new();
        connection.get_extras(&mut extras);
        extras.remove()
    }

    /// Whether a connection that just failed had served before and was silent since: the
    /// server had closed it already, and took nothing of the request.
    ///
    /// HTTP/1.1 takes turns, so bytes tell. In HTTP/2 both sides talk all the time; there
    /// an earlier answer tells.
    pub(crate) fn went_stale(&self) -> bool {
        let facts = &self.0;
        if facts.is_h2 {
            facts.answered.load(Ordering::Acquire)
        } else {
            facts.reused.load(Ordering::Acquire) && !facts.heard.load(Ordering::Acquire)
        }
    }

    /// Whether an exchange on it was told before; from now on one was.
    pub(crate) fn note_told(&self) -> bool {
        self.0.told.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn note_answer(&self) {
        self.0.answered.store(true, Ordering::Release);
    }

    fn note_sent(&self) {
        // Also a write that fails was a try to use the connection again.
        if self.0.heard.swap(false, Ordering::AcqRel) {
            self.0.reused.store(true, Ordering::Release);
        }
    }

    fn note_heard(&self) {
        self.0.heard.store(true, Ordering::Release);
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        let connected = Connected::new().extra(self.usage.clone());
        if self.is_h2 { connected.negotiated_h2() } else { connected }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = ready!(Pin::new(&mut self.io).poll_read(cx, buffer));
        if buffer.filled().len() > before {
            self.usage.note_heard();
        }
        Poll::Ready(result)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.usage.note_sent();
        Pin::new(&mut self.io).poll_write(cx, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.usage.note_sent();
        Pin::new(&mut self.io).poll_write_vectored(cx, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
