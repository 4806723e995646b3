//! A request body that is watched while it is sent.

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, Bytes};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::Instant;

pin_project! {
    /// The request body that [`TimeoutLayer`](super::TimeoutLayer) hands on: the same bytes
    /// and errors, in pieces of at most 64 KiB. That the next one is taken is the only sign of
    /// progress there is.
    pub struct WatchedBody<B> {
        #[pin]
        body: B,
        rest: Bytes,
        progress: Option<Progress>,
    }
}

impl<B: Body> WatchedBody<B> {
    /// A body of one piece needs no watching.
    pub(super) fn watch(body: B) -> Self {
        let is_one_piece = body.size_hint().exact().is_some_and(|len| len <= PIECE as u64);
        Self::new(body, (!is_one_piece).then(Progress::start))
    }
}

impl<B> WatchedBody<B> {
    pub(crate) fn new(body: B, progress: Option<Progress>) -> Self {
        Self { body, rest: Bytes::new(), progress }
    }

    pub(super) fn progress(&self) -> Option<&Progress> {
        self.progress.as_ref()
    }

    /// What a body that nobody has read from was made of.
    pub(crate) fn into_parts(self) -> (B, Option<Progress>) {
        (self.body, self.progress)
    }
}

impl<B: Body> Body for WatchedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut this = self.project();
        if this.rest.is_empty() {
            match ready!(this.body.as_mut().poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(mut data) => *this.rest = data.copy_to_bytes(data.remaining()),
                    Err(other) => {
                        let trailers = other.into_trailers().unwrap_or_default();
                        return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                    }
                },
                Some(Err(error)) => {
                    note_end(this.progress.as_ref());
                    return Poll::Ready(Some(Err(error)));
                }
                None => {
                    note_end(this.progress.as_ref());
                    return Poll::Ready(None);
                }
            }
        }
        let len = this.rest.len().min(PIECE);
        let piece = this.rest.split_to(len);
        if let Some(progress) = this.progress {
            progress.note(!(this.rest.is_empty() && this.body.is_end_stream()));
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (hint, rest) = (self.body.size_hint(), self.rest.len() as u64);
        let mut whole = SizeHint::new();
        if let Some(upper) = hint.upper().and_then(|upper| upper.checked_add(rest)) {
            whole.set_upper(upper);
        }
        whole.set_lower(hint.lower().saturating_add(rest));
        whole
    }
}

impl<B> fmt::Debug for WatchedBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchedBody").finish_non_exhaustive()
    }
}

/// When the last piece of a request body was handed to the transport.
#[derive(Clone)]
pub(crate) struct Progress(Arc<Mutex<(Instant, bool)>>);

impl Progress {
    fn start() -> Self {
        Self(Arc::new(Mutex::new((Instant::now(), true))))
    }

    /// Notes a piece, and whether another one follows.
    pub(crate) fn note(&self, follows: bool) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (Instant::now(), follows);
    }

    /// Since when, and whether more of the body follows.
    pub(super) fn get(&self) -> (Instant, bool) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The time runs from the last piece, not from when its end was noticed.
fn note_end(progress: Option<&Progress>) {
    if let Some(progress) = progress.filter(|progress| progress.get().1) {
        progress.note(false);
    }
}

/// Small beside what a connection buffers, large beside the cost of a piece.
pub(crate) const PIECE: usize = 64 * 1024;
