//! A stream that must have as many bytes as were announced.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use acr_core::{Error, ErrorKind, http::BoxError};
use bytes::Bytes;
use futures_core::Stream;

use crate::source::Pieces;

/// Gives the last piece only once it is known to be the last. After an error it goes on failing,
/// so that nobody takes what passed for the whole.
pub(crate) struct Measured {
    inner: Pieces,
    len: u64,
    seen: u64,
    /// A piece that ends where the content must end.
    last: Option<Bytes>,
    is_over: bool,
    is_broken: bool,
}

impl Measured {
    pub(crate) fn new(inner: Pieces, len: u64) -> Self {
        Self { inner, len, seen: 0, last: None, is_over: false, is_broken: false }
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BoxError>>> {
        let (seen, len) = (self.seen, self.len);
        let wrong = |what: String| {
            let text = format!("the content {what}, and {len} bytes were announced");
            Poll::Ready(Some(Err(Error::new(ErrorKind::Source, text).into())))
        };
        while !self.is_over {
            match ready!(self.inner.as_mut().poll_next(cx)).transpose()? {
                Some(piece) if piece.is_empty() => {}
                Some(_) if seen == len => return wrong("has more".to_owned()),
                Some(piece) => {
                    let end = seen.saturating_add(piece.len() as u64);
                    if end > len {
                        return wrong("has more".to_owned());
                    }
                    self.seen = end;
                    if end < len {
                        return Poll::Ready(Some(Ok(piece)));
                    }
                    self.last = Some(piece);
                    return self.poll_piece(cx);
                }
                None if seen < len => return wrong(format!("ended after {seen}")),
                None => self.is_over = true,
            }
        }
        Poll::Ready(self.last.take().map(Ok))
    }
}

impl Stream for Measured {
    type Item = Result<Bytes, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_broken {
            let error = Error::new(ErrorKind::Source, "the content broke off before");
            return Poll::Ready(Some(Err(error.into())));
        }
        let piece = ready!(self.poll_piece(cx));
        self.is_broken = matches!(piece, Some(Err(_)));
        Poll::Ready(piece)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt as _, stream};
    use proptest::prelude::*;

    use super::*;

    fn run(pieces: Vec<Vec<u8>>, len: u64) -> Vec<Result<Bytes, BoxError>> {
        let pieces = stream::iter(pieces.into_iter().map(|piece| Ok(piece.into())));
        let measured = Measured::new(Box::pin(pieces), len);
        futures_util::FutureExt::now_or_never(measured.take(50).collect()).unwrap()
    }

    proptest! {
        #[test]
        fn all_comes_out_if_and_only_if_the_length_is_right(
            pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..9), 0..9),
            off in -3i64..=3,
        ) {
            let whole = pieces.concat();
            let len = (whole.len() as u64).saturating_add_signed(off);
            let out = run(pieces, len);
            let given: Vec<u8> = out.iter().flatten().flatten().copied().collect();
            if len == whole.len() as u64 {
                prop_assert_eq!(given, whole);
                prop_assert!(out.iter().all(Result::is_ok));
            } else {
                // Never as much as was announced; and the error stays.
                prop_assert!((given.len() as u64) < len || len == 0);
                prop_assert!(whole.starts_with(&given));
                prop_assert_eq!(out.len(), 50);
                let kind = |error: &BoxError| error.downcast_ref::<Error>().map(Error::kind);
                let last = out.last().unwrap().as_ref().unwrap_err();
                prop_assert_eq!(kind(last), Some(ErrorKind::Source));
            }
        }
    }
}
