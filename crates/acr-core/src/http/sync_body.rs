//! A body that threads may share, for clients that ask for that.

use std::{
    fmt,
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll},
};

use http_body::{Frame, SizeHint};

/// A body that is `Sync`, around one that is only `Send`: for HTTP clients that ask for it, as
/// reqwest does.
///
/// [`Body`](crate::http::Body) is not `Sync`, since most clients need no such promise of what is
/// uploaded. What is read passes through as it is, piece by piece; nothing is collected. No two threads
/// ever wait for one another here: who reads has the body for itself.
///
/// ```
/// use acr_core::http::{Body, SyncBody};
/// use http_body::Body as _;
///
/// fn is_sync<T: Send + Sync + 'static>(_: &T) {}
///
/// let body = SyncBody::new(Body::from("hello"));
/// is_sync(&body);
/// assert_eq!(body.size_hint().exact(), Some(5));
/// ```
///
/// docs/embed.md shows a [`Transport`](crate::Transport) of reqwest that is made with it.
pub struct SyncBody<B>(Mutex<B>);

impl<B> SyncBody<B> {
    /// This body, for one reader at a time.
    pub const fn new(body: B) -> Self {
        Self(Mutex::new(body))
    }

    /// The body again.
    pub fn into_inner(self) -> B {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn look<T>(&self, look: impl FnOnce(&B) -> T) -> T {
        look(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<B: http_body::Body + Unpin> http_body::Body for SyncBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let body = self.get_mut().0.get_mut().unwrap_or_else(PoisonError::into_inner);
        Pin::new(body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.look(B::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.look(B::size_hint)
    }
}

impl<B: fmt::Debug> fmt::Debug for SyncBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.look(|body| f.debug_tuple("SyncBody").field(body).finish())
    }
}
