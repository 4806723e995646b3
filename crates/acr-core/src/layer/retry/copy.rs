//! Which request bodies can be sent again.

use crate::http::body::Body;

/// Keeps a request's body for another attempt.
///
/// [`CloneBody`] does it for bodies that can be cloned; a function from `&B` to `Option<B>`
/// does it for others ([`RetryLayer::copy_bodies`](super::RetryLayer::copy_bodies)). Sealed: there
/// is nothing else to implement it for.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not know how to send a body `{B}` again",
    note = "`RetryLayer::copy_bodies` takes a function that does"
)]
pub trait CopyBody<B>: sealed::Sealed<B> {
    /// The same body once more, or `None` if it can be sent only once.
    fn copy(&self, body: &B) -> Option<B>;
}

/// Clones what can be cloned and knows its length, and keeps of a [`Body`] what can be sent again.
#[derive(Clone, Copy, Debug, Default)]
pub struct CloneBody(());

// A `Body` is never `Clone`, so that it has an implementation of its own.
impl<B: http_body::Body + Clone> CopyBody<B> for CloneBody {
    fn copy(&self, body: &B) -> Option<B> {
        // Clones of a stream may share what they read from. Such a stream knows no length.
        body.size_hint().exact().map(|_| body.clone())
    }
}

impl CopyBody<Body> for CloneBody {
    fn copy(&self, body: &Body) -> Option<Body> {
        body.try_clone()
    }
}

impl<F, B> CopyBody<B> for F
where
    F: Fn(&B) -> Option<B>,
{
    fn copy(&self, body: &B) -> Option<B> {
        self(body)
    }
}

mod sealed {
    /// What [`CopyBody`](super::CopyBody) is implemented for.
    #[expect(unnameable_types, reason = "that is what seals it")]
    pub trait Sealed<B> {}

    impl<B: http_body::Body + Clone> Sealed<B> for super::CloneBody {}

    impl Sealed<super::Body> for super::CloneBody {}

    impl<F: Fn(&B) -> Option<B>, B> Sealed<B> for F {}
}
