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
        watch: Watch,
    }
}

impl<B: Body> WatchedBody<B> {
    /// What is empty needs no watching.
    pub(super) fn watch(body: B) -> Self {
        let progress = (!body.is_end_stream()).then(|| {
            let is_small = body.size_hint().exact().is_some_and(|len| len <= PIECE as u64);
            if is_small { Progress::at_rest() } else { Progress::sending() }
        });
        Self::new(body, progress)
    }
}

impl<B> WatchedBody<B> {
    pub(crate) fn new(body: B, progress: Option<Progress>) -> Self {
        Self { body, rest: Bytes::new(), watch: Watch(progress) }
    }

    pub(super) fn progress(&self) -> Option<&Progress> {
        self.watch.0.as_ref()
    }

    /// What it is made of; itself, if it holds back a part of a piece.
    pub(crate) fn into_parts(mut self) -> Result<(B, Option<Progress>), Self> {
        if !self.rest.is_empty() {
            return Err(self);
        }
        // Others go on with it: this is not its end.
        let progress = self.watch.0.take();
        Ok((self.body, progress))
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
                        // They are the last thing of a body, and nobody asks for more.
                        this.watch.note_end();
                        let trailers = other.into_trailers().unwrap_or_default();
                        return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                    }
                },
                Some(Err(error)) => {
                    this.watch.note_end();
                    return Poll::Ready(Some(Err(error)));
                }
                None => {
                    this.watch.note_end();
                    return Poll::Ready(None);
                }
            }
        }
        let len = this.rest.len().min(PIECE);
        let piece = this.rest.split_to(len);
        if let Some(progress) = &this.watch.0 {
            // A transport that knows the length does not ask whether more follows.
            let is_last = || this.body.is_end_stream() || this.body.size_hint().exact() == Some(0);
            progress.note(!(this.rest.is_empty() && is_last()));
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
    /// Of a body that is sent from now on.
    fn sending() -> Self {
        Self(Arc::new(Mutex::new((Instant::now(), true))))
    }

    /// Of a small one, which is mostly one piece: while nobody takes it, it is the answer that
    /// is waited for.
    fn at_rest() -> Self {
        Self(Arc::new(Mutex::new((Instant::now(), false))))
    }

    /// Notes a piece, and whether another one follows.
    pub(crate) fn note(&self, follows: bool) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (Instant::now(), follows);
    }

    /// Notes that no more follows, unless that is known.
    pub(crate) fn end(&self) {
        if self.get().1 {
            self.note(false);
        }
    }

    /// Since when, and whether more of the body follows.
    pub(super) fn get(&self) -> (Instant, bool) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Notes the end of a body, at the latest when it is dropped: who lets go of it takes no more.
struct Watch(Option<Progress>);

impl Watch {
    fn note_end(&self) {
        self.0.iter().for_each(Progress::end);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.note_end();
    }
}

/// Small beside what a connection buffers, large beside the cost of a piece.
pub(crate) const PIECE: usize = 64 * 1024;
