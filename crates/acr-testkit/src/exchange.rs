//! A request on its way through a handler.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use acr_core::http::Body;
use bytes::Bytes;
use http::{HeaderName, StatusCode, header, request::Parts};
use http_body::{Frame, SizeHint};

use crate::{
    access,
    answer::{Failure, text},
    credential::bearer,
    fault::Effect,
    form::Form,
    route::Route,
    shared::Shared,
    site::Site,
    token::{self, TokenKind},
};

/// What a handler knows of the request, and may read of its body.
pub(crate) struct Exchange<'a> {
    pub(crate) shared: &'a Arc<Shared>,
    pub(crate) site: &'a Site,
    /// Host and port as the client named them.
    pub(crate) authority: &'a str,
    pub(crate) head: &'a Parts,
    pub(crate) query: &'a Form,
    pub(crate) route: &'a Route,
    pub(crate) body: &'a mut Body,
    /// The faults that strike this request.
    pub(crate) effects: &'a [Effect],
    /// Its number in the journal.
    pub(crate) number: u64,
}

/// A request body that counts what arrives.
pub(crate) struct Counted {
    pub(crate) inner: Body,
    pub(crate) received: Arc<AtomicU64>,
}

impl Exchange<'_> {
    /// Whether the token of an admitted request also covers this.
    pub(crate) fn may(&self, grant: Option<&access::Grant>) -> bool {
        let credential = self.head.headers.get(header::AUTHORIZATION);
        let Some(credential) = credential.and_then(|value| value.to_str().ok()) else {
            return false;
        };
        let Some(token) = bearer(credential) else {
            return true; // Basic, which has all rights, was checked before.
        };
        let claims = token::verify(&self.shared.key, TokenKind::Access, token, self.shared.now());
        claims
            .is_some_and(|claims| grant.is_none_or(|grant| access::covers(claims.grants(), grant)))
    }

    /// Reads a small body; the answer for one that is too large is a plain 413.
    pub(crate) async fn small_body(&mut self, limit: usize) -> Result<Bytes, Failure> {
        let body = std::mem::take(self.body);
        body.bytes(limit).await.map_err(|error| match error.kind() {
            acr_core::ErrorKind::TooLarge => {
                let status = StatusCode::PAYLOAD_TOO_LARGE;
                text(status, "text/plain; charset=utf-8", "request entity too large\n").into()
            }
            _ => Failure::Broken(io::Error::other(error)),
        })
    }

    /// Puts into the journal why the request is refused, where the answer does not tell.
    pub(crate) fn tell(&self, reason: &str) {
        let reason = reason.escape_debug().to_string();
        self.shared.journal.update(self.number, |entry| entry.reason = Some(reason));
    }

    /// A header's text.
    pub(crate) fn header(&self, name: HeaderName) -> Option<&str> {
        self.head.headers.get(name)?.to_str().ok()
    }
}

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = acr_core::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<acr_core::Result<Frame<Bytes>>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            let len = frame.data_ref().map_or(0, |data| data.len() as u64);
            self.received.fetch_add(len, Ordering::Relaxed);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
