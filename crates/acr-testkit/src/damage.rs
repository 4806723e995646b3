//! Answer bodies that are spoilt on their way.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use acr_core::{Body, Error};
use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};

use crate::{
    answer::{Answer, set},
    fault::Effect,
};

/// A body with flipped bytes, or one that breaks off.
struct Damaged {
    inner: Body,
    at: u64,
    corrupt: Vec<u64>,
    truncate: Option<u64>,
    paused: bool,
}

/// Applies the faults that change a finished answer.
pub(crate) fn apply(mut answer: Answer, effects: &[Effect]) -> Answer {
    let (mut corrupt, mut truncate) = (Vec::new(), None);
    for effect in effects {
        match effect {
            Effect::Corrupt { at } => corrupt.push(*at),
            Effect::Truncate { after } => truncate = Some(*after),
            Effect::SetHeader { name, value } => {
                if let Ok(name) = name.parse() {
                    set(&mut answer, name, value);
                }
            }
            Effect::RemoveHeader { name } => {
                answer.headers_mut().remove(name.as_str());
            }
            _ => {}
        }
    }
    if corrupt.is_empty() && truncate.is_none() {
        return answer;
    }
    answer.map(|inner| Body::stream(Damaged { inner, at: 0, corrupt, truncate, paused: false }))
}

/// The error of a connection that a fault broke.
pub(crate) fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "the fake registry broke the connection")
}

impl Damaged {
    fn spoil(&mut self, mut piece: Bytes) -> Bytes {
        let len = piece.len() as u64;
        if let Some(end) = self.truncate {
            let left = usize::try_from(end.saturating_sub(self.at)).unwrap_or(usize::MAX);
            piece.truncate(left);
        }
        let start = self.at;
        self.at = self.at.saturating_add(len);
        let hits =
            self.corrupt.iter().filter_map(|at| usize::try_from(at.checked_sub(start)?).ok());
        let hits: Vec<usize> = hits.filter(|index| *index < piece.len()).collect();
        if hits.is_empty() {
            return piece;
        }
        let mut bytes = BytesMut::from(piece);
        for index in hits {
            if let Some(byte) = bytes.get_mut(index) {
                *byte = !*byte;
            }
        }
        bytes.freeze()
    }
}

impl http_body::Body for Damaged {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.truncate.is_some_and(|end| self.at >= end) {
            // One turn for the server to send what it has before the connection goes.
            if !self.paused {
                self.paused = true;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let error =
                Error::new(acr_core::ErrorKind::Transport, "the connection broke in the body");
            return Poll::Ready(Some(Err(error.with_source(broken()))));
        }
        let Some(frame) = ready!(Pin::new(&mut self.inner).poll_frame(cx)?) else {
            return Poll::Ready(None);
        };
        let frame = frame.map_data(|piece| self.spoil(piece));
        Poll::Ready(Some(Ok(frame)))
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    fn damaged(effects: &[Effect]) -> Body {
        apply(Answer::new(Body::from("hello world")), effects).into_body()
    }

    #[tokio::test]
    async fn flips_exactly_one_byte() {
        let bytes = damaged(&[Effect::Corrupt { at: 4 }]).bytes(100).await.unwrap();
        assert_eq!(bytes[..4], *b"hell");
        assert_eq!(bytes[4], !b'o');
        assert_eq!(bytes[5..], *b" world");
        let far = damaged(&[Effect::Corrupt { at: 400 }]).bytes(100).await.unwrap();
        assert_eq!(far, "hello world");
    }

    #[tokio::test]
    async fn breaks_off_after_the_bytes_told() {
        for after in [0u64, 5, 11] {
            let mut body = damaged(&[Effect::Truncate { after }]);
            let mut seen = 0;
            let error = loop {
                match body.frame().await.unwrap() {
                    Ok(frame) => seen += frame.into_data().unwrap().len() as u64,
                    Err(error) => break error,
                }
            };
            assert_eq!(seen, after);
            assert_eq!(error.kind(), acr_core::ErrorKind::Transport);
        }
    }
}
