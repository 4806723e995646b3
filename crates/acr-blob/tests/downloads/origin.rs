//! A registry that gives a blob, or something like it.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use acr_core::{
    ByteRange, Error,
    http::{Body, Request, Response},
};
use bytes::Bytes;
use http::{StatusCode, Version, header};
use http_body::Frame;

/// What one answer has.
#[derive(Clone, Debug)]
pub(crate) enum What {
    /// What was asked for.
    Asked,
    /// Everything, whatever was asked for.
    Whole,
    /// Another byte at an index.
    Other(usize),
    /// So many bytes more than the blob has, announced as its length.
    Longer(usize),
    /// So many fewer.
    Shorter(usize),
    /// A part that starts one byte too late.
    WrongPlace,
    /// A part that ends early, and says so.
    Fewer(usize),
    /// A part of nobody knows how much.
    NoTotal,
    Status(u16),
}

/// How the end of an answer is told.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Framing {
    Length,
    Chunked,
    Http2,
    Close,
}

/// How an answer ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    Whole,
    /// After so many bytes, as if that were all.
    Early(usize),
    /// The connection breaks after so many bytes.
    Broken(usize),
}

/// One answer.
#[derive(Clone, Debug)]
pub(crate) struct Serve {
    pub(crate) what: What,
    pub(crate) framing: Framing,
    pub(crate) end: End,
    /// The size of the pieces it comes in.
    pub(crate) piece: usize,
    /// Frames without content among them.
    pub(crate) empty_frames: bool,
}

impl Serve {
    pub(crate) fn honest(piece: usize) -> Self {
        let (what, framing) = (What::Asked, Framing::Length);
        Self { what, framing, end: End::Whole, piece, empty_frames: false }
    }
}

/// A registry with one blob, and the answers that it will give before it is honest.
#[derive(Clone)]
pub(crate) struct Origin {
    content: Bytes,
    script: Arc<Mutex<VecDeque<Serve>>>,
    ranges: Arc<Mutex<Vec<Option<String>>>>,
}

impl Origin {
    pub(crate) fn new(content: Bytes, script: Vec<Serve>) -> Self {
        let script = Arc::new(Mutex::new(script.into()));
        Self { content, script, ranges: Arc::default() }
    }

    /// The `Range` of each request so far.
    pub(crate) fn ranges(&self) -> Vec<Option<String>> {
        self.ranges.lock().unwrap().clone()
    }

    pub(crate) fn answer(&self, request: &Request) -> Response {
        let asked = request.headers().get(header::RANGE).map(|value| value.to_str().unwrap());
        self.ranges.lock().unwrap().push(asked.map(ToOwned::to_owned));
        let range = asked.map(|text| text.parse::<ByteRange>().unwrap());
        let serve = self.script.lock().unwrap().pop_front();
        answer(&self.content, range, &serve.unwrap_or_else(|| Serve::honest(1 << 20)))
    }
}

fn answer(content: &Bytes, range: Option<ByteRange>, serve: &Serve) -> Response {
    let mut bytes = content.to_vec();
    match serve.what {
        What::Status(code) => return crate::status(code),
        What::Other(at) if !bytes.is_empty() => {
            let at = at % bytes.len();
            bytes[at] ^= 1;
        }
        What::Longer(more) => bytes.resize(bytes.len() + more, 0),
        What::Shorter(fewer) => bytes.truncate(bytes.len().saturating_sub(fewer)),
        _ => {}
    }
    let mut head = http::Response::builder();
    let total = bytes.len() as u64;
    let mut body = Bytes::from(bytes);
    if let Some(range) = range.filter(|_| !matches!(serve.what, What::Whole)) {
        if range.first() >= total {
            let none = format!("bytes */{total}");
            let refused = http::Response::builder().status(StatusCode::RANGE_NOT_SATISFIABLE);
            return refused.header(header::CONTENT_RANGE, none).body(Body::empty()).unwrap();
        }
        let mut first = range.first();
        let mut last = range.last().unwrap_or(u64::MAX).min(total - 1);
        let mut told = total.to_string();
        match serve.what {
            What::WrongPlace if first < last => first += 1,
            What::Fewer(len) => last = first + len as u64 % (last - first + 1),
            What::NoTotal => "*".clone_into(&mut told),
            _ => {}
        }
        body = body.slice(first as usize..=last as usize);
        head = head
            .status(StatusCode::PARTIAL_CONTENT)
            .header(header::CONTENT_RANGE, format!("bytes {first}-{last}/{told}"));
    }
    head = match serve.framing {
        Framing::Length => head.header(header::CONTENT_LENGTH, body.len()),
        Framing::Chunked => head.header(header::TRANSFER_ENCODING, "chunked"),
        Framing::Http2 => head.version(Version::HTTP_2),
        Framing::Close => head,
    };
    let (end, is_broken) = match serve.end {
        End::Whole => (body.len(), false),
        End::Early(end) => (end, false),
        End::Broken(end) => (end, true),
    };
    body.truncate(end);
    let (piece, empty_frames) = (serve.piece.max(1), serve.empty_frames);
    head.body(Body::stream(Pieces { body, piece, is_broken, empty_frames, turn: 0 })).unwrap()
}

/// Content that is not ready every other time it is asked for.
struct Pieces {
    body: Bytes,
    piece: usize,
    is_broken: bool,
    empty_frames: bool,
    turn: u8,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.turn = (self.turn + 1) % 3;
        match self.turn {
            1 => {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            2 if self.empty_frames => return Poll::Ready(Some(Ok(Frame::data(Bytes::new())))),
            _ => {}
        }
        if !self.body.is_empty() {
            let len = self.piece.min(self.body.len());
            return Poll::Ready(Some(Ok(Frame::data(self.body.split_to(len)))));
        }
        let broken = Error::new(acr_core::ErrorKind::Transport, "scripted");
        Poll::Ready(self.is_broken.then_some(Err(broken)))
    }
}
