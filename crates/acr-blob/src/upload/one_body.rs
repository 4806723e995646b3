//! Content of a known length that passes once, as one body. The last of it is kept, so that a
//! body that broke off can be gone on with.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll, ready},
};

use acr_core::{Error, ErrorKind, Result, http::Body};
use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::{
    source::{Pieces, unreadable},
    upload::{
        ledger::Ledger,
        plan::CHUNK,
        sync::{Arc, Mutex, lock},
    },
};

/// The content, and what of it passed: shared by the driver and the body under way.
#[derive(Clone)]
pub(crate) struct OneBody {
    len: u64,
    passed: Arc<Mutex<Passed>>,
}

struct Passed {
    /// None once it was taken back: a body that is under way still gets no more of it.
    rest: Option<Pieces>,
    window: VecDeque<Bytes>,
    /// The end of the window: short pieces that are gathered, since each would cost as much as a
    /// long one.
    short: Vec<u8>,
    /// Where the window starts and ends.
    start: u64,
    end: u64,
}

/// What is left of content that passed as one body.
pub(crate) struct Left {
    pub(crate) rest: Pieces,
    pub(crate) window: Vec<Bytes>,
    pub(crate) start: u64,
    pub(crate) end: u64,
}

impl OneBody {
    pub(crate) fn new(pieces: Pieces, len: u64) -> Self {
        let passed = Passed {
            rest: Some(pieces),
            window: VecDeque::new(),
            short: Vec::new(),
            start: 0,
            end: 0,
        };
        Self { len, passed: Arc::new(Mutex::new(passed)) }
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// How many bytes passed.
    pub(crate) fn passed(&self) -> u64 {
        lock(&self.passed).end
    }

    /// All of it, hashed while it passes.
    pub(crate) fn body(&self, ledger: Ledger) -> Body {
        Body::stream(Passing { content: self.clone(), ledger, at: 0, is_over: false, next: None })
    }

    /// Ends a body that is under way, and gives what it left.
    pub(crate) fn take_back(&self) -> Option<Left> {
        let mut passed = lock(&self.passed);
        let rest = passed.rest.take()?;
        passed.join_short();
        let window = std::mem::take(&mut passed.window).into();
        Some(Left { rest, window, start: passed.start, end: passed.end })
    }
}

impl Passed {
    fn poll_next(&mut self, cx: &mut Context<'_>, ledger: &Ledger) -> Poll<Option<Result<Given>>> {
        let Some(rest) = &mut self.rest else {
            return Poll::Ready(Some(Err(unreadable("it is sent by another request now"))));
        };
        let piece = match ready!(rest.as_mut().poll_next(cx)) {
            Some(Ok(piece)) => piece,
            Some(Err(error)) => return Poll::Ready(Some(Err(unreadable(error)))),
            None => return Poll::Ready(None),
        };
        let waiting = match ledger.give(self.end, &piece) {
            Ok(waiting) => waiting,
            Err(error) => return Poll::Ready(Some(Err(error))),
        };
        self.end = self.end.saturating_add(piece.len() as u64);
        self.keep(&piece);
        while let Some(first) = self.window.front().map(|first| first.len() as u64) {
            if self.end.saturating_sub(self.start.saturating_add(first)) < CHUNK {
                break;
            }
            self.window.pop_front();
            self.start = self.start.saturating_add(first);
        }
        let ledger = ledger.clone();
        let hashed = Box::pin(async move { ledger.settle(waiting).await });
        Poll::Ready(Some(Ok(Given { piece, hashed })))
    }

    fn keep(&mut self, piece: &Bytes) {
        if self.short.len().saturating_add(piece.len()) > GATHERED {
            self.join_short();
        }
        if piece.len() < GATHERED / 2 {
            self.short.extend_from_slice(piece);
        } else {
            self.join_short();
            self.window.push_back(piece.clone());
        }
    }

    fn join_short(&mut self) {
        if !self.short.is_empty() {
            // Without what there is of room.
            let short = std::mem::take(&mut self.short).into_boxed_slice();
            self.window.push_back(short.into());
        }
    }
}

/// A piece, and the wait for its hash.
struct Given {
    piece: Bytes,
    hashed: Pin<Box<dyn Future<Output = ()> + Send>>,
}

struct Passing {
    content: OneBody,
    ledger: Ledger,
    /// Where the next piece starts that the connection is given.
    at: u64,
    is_over: bool,
    next: Option<Given>,
}

impl Passing {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        let mut given = match self.next.take() {
            Some(given) => given,
            None => match ready!(lock(&self.content.passed).poll_next(cx, &self.ledger)) {
                Some(given) => given?,
                None => return Poll::Ready(None),
            },
        };
        if given.hashed.as_mut().poll(cx).is_pending() {
            self.next = Some(given);
            return Poll::Pending;
        }
        // Before the last piece leaves, so that nothing is stored of other content.
        self.ledger.check()?;
        Poll::Ready(Some(Ok(given.piece)))
    }
}

impl http_body::Body for Passing {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        match ready!(self.poll_piece(cx)) {
            Some(Ok(piece)) => {
                self.ledger.note_sent(self.at);
                self.at = self.at.saturating_add(piece.len() as u64);
                Poll::Ready(Some(Ok(Frame::data(piece))))
            }
            Some(Err(error)) => {
                self.is_over = true;
                Poll::Ready(Some(Err(self.ledger.breaks(error))))
            }
            None => {
                self.is_over = true;
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.is_over || self.at >= self.content.len
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.content.len.saturating_sub(self.at))
    }
}

/// As much of short pieces is joined into one; a piece of half of it is long.
const GATHERED: usize = 128 * 1024;

/// A success before the registry can have had the content.
pub(crate) fn too_early(passed: u64, len: u64) -> Error {
    let text = format!("the registry says that it has all, and got {passed} of {len} bytes");
    Error::new(ErrorKind::Protocol, text)
}

#[cfg(test)]
mod tests {
    use acr_core::{Digest, Digester};
    use futures_util::{FutureExt as _, stream};
    use http_body_util::BodyExt as _;

    use super::*;

    /// Passes pieces of these lengths; what is left of them.
    fn pass(lens: &[usize]) -> (Bytes, Left) {
        let whole: Vec<u8> =
            (0..lens.iter().sum::<usize>()).map(|n| u8::try_from(n % 251).unwrap()).collect();
        let whole = Bytes::from(whole);
        let mut rest = whole.clone();
        let pieces: Vec<_> = lens.iter().map(|len| Ok(rest.split_to(*len))).collect();
        let content = OneBody::new(Box::pin(stream::iter(pieces)), whole.len() as u64);
        let ledger = Ledger::new(Digester::default());
        let sent = content.body(ledger.clone()).collect().now_or_never().unwrap().unwrap();
        assert_eq!(sent.to_bytes(), whole);
        assert_eq!(ledger.digester().finish(), Digest::sha256(&whole));
        (whole, content.take_back().unwrap())
    }

    #[test]
    fn short_pieces_are_kept_as_few_long_ones() {
        let short = vec![1; 300_000];
        let uneven: Vec<usize> =
            (0..90).flat_map(|_| [1, 1400, GATHERED / 2 - 1, 90_000]).collect();
        for lens in [short, uneven] {
            let (whole, left) = pass(&lens);
            let kept = left.window.concat();
            let [start, end, chunk] =
                [left.start, left.end, CHUNK].map(|at| usize::try_from(at).unwrap());
            assert_eq!((start, end), (whole.len() - kept.len(), whole.len()));
            assert_eq!(kept, whole[start..]);
            assert!(kept.len() >= whole.len().min(chunk), "{}", kept.len());
            assert!(kept.len() <= chunk + GATHERED, "{}", kept.len());
            assert!(
                left.window.len() <= 2 * kept.len() / (GATHERED / 2) + 1,
                "{}",
                left.window.len()
            );
        }
    }
}
