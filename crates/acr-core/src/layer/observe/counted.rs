//! A body whose bytes are counted.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Buf as _;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::{
    events::{BodyEnd, Direction, Transferred},
    reporter::Reporter,
};
use crate::http::error::kind_of;

pin_project! {
    /// A body that came through [`ObserveExchangeLayer`](super::ObserveExchangeLayer), of a
    /// request or of an answer: the same frames and errors, and its bytes are told.
    pub struct CountedBody<B> {
        #[pin]
        body: B,
        meter: Meter,
    }
}

/// The bytes of one body. Its end is told once, at the latest when it is dropped, unless it had
/// none.
pub(crate) struct Meter {
    reporter: Reporter,
    direction: Direction,
    /// Counted and not told yet.
    untold: u64,
    has_counted: bool,
    /// What is missing of a body that knows its length.
    left: Option<u64>,
    is_over: bool,
}

impl<B: Body> CountedBody<B> {
    pub(super) fn new(body: B, reporter: Reporter, direction: Direction) -> Self {
        let left = body.size_hint().exact();
        Self { body, meter: Meter::new(reporter, direction, left) }
    }

    /// What it is made of, for a body that counts by itself.
    pub(crate) fn into_parts(self) -> (B, Meter) {
        (self.body, self.meter)
    }

    pub(crate) fn from_parts(body: B, meter: Meter) -> Self {
        Self { body, meter }
    }
}

impl<B: Body<Error: 'static>> Body for CountedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.body.as_mut().poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => match frame.data_ref() {
                Some(data) => {
                    this.meter.count(data.remaining());
                    // Nobody asks for more of a body that says that it has none.
                    if this.body.is_end_stream() {
                        this.meter.end(BodyEnd::Complete);
                    }
                }
                None => this.meter.end(BodyEnd::Complete),
            },
            Some(Err(error)) => this.meter.end(BodyEnd::Failed(kind_of(error))),
            None => this.meter.end(BodyEnd::Complete),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Meter {
    fn new(reporter: Reporter, direction: Direction, left: Option<u64>) -> Self {
        Self { reporter, direction, untold: 0, has_counted: false, left, is_over: false }
    }

    pub(crate) fn count(&mut self, bytes: usize) {
        let bytes = bytes as u64;
        self.has_counted |= bytes > 0;
        self.untold = self.untold.saturating_add(bytes);
        self.left = self.left.map(|left| left.saturating_sub(bytes));
        if self.untold >= STEP {
            self.tell(None);
        }
    }

    /// For the same bytes, should they be sent once more.
    pub(crate) fn again(&self, length: u64) -> Self {
        Self::new(self.reporter.clone(), self.direction, Some(length))
    }

    fn end(&mut self, end: BodyEnd) {
        let is_worth_it = self.has_counted || matches!(end, BodyEnd::Failed(_));
        if !std::mem::replace(&mut self.is_over, true) && is_worth_it {
            self.tell(Some(end));
        }
    }

    fn tell(&mut self, end: Option<BodyEnd>) {
        let bytes = std::mem::take(&mut self.untold);
        let transferred = Transferred { direction: self.direction, bytes, end };
        self.reporter.observer.transferred(&self.reporter.of, &transferred);
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        // Who knows the length need not ask for the end.
        let is_whole = self.left == Some(0);
        self.end(if is_whole { BodyEnd::Complete } else { BodyEnd::Dropped });
    }
}

impl<B> fmt::Debug for CountedBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CountedBody").finish_non_exhaustive()
    }
}

/// Often enough to see a long transfer move, seldom enough to cost nothing.
const STEP: u64 = 1 << 20;
