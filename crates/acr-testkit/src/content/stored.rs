//! A content's file, and how it is read.

use std::{
    io::{self, SeekFrom},
    path::PathBuf,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use acr_core::http::Body;
use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, Take};
use tokio_util::io::poll_read_buf;

use crate::disk::named;

/// A file with content; removed with its last user, unless a record on disk names it.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(super) path: PathBuf,
    pub(super) len: u64,
    is_recorded: AtomicBool,
}

impl Stored {
    /// A file that goes with its last user.
    pub(super) fn passing(path: PathBuf) -> Self {
        Self { path, len: 0, is_recorded: AtomicBool::new(false) }
    }

    /// A file that a record names.
    #[cfg(feature = "persist")]
    pub(super) fn recorded(path: PathBuf, len: u64) -> Self {
        Self { path, len, is_recorded: AtomicBool::new(true) }
    }

    /// A part of the file as a body, read piece by piece.
    pub(super) async fn body(self: &Arc<Self>, from: u64, len: u64) -> io::Result<Body> {
        let opened = tokio::fs::File::open(&self.path).await;
        let mut file = opened.map_err(|error| named(&self.path, &error))?;
        file.set_max_buf_size(PIECE);
        file.seek(SeekFrom::Start(from)).await?;
        let (file, stored) = (file.take(len), Arc::clone(self));
        let buffer = BytesMut::new();
        Ok(Body::stream(FileBody { file, buffer, left: len, _stored: stored }))
    }

    /// A record on disk names the file from now on: it stays.
    pub(crate) fn record(&self) {
        self.is_recorded.store(true, Ordering::Release);
    }

    /// No record on disk names the file any more: it goes with its last user.
    pub(crate) fn give_up(&self) {
        self.is_recorded.store(false, Ordering::Release);
    }

    /// The name of the file in its folder.
    pub(crate) fn name(&self) -> &str {
        self.path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }
}

impl Drop for Stored {
    fn drop(&mut self) {
        if self.is_recorded.load(Ordering::Acquire) {
            return;
        }
        // The folder is removed as a whole in the end; a file that stays until then does no harm.
        let _ = std::fs::remove_file(&self.path);
    }
}

struct FileBody {
    file: Take<tokio::fs::File>,
    buffer: BytesMut,
    left: u64,
    /// Keeps the file until the download is over.
    _stored: Arc<Stored>,
}

impl http_body::Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        if this.left == 0 {
            return Poll::Ready(None);
        }
        this.buffer.reserve(PIECE);
        let read = ready!(poll_read_buf(Pin::new(&mut this.file), cx, &mut this.buffer))?;
        if read == 0 {
            return Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into())));
        }
        this.left = this.left.saturating_sub(read as u64);
        Poll::Ready(Some(Ok(Frame::data(this.buffer.split().freeze()))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// How much of a file is read at once.
const PIECE: usize = 128 * 1024;
