//! A sink beside the client, and contents that both know.

use acr_blob::Content;
use acr_core::{Digest, Endpoint, http::BoxError};
use acr_testkit::{Sink, SinkBuilder, SinkStats, Tls, sink_content};
use bytes::Bytes;
use tokio::runtime::{Builder, Runtime};

use crate::ours::Ours;

/// A sink on a thread of its own, so that what it does is counted nowhere.
pub(crate) struct Beside {
    sink: Sink,
    client: Runtime,
    _server: Runtime,
}

impl Beside {
    pub(crate) fn new() -> Self {
        // Challenges too: whoever sends unasked what would be refused is seen by it.
        Self::with(SinkBuilder::new().challenges())
    }

    pub(crate) fn with(sink: SinkBuilder) -> Self {
        let server = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let sink = server.block_on(sink.serve(Tls::Off)).unwrap();
        let client = Builder::new_current_thread().enable_all().build().unwrap();
        Self { sink, client, _server: server }
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        self.sink.endpoint()
    }

    /// Our client of a repository, where nothing was asked yet.
    pub(crate) fn ours(&self, repository: &str) -> Ours {
        Ours::new(self.endpoint(), repository)
    }

    /// Runs the client on this thread.
    pub(crate) fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.client.block_on(work)
    }

    /// What the sink counted while the client did this.
    pub(crate) fn counted(&self, work: impl Future) -> SinkStats {
        self.sink.forget();
        self.run(work);
        self.sink.stats()
    }
}

/// The digest of so many bytes of what a sink has.
pub(crate) fn digest(len: usize) -> Digest {
    let content = sink_content();
    Digest::sha256(&content.repeat(len.div_ceil(content.len()))[..len])
}

/// The repository whose blobs are so long.
pub(crate) fn repository(len: usize) -> String {
    format!("bench/{len}")
}

/// Pieces as a program reads them: 64 KiB.
pub(crate) fn stream(len: usize) -> Content {
    let piece = Bytes::from(vec![7; PIECE]);
    let items = (0..len / PIECE).map(move |_| Ok::<_, BoxError>(piece.clone()));
    Content::stream(futures_util::stream::iter(items))
}

/// A file of so many bytes.
pub(crate) fn file(len: usize) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(len as u64).unwrap();
    file
}

pub(crate) const MIB: usize = 1 << 20;

pub(crate) const SMALL: usize = 16 << 10;

const PIECE: usize = 64 << 10;
