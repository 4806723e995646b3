//! Answers that are spoilt on their way.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use acr_core::{Error, http::Body};
use bytes::{Bytes, BytesMut};
use http::{HeaderName, HeaderValue, header};
use http_body::{Frame, SizeHint};
use tokio::time::Sleep;

use crate::{
    answer::{Answer, set},
    fault::{Effect, JsonKind},
};

/// A body with flipped bytes, or one that breaks off, stands still or drips.
#[derive(Default)]
struct Damaged {
    inner: Body,
    at: u64,
    corrupt: Vec<u64>,
    /// Where it breaks off.
    truncate: Option<u64>,
    /// Where it stands still.
    stall: Option<u64>,
    /// Bytes a second.
    rate: Option<u64>,
    /// What came from the inner body and has not gone out yet.
    held: Bytes,
    pause: Option<Pin<Box<Sleep>>>,
    yielded: bool,
}

/// Applies the faults that change a finished answer.
pub(crate) fn apply(mut answer: Answer, effects: &[Effect]) -> Answer {
    let mut damaged = Damaged::default();
    let mut is_damaged = false;
    for effect in effects {
        is_damaged |= damaged.take(effect);
        match effect {
            Effect::Json(kind) => answer = replace_json(answer, *kind),
            Effect::SetHeader { name, value } => {
                if let Ok(name) = name.parse() {
                    set(&mut answer, name, value);
                }
            }
            Effect::AddHeader { name, value } => {
                if let (Ok(name), Ok(value)) =
                    (name.parse::<HeaderName>(), HeaderValue::from_str(value))
                {
                    answer.headers_mut().append(name, value);
                }
            }
            Effect::RemoveHeader { name } => {
                answer.headers_mut().remove(name.as_str());
            }
            Effect::HeaderFlood { count } => {
                let value = HeaderValue::from_static("flood");
                for number in 0..(*count).min(MAX_HEADERS) {
                    if let Ok(name) = format!("x-flood-{number}").parse::<HeaderName>() {
                        answer.headers_mut().insert(name, value.clone());
                    }
                }
            }
            _ => {}
        }
    }
    if !is_damaged {
        return answer;
    }
    answer.map(|inner| Body::stream(Damaged { inner, ..damaged }))
}

/// What those faults do in process that need the bytes of a connection.
pub(crate) fn apply_without_wire(mut answer: Answer, effects: &[Effect]) -> Answer {
    for effect in effects {
        let truncate = match effect {
            Effect::Cut { at, .. } => Some(*at),
            Effect::GarbageChunk { after } => Some(*after),
            Effect::Length { by } if *by != 0 => Some(0),
            _ => None,
        };
        if truncate.is_some() {
            let damaged = Damaged { truncate, ..Damaged::default() };
            answer = answer.map(|inner| Body::stream(Damaged { inner, ..damaged }));
        }
    }
    answer
}

/// The error of a connection that a fault broke.
pub(crate) fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "the fake registry broke the connection")
}

/// Keeps status and headers, and puts other bytes in the body.
fn replace_json(answer: Answer, kind: JsonKind) -> Answer {
    let body: Bytes = match kind {
        JsonKind::Truncated => r#"{"registry":"fakeregistry.azurecr.io","imageNa"#.into(),
        JsonKind::Deep => "[".repeat(DEPTH).into(),
        JsonKind::DuplicateKeys => {
            let keys = ["access_token", "refresh_token", "name", "registry", "tags", "manifests"];
            let pairs = keys.map(|key| format!(r#""{key}":"a","{key}":["b"]"#));
            format!("{{{}}}\n", pairs.join(",")).into()
        }
        JsonKind::Html => "<html><body>Service Unavailable</body></html>".into(),
        JsonKind::Empty => Bytes::new(),
        JsonKind::Null => "null\n".into(),
        JsonKind::Array => "[1,2,3]\n".into(),
        JsonKind::NotUtf8 => Bytes::from_static(b"{\"name\":\"\xff\xfe\"}\n"),
        JsonKind::NoErrors => "{\"errors\":[]}\n".into(),
        JsonKind::ExtraKeys => {
            let mut answer = answer.map(|inner| Body::stream(ExtraKeys { inner, is_first: true }));
            answer.headers_mut().remove(header::CONTENT_LENGTH);
            return answer;
        }
    };
    let mut answer = answer.map(|_| Body::empty());
    if answer.headers().contains_key(header::CONTENT_LENGTH) {
        answer.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    }
    *answer.body_mut() = Body::from(body);
    answer
}

impl Damaged {
    /// Notes what an effect does to the body; whether it does anything.
    fn take(&mut self, effect: &Effect) -> bool {
        match effect {
            Effect::Corrupt { at } => self.corrupt.push(*at),
            Effect::Truncate { after } => self.truncate = Some(*after),
            Effect::StallBody { after } => self.stall = Some(*after),
            Effect::Trickle { rate } => self.rate = Some((*rate).max(1)),
            _ => return false,
        }
        true
    }

    /// How many bytes may go out next.
    fn portion(&self) -> usize {
        let end = [self.truncate, self.stall].into_iter().flatten().min();
        let left = end.map_or(u64::MAX, |end| end.saturating_sub(self.at));
        // Ten portions a second, or one byte each time.
        let portion = self.rate.map_or(u64::MAX, |rate| rate.div_ceil(10));
        usize::try_from(left.min(portion)).unwrap_or(usize::MAX)
    }

    fn next(&mut self) -> Bytes {
        let portion = self.portion().min(self.held.len());
        let piece = self.held.split_to(portion);
        let start = self.at;
        self.at = self.at.saturating_add(piece.len() as u64);
        if let Some(rate) = self.rate {
            let time = Duration::from_secs_f64(piece.len() as f64 / rate as f64);
            self.pause = Some(Box::pin(tokio::time::sleep(time)));
        }
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
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        if self.truncate.is_some_and(|end| self.at >= end) {
            // One turn for the server to send what it has before the connection goes.
            if !self.yielded {
                self.yielded = true;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let error =
                Error::new(acr_core::ErrorKind::Transport, "the connection broke in the body");
            return Poll::Ready(Some(Err(error.with_source(broken()))));
        }
        if self.stall.is_some_and(|end| self.at >= end) {
            return Poll::Pending; // For ever: nothing wakes it.
        }
        while self.held.is_empty() {
            let Some(frame) = ready!(Pin::new(&mut self.inner).poll_frame(cx)?) else {
                return Poll::Ready(None);
            };
            match frame.into_data() {
                Ok(piece) => self.held = piece,
                Err(frame) => return Poll::Ready(Some(Ok(frame))),
            }
        }
        Poll::Ready(Some(Ok(Frame::data(self.next()))))
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A JSON object with one more key in front.
struct ExtraKeys {
    inner: Body,
    is_first: bool,
}

impl http_body::Body for ExtraKeys {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let Some(frame) = ready!(Pin::new(&mut self.inner).poll_frame(cx)?) else {
            return Poll::Ready(None);
        };
        if !std::mem::take(&mut self.is_first) {
            return Poll::Ready(Some(Ok(frame)));
        }
        let frame = frame.map_data(|piece| match piece.strip_prefix(b"{") {
            None => piece,
            Some(rest) if rest.starts_with(b"}") => {
                [&b"{\"x-extra\":[{}]"[..], rest].concat().into()
            }
            Some(rest) => [&b"{\"x-extra\":[{}],"[..], rest].concat().into(),
        });
        Poll::Ready(Some(Ok(frame)))
    }
}

/// Deep enough to exhaust the stack of a parser that recurses.
const DEPTH: usize = 10_000;

/// More than any client takes, and less than a map of headers holds.
const MAX_HEADERS: u32 = 20_000;

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

    #[tokio::test(start_paused = true)]
    async fn drips_at_its_rate_and_stands_still() {
        let start = tokio::time::Instant::now();
        let bytes = damaged(&[Effect::Trickle { rate: 2 }]).bytes(100).await.unwrap();
        assert_eq!(bytes, "hello world");
        let seconds = start.elapsed().as_secs_f64();
        assert!((5.0..=5.6).contains(&seconds), "11 bytes at 2 a second took {seconds}");
        let body = damaged(&[Effect::StallBody { after: 5 }]);
        let error = body.bytes(100).await.unwrap_err();
        assert_eq!(error.kind(), acr_core::ErrorKind::Timeout);
        assert!(error.to_string().contains(" 5 bytes"), "{error}");
    }

    #[tokio::test]
    async fn json_is_replaced_and_its_length_with_it() {
        for kind in JsonKind::ALL.iter().copied() {
            let mut answer = Answer::new(Body::from("{\"a\":1}\n"));
            answer.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(8));
            let answer = apply(answer, &[Effect::Json(kind)]);
            let length = answer.headers().get(header::CONTENT_LENGTH).cloned();
            let body = answer.into_body().bytes(100_000).await.unwrap();
            match kind {
                JsonKind::ExtraKeys => assert_eq!(body, "{\"x-extra\":[{}],\"a\":1}\n"),
                _ => assert_eq!(length.unwrap(), body.len().to_string().as_str(), "{kind:?}"),
            }
            assert_ne!(body, "{\"a\":1}\n");
        }
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
