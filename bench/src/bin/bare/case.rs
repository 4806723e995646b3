//! What is to be measured, and what is uploaded.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use bytes::{Bytes, BytesMut};
use clap::{Args, Parser, Subcommand};
use http::Uri;
use sha2::{Digest as _, Sha256};

use crate::PIECE;

/// What transfers cost on hyper-util and sha2 alone
#[derive(Parser)]
pub(crate) struct Bare {
    #[command(subcommand)]
    pub(crate) case: Case,
    /// The authority to trust, as PEM; for https
    #[arg(long, global = true)]
    pub(crate) ca: Option<PathBuf>,
}

#[derive(Subcommand)]
pub(crate) enum Case {
    /// Hashes so much memory: the rate that all other figures are scaled by
    Rate {
        #[arg(long, default_value_t = 1024)]
        mib: u64,
    },
    /// Reads a blob and verifies it
    Get {
        url: Uri,
        #[arg(long)]
        to: Option<PathBuf>,
    },
    /// Uploads a file in chunks
    PutFile {
        repository: Uri,
        file: PathBuf,
        #[arg(long, default_value_t = CHUNK)]
        chunk: usize,
    },
    /// Uploads one piece of memory over and over, in chunks
    PutMemory {
        repository: Uri,
        bytes: u64,
        #[arg(long, default_value_t = CHUNK)]
        chunk: usize,
    },
    /// Asks for something and does not look at the answer
    Ping {
        url: Uri,
        #[command(flatten)]
        load: Load,
    },
    /// Reads a blob over and over
    SmallGet {
        url: Uri,
        #[command(flatten)]
        load: Load,
    },
    /// Uploads bytes in two requests, over and over
    SmallPut {
        repository: Uri,
        #[arg(long, default_value_t = 16 * 1024)]
        bytes: usize,
        #[command(flatten)]
        load: Load,
    },
    /// Follows the pages of a list
    List { url: Uri },
}

#[derive(Args, Clone, Copy)]
pub(crate) struct Load {
    #[arg(long, default_value_t = 20_000)]
    pub(crate) count: u64,
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) tasks: u64,
}

/// Content in chunks, hashed while it is read.
pub(crate) struct Reader {
    /// None gives the same bytes again and again.
    file: Option<File>,
    left: u64,
    chunk: usize,
    buffer: BytesMut,
}

impl Reader {
    pub(crate) fn file(path: &Path, len: u64, chunk: usize) -> Self {
        let file = File::open(path).unwrap();
        Self { file: Some(file), left: len, chunk, buffer: BytesMut::zeroed(chunk) }
    }

    pub(crate) fn memory(len: u64, chunk: usize) -> Self {
        Self { file: None, left: len, chunk, buffer: BytesMut::zeroed(chunk) }
    }

    /// The next chunk; it is hashed in pieces that stay in a cache.
    pub(crate) fn next(&mut self, hash: &mut Sha256) -> Option<Bytes> {
        let len = usize::try_from(self.left.min(self.chunk as u64)).unwrap();
        if len == 0 {
            return None;
        }
        let mut chunk = std::mem::take(&mut self.buffer);
        chunk.truncate(len);
        for piece in chunk.chunks_mut(PIECE) {
            if let Some(file) = &mut self.file {
                file.read_exact(piece).unwrap();
            }
            hash.update(&piece);
        }
        self.left -= len as u64;
        Some(chunk.freeze())
    }

    /// Reads into the same memory again: the connection has let go of it.
    pub(crate) fn take_back(&mut self, chunk: Bytes) {
        self.buffer = chunk.try_into_mut().unwrap_or_else(|_| BytesMut::zeroed(self.chunk));
    }
}

const CHUNK: usize = 4 << 20;
