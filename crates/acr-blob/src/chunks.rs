//! Cuts any content into chunks of one size and hashes every byte once.

use std::{future::poll_fn, pin::Pin};

use acr_core::{BoxError, Digest, Digester, Error, ErrorKind, Result};
use bytes::{Buf as _, Bytes, BytesMut};
use futures_core::Stream;

use crate::content::{Content, Source};

/// A source, cut into chunks. Each byte is hashed when it is cut, whatever is
/// sent or repeated later.
pub(crate) struct Chunks {
    source: Source,
    size: usize,
    announced: Option<u64>,
    /// A piece of a stream that did not fit into the last chunk.
    rest: Bytes,
    digester: Digester,
}

impl Chunks {
    pub(crate) fn new(content: Content, size: usize, digester: Digester) -> Self {
        let announced = content.len();
        Self { source: content.0, size, announced, rest: Bytes::new(), digester }
    }

    /// The length of the whole, if known.
    pub(crate) fn total(&self) -> Option<u64> {
        self.announced
    }

    /// The next chunk: of full size, except the last; `None` after it.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>> {
        let chunk = match &mut self.source {
            Source::Bytes(bytes) => bytes.split_to(self.size.min(bytes.len())),
            Source::Stream(stream) => gather(stream, &mut self.rest, self.size).await?,
            #[cfg(feature = "tokio-io")]
            Source::Reader { reader, .. } => read(reader, self.size).await.map_err(unreadable)?,
        };
        // Hashed in pieces that stay in the processor's cache.
        for piece in chunk.chunks(HASHED_AT_ONCE) {
            self.digester.update(piece);
        }
        if chunk.is_empty() {
            self.check_length()?;
            return Ok(None);
        }
        Ok(Some(chunk))
    }

    /// The digest of all chunks, once the last was taken.
    pub(crate) fn finish(self) -> (Digest, u64) {
        let len = self.digester.len();
        (self.digester.finish(), len)
    }

    fn check_length(&self) -> Result<()> {
        match self.announced {
            Some(announced) if announced != self.digester.len() => {
                let read = self.digester.len();
                let text = format!("the content changed: {announced} bytes before, {read} read");
                Err(Error::new(ErrorKind::Source, text))
            }
            _ => Ok(()),
        }
    }
}

type Pieces = Pin<Box<dyn Stream<Item = Result<Bytes, BoxError>> + Send>>;

/// Takes pieces until a chunk is full; what is left over stays in `rest`.
async fn gather(stream: &mut Pieces, rest: &mut Bytes, size: usize) -> Result<Bytes> {
    let mut chunk = BytesMut::new();
    loop {
        if rest.is_empty() {
            match poll_fn(|cx| stream.as_mut().poll_next(cx)).await {
                None => return Ok(chunk.freeze()),
                Some(piece) => *rest = piece.map_err(unreadable)?,
            }
        }
        let missing = size.saturating_sub(chunk.len());
        if chunk.is_empty() && rest.len() >= size {
            return Ok(rest.split_to(size));
        }
        let taken = missing.min(rest.len());
        chunk.extend_from_slice(rest.get(..taken).unwrap_or_default());
        rest.advance(taken);
        if chunk.len() == size {
            return Ok(chunk.freeze());
        }
    }
}

#[cfg(feature = "tokio-io")]
async fn read(
    reader: &mut Pin<Box<dyn tokio::io::AsyncRead + Send>>,
    size: usize,
) -> Result<Bytes, BoxError> {
    use tokio::io::AsyncReadExt as _;
    // Grown as bytes arrive, so that a small file needs no large buffer.
    let mut chunk = BytesMut::new();
    let mut limited = reader.take(size as u64);
    while chunk.len() < size {
        let step = (size - chunk.len()).min(READ_AT_ONCE);
        chunk.reserve(step);
        if limited.read_buf(&mut chunk).await? == 0 {
            break;
        }
    }
    Ok(chunk.freeze())
}

fn unreadable(source: impl Into<BoxError>) -> Error {
    Error::new(ErrorKind::Source, "the content could not be read").with_source(source)
}

/// A quarter of a usual second-level cache.
const HASHED_AT_ONCE: usize = 512 * 1024;

#[cfg(feature = "tokio-io")]
const READ_AT_ONCE: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt as _, stream};
    use proptest::prelude::*;

    use super::*;

    fn cut(content: Content, size: usize) -> Result<(Vec<Bytes>, Digest, u64)> {
        let mut chunks = Chunks::new(content, size, Digester::default());
        let mut seen = Vec::new();
        while let Some(chunk) = chunks.next().now_or_never().unwrap()? {
            seen.push(chunk);
        }
        let (digest, len) = chunks.finish();
        Ok((seen, digest, len))
    }

    fn pieces(split: &[Vec<u8>]) -> Content {
        let items: Vec<Result<Bytes, BoxError>> =
            split.iter().map(|p| Ok(Bytes::from(p.clone()))).collect();
        Content::stream(stream::iter(items))
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_chunks_and_digest(
            split in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..12),
            size in 1usize..50,
        ) {
            let whole = split.concat();
            let expected: Vec<Bytes> = whole.chunks(size).map(Bytes::copy_from_slice).collect();
            let reader = Content::reader(std::io::Cursor::new(whole.clone()));
            for content in [pieces(&split), Content::from(whole.clone()), reader] {
                let (chunks, digest, len) = cut(content, size).unwrap();
                prop_assert_eq!(&chunks, &expected);
                prop_assert_eq!(digest, Digest::sha256(&whole));
                prop_assert_eq!(len, whole.len() as u64);
            }
        }
    }

    #[test]
    fn a_source_that_fails_or_changes_is_a_source_error() {
        let items: Vec<Result<Bytes, BoxError>> =
            vec![Ok(Bytes::from_static(b"abc")), Err("disk on fire".into())];
        let failing = Content::stream(stream::iter(items));
        let shrunk = Content(Source::Reader {
            reader: Box::pin(std::io::Cursor::new(b"abc".to_vec())),
            len: Some(5),
        });
        for content in [failing, shrunk] {
            assert_eq!(cut(content, 10).unwrap_err().kind(), ErrorKind::Source);
        }
    }
}
