//! Blob content: small in memory, large in a temporary folder, hashed while it arrives.

use std::{
    fs::File,
    io::{self, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
};

use acr_core::{Body, Digest, Digester};
use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, Take};
use tokio_util::io::poll_read_buf;

use crate::sync::lock;

/// The temporary folder, made when the first large content arrives.
#[derive(Debug, Default)]
pub(crate) struct Store(Mutex<Folder>);

#[derive(Debug, Default)]
struct Folder {
    folder: Option<TempDir>,
    files: u64,
}

/// Finished content, cheap to clone; its file goes with the last clone.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Memory(Bytes),
    File(Arc<Stored>),
}

/// A file with content.
#[derive(Debug)]
pub(crate) struct Stored {
    path: PathBuf,
    len: u64,
}

/// Content that is still arriving.
#[derive(Debug)]
pub(crate) struct Spool {
    store: Arc<Store>,
    memory: Vec<u8>,
    file: Option<(File, Stored)>,
    digester: Digester,
}

/// A state of a spool to go back to.
#[derive(Debug)]
pub(crate) struct Checkpoint(Digester);

impl Store {
    fn create(&self) -> io::Result<(File, Stored)> {
        let mut folder = lock(&self.0);
        if folder.folder.is_none() {
            folder.folder = Some(tempfile::Builder::new().prefix("acr-testkit-").tempdir()?);
        }
        folder.files += 1;
        let name = folder.files.to_string();
        let root = folder.folder.as_ref().map_or(Path::new(""), TempDir::path);
        let path = root.join(name);
        let file = File::create_new(&path)?;
        Ok((file, Stored { path, len: 0 }))
    }
}

impl Spool {
    pub(crate) fn new(store: Arc<Store>) -> Self {
        Self { store, memory: Vec::new(), file: None, digester: Digester::default() }
    }

    pub(crate) fn len(&self) -> u64 {
        self.digester.len()
    }

    /// Whether the next piece goes to disk, which must not block the runtime.
    pub(crate) fn needs_disk(&self, piece: &[u8]) -> bool {
        self.file.is_some() || self.memory.len() + piece.len() > MAX_IN_MEMORY
    }

    /// Adds a piece: blocking where [`Spool::needs_disk`].
    ///
    /// The file is written before the length moves on, so a failure leaves the old content.
    pub(crate) fn append(&mut self, piece: &[u8]) -> io::Result<()> {
        if self.file.is_none() && self.needs_disk(piece) {
            let (mut file, stored) = self.store.create()?;
            file.write_all(&self.memory)?;
            self.memory = Vec::new();
            self.file = Some((file, stored));
        }
        match &mut self.file {
            None => self.memory.extend_from_slice(piece),
            Some((file, _)) => {
                file.seek(SeekFrom::Start(self.digester.len()))?;
                file.write_all(piece)?;
            }
        }
        self.digester.update(piece);
        Ok(())
    }

    pub(crate) fn checkpoint(&self) -> Checkpoint {
        Checkpoint(self.digester.clone())
    }

    /// Forgets what came after a checkpoint.
    pub(crate) fn roll_back(&mut self, Checkpoint(digester): Checkpoint) {
        self.memory.truncate(usize::try_from(digester.len()).unwrap_or(usize::MAX));
        self.digester = digester;
    }

    pub(crate) fn digest(&self) -> Digest {
        self.digester.clone().finish()
    }

    pub(crate) fn finish(mut self) -> io::Result<Content> {
        match self.file.take() {
            None => Ok(Content::Memory(self.memory.into())),
            Some((file, mut stored)) => {
                stored.len = self.digester.len();
                file.set_len(stored.len)?;
                Ok(Content::File(Arc::new(stored)))
            }
        }
    }
}

impl Content {
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File(stored) => stored.len,
        }
    }

    /// The bytes of small content.
    pub(crate) fn small(&self) -> Option<&Bytes> {
        match self {
            Self::Memory(bytes) => Some(bytes),
            Self::File(_) => None,
        }
    }

    /// A part of the content as a body, read piece by piece.
    pub(crate) async fn body(&self, from: u64, len: u64) -> io::Result<Body> {
        match self {
            Self::Memory(bytes) => {
                let index = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
                Ok(Body::from(bytes.slice(index(from)..index(from.saturating_add(len)))))
            }
            Self::File(stored) => {
                let mut file = tokio::fs::File::open(&stored.path).await?;
                file.set_max_buf_size(PIECE);
                file.seek(SeekFrom::Start(from)).await?;
                let stored = Arc::clone(stored);
                let file = file.take(len);
                Ok(Body::stream(FileBody {
                    file,
                    buffer: BytesMut::new(),
                    left: len,
                    _stored: stored,
                }))
            }
        }
    }
}

impl Drop for Stored {
    fn drop(&mut self) {
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

/// Content up to this length stays in memory.
const MAX_IN_MEMORY: usize = 1 << 20;

/// How much of a file is read at once.
const PIECE: usize = 128 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn large_content_goes_to_disk_and_leaves_with_the_last_user() {
        let store = Arc::new(Store::default());
        let mut spool = Spool::new(Arc::clone(&store));
        let piece = vec![7u8; 700_000];
        for _ in 0..3 {
            spool.append(&piece).unwrap();
        }
        assert_eq!(spool.digest(), Digest::sha256(&vec![7u8; 2_100_000]));
        let content = spool.finish().unwrap();
        let Content::File(stored) = &content else { panic!("must be a file") };
        let path = stored.path.clone();
        let body = content.body(2_099_990, 10).await.unwrap();
        drop(content);
        assert_eq!(body.bytes(100).await.unwrap(), vec![7u8; 10]);
        assert!(!path.exists());
        let folder = path.parent().unwrap().to_owned();
        assert!(folder.exists());
        drop(store);
        assert!(!folder.exists());
    }

    #[tokio::test]
    async fn rolls_back_in_memory_and_on_disk() {
        for size in [10, 2_000_000] {
            let store = Arc::new(Store::default());
            let mut spool = Spool::new(Arc::clone(&store));
            spool.append(b"head").unwrap();
            let checkpoint = spool.checkpoint();
            spool.append(&vec![1; size]).unwrap();
            spool.roll_back(checkpoint);
            assert_eq!(spool.len(), 4);
            spool.append(b"tail").unwrap();
            assert_eq!(spool.digest(), Digest::sha256(b"headtail"));
            let content = spool.finish().unwrap();
            assert_eq!(content.len(), 8);
            assert_eq!(content.body(0, 8).await.unwrap().bytes(100).await.unwrap(), "headtail");
        }
    }
}
