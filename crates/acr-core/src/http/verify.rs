//! A stream that ends well only if its content has the expected digest.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_core::Stream;

use crate::{
    http::{
        error::{Error, ErrorKind, Result},
        told::Told,
    },
    value::digest::{Digest, Digester},
};

/// Checks digest and length of a stream while it passes.
///
/// The last piece is held back until both match, so code that ignores the final
/// error still never sees the whole content. After the end the stream stays ended; after
/// an error it gives that error again, for an end would say that all matched; up to 16
/// times, so that code that leaves errors out comes to an end. For Go's `DigestValidationReader`, over any stream.
///
/// ```
/// use acr_core::{Digest, http::Verified};
/// use futures_util::{StreamExt, stream};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let pieces = stream::iter([Ok("hello ".into()), Ok("world".into())]);
/// let mut verified = Verified::new(pieces, Digest::sha256(b"something else"));
/// assert_eq!(verified.next().await.unwrap().unwrap(), "hello ");
/// assert!(verified.next().await.unwrap().is_err()); // instead of the last piece
/// # });
/// ```
#[derive(Debug)]
pub struct Verified<S> {
    inner: S,
    expected: Digest,
    expected_len: Option<u64>,
    digester: Digester,
    held: Option<Bytes>,
    done: bool,
    failed: Option<Arc<Error>>,
    told: Told,
}

impl<S> Verified<S> {
    /// Checks a stream against a digest.
    pub fn new(inner: S, expected: Digest) -> Self {
        let digester = expected.digester();
        Self {
            inner,
            expected,
            expected_len: None,
            digester,
            held: None,
            done: false,
            failed: None,
            told: Told::default(),
        }
    }

    /// Checks the length in bytes as well; a longer stream fails as soon as it is too long.
    ///
    /// ```
    /// use acr_core::{Digest, http::Verified};
    /// use futures_util::{StreamExt, stream};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let pieces = stream::iter([Ok("hello world".into())]);
    /// let mut verified = Verified::new(pieces, Digest::sha256(b"hello world")).expect_len(5);
    /// assert!(verified.next().await.unwrap().is_err()); // longer than was announced
    /// # });
    /// ```
    #[must_use]
    pub fn expect_len(mut self, len: u64) -> Self {
        self.expected_len = Some(len);
        self
    }

    /// How many bytes were read and hashed so far.
    ///
    /// ```
    /// use acr_core::{Digest, http::Verified};
    /// use futures_util::{StreamExt, stream};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let pieces = stream::iter([Ok("hello ".into()), Ok("world".into())]);
    /// let mut verified = Verified::new(pieces, Digest::sha256(b"hello world"));
    /// while verified.next().await.is_some() {}
    /// assert_eq!((verified.hashed(), verified.is_verified()), (11, true));
    /// # });
    /// ```
    pub fn hashed(&self) -> u64 {
        self.digester.len()
    }

    /// Whether the content was read to its end and matched.
    ///
    /// ```
    /// use acr_core::{Digest, http::Verified};
    /// use bytes::Bytes;
    /// use futures_util::stream;
    ///
    /// let pieces = stream::iter([Ok::<_, acr_core::Error>(Bytes::from("hello world"))]);
    /// assert!(!Verified::new(pieces, Digest::sha256(b"hello world")).is_verified()); // not read yet
    /// ```
    pub fn is_verified(&self) -> bool {
        self.done
    }

    fn take_in(&mut self, piece: &Bytes) -> Result<()> {
        self.digester.update(piece);
        match self.expected_len {
            Some(len) if self.digester.len() > len => Err(mismatch(format!(
                "the content of `{}` is longer than the {len} bytes announced",
                self.expected
            ))),
            _ => Ok(()),
        }
    }

    fn conclude(&mut self) -> Result<()> {
        let read = self.digester.len();
        if let Some(len) = self.expected_len.filter(|len| *len != read) {
            let text =
                format!("the content of `{}` ended after {read} of {len} bytes", self.expected);
            return Err(mismatch(text));
        }
        let computed = self.digester.clone().finish();
        if computed == self.expected {
            Ok(())
        } else {
            Err(mismatch(format!(
                "asked for `{}`, received content with `{computed}`",
                self.expected
            )))
        }
    }
}

impl<S: Stream<Item = Result<Bytes>> + Unpin> Stream for Verified<S> {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(error) = &self.failed {
                let error = Error::shared(error);
                return Poll::Ready(self.told.tell(error));
            }
            if self.done {
                return Poll::Ready(None);
            }
            let outcome = match ready!(Pin::new(&mut self.inner).poll_next(cx)) {
                Some(Ok(piece)) if piece.is_empty() => continue,
                Some(Ok(piece)) => self.take_in(&piece).map(|()| self.held.replace(piece)),
                Some(Err(error)) => Err(error),
                None => self.conclude().map(|()| {
                    self.done = true;
                    self.held.take()
                }),
            };
            match outcome {
                Ok(Some(piece)) => return Poll::Ready(Some(Ok(piece))),
                Ok(None) => {}
                Err(error) => {
                    self.held = None;
                    self.failed = Some(Arc::new(error));
                }
            }
        }
    }
}

fn mismatch(text: String) -> Error {
    Error::new(ErrorKind::Integrity, text)
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt as _, StreamExt as _, stream};
    use proptest::prelude::*;

    use super::*;

    fn run(
        pieces: Vec<Vec<u8>>,
        expected: &[u8],
        len: Option<u64>,
    ) -> (Vec<u8>, Option<ErrorKind>) {
        let inner = stream::iter(pieces.into_iter().map(|p| Ok(Bytes::from(p))));
        let mut verified = Verified::new(inner, Digest::sha256(expected));
        verified.expected_len = len;
        let (mut seen, mut kind) = (Vec::new(), None);
        while let Some(item) = verified.next().now_or_never().unwrap() {
            match item {
                Ok(piece) => seen.extend_from_slice(&piece),
                // The same once more: a failure never turns into an end.
                Err(error) if kind.is_some() => {
                    assert_eq!(Some(error.kind()), kind);
                    break;
                }
                Err(error) => kind = Some(error.kind()),
            }
        }
        assert_eq!(verified.is_verified(), kind.is_none());
        (seen, kind)
    }

    #[test]
    fn empty_content_is_content() {
        assert_eq!(run(vec![], b"", Some(0)), (vec![], None));
        assert_eq!(run(vec![vec![]], b"", None), (vec![], None));
        assert_eq!(run(vec![], b"x", None).1, Some(ErrorKind::Integrity));
    }

    proptest! {
        #[test]
        fn right_content_passes_whole(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..9), 0..9)) {
            let whole = pieces.concat();
            let (seen, kind) = run(pieces, &whole, Some(whole.len() as u64));
            prop_assert_eq!(seen, whole);
            prop_assert_eq!(kind, None);
        }

        #[test]
        fn wrong_content_is_a_strict_prefix_and_an_error(
            pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..9), 1..9),
            at in any::<prop::sample::Index>(),
            announce in any::<bool>(),
            how in 0u8..3,
        ) {
            let whole = pieces.concat();
            let mut wrong = whole.clone();
            let at = at.index(whole.len());
            match how {
                0 => wrong[at] ^= 1,
                1 => wrong.truncate(at),
                _ => wrong.push(0),
            }
            let len = announce.then_some(whole.len() as u64);
            let (seen, kind) = run(wrong.chunks(3).map(<[u8]>::to_vec).collect(), &whole, len);
            prop_assert_eq!(kind, Some(ErrorKind::Integrity));
            prop_assert!(seen.len() < wrong.len().max(1) && wrong.starts_with(&seen));
        }
    }
}
