//! Content that can be read again, as a body of any length; hashed off the async threads.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use acr_core::{Error, Result, http::Body};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::{
    source::unreadable,
    upload::{
        ledger::Ledger,
        replay::{PIECE, Replay},
    },
};

/// A body that reads and hashes one piece ahead of the connection.
pub(crate) fn stream(replay: Replay, from: u64, to: u64, ledger: Ledger) -> Body {
    Body::stream(Streamed { replay, ledger, at: from, to, next: None })
}

struct Streamed {
    replay: Replay,
    ledger: Ledger,
    /// Where the next piece starts that the connection is given.
    at: u64,
    to: u64,
    next: Option<JoinHandle<Result<Bytes>>>,
}

impl Streamed {
    /// Reads and hashes a piece on a thread that may block.
    fn load(&self, from: u64) -> JoinHandle<Result<Bytes>> {
        let (replay, ledger) = (self.replay.clone(), self.ledger.clone());
        let to = self.to.min(from.saturating_add(PIECE));
        spawn_blocking(move || {
            let piece = replay.read_now(from, to)?;
            ledger.hash_now(from, &piece)?;
            // Before the last piece leaves, so that nothing is stored of what changed.
            if to == replay.len() {
                replay.check_now()?;
            }
            Ok(piece)
        })
    }
}

impl http_body::Body for Streamed {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        let this = &mut *self;
        if this.at >= this.to {
            return Poll::Ready(None);
        }
        let mut load = match this.next.take() {
            Some(load) => load,
            None => this.load(this.at),
        };
        let Poll::Ready(loaded) = Pin::new(&mut load).poll(cx) else {
            this.next = Some(load);
            return Poll::Pending;
        };
        let piece = loaded.map_err(unreadable).and_then(|piece| piece);
        let piece = match piece.and_then(|piece| this.ledger.check().map(|()| piece)) {
            Ok(piece) => piece,
            Err(error) => {
                this.to = this.at;
                return Poll::Ready(Some(Err(this.ledger.breaks(error))));
            }
        };
        this.ledger.note_sent(this.at);
        this.at = this.at.saturating_add(piece.len() as u64);
        if this.at < this.to {
            this.next = Some(this.load(this.at));
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.at >= self.to
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.to.saturating_sub(self.at))
    }
}
