//! Sends content, a part of it or its end, and reads what a refusal means.

use std::{
    future::{Future as _, poll_fn},
    pin::pin,
};

use acr_core::{Digest, Result};
use tokio::time::Instant;

use super::Transfer;
use crate::{
    progress::Phase,
    upload::{
        ledger::unexpected,
        one_body::too_early,
        outcome::{Event, Failure},
        wire::{self, Refusal},
    },
};

impl Transfer {
    pub(super) async fn append(&mut self, from: u64, to: u64) -> Result<Event> {
        let body = self.feed.body(from, to, self.machine.chunk()).await?;
        let Some(wire) = &mut self.wire else {
            return Err(wire::lost(self.error.take()));
        };
        let ledger = self.feed.ledger().clone();
        let sent = {
            // The next chunk is read while this one is sent.
            let mut send = pin!(wire.append(from, to, body));
            let mut prefetch = pin!(self.feed.prefetch());
            let mut is_ahead = false;
            let both = pin!(poll_fn(|cx| {
                is_ahead = is_ahead || prefetch.as_mut().poll(cx).is_ready();
                send.as_mut().poll(cx)
            }));
            ledger.telling(both).await
        };
        match sent {
            Ok(received) => match self.feed.passed() {
                Some(passed) if passed < to => {
                    let error = too_early(passed, to);
                    self.refused(Refusal { failure: Failure::Doubtful, error }).await
                }
                _ => {
                    self.error = None;
                    Ok(Event::Accepted(received))
                }
            },
            Err(refusal) => self.refused(refusal).await,
        }
    }

    pub(super) async fn commit(&mut self, from: u64, is_first: bool) -> Result<Event> {
        let to = self.machine.available();
        let limit = self.machine.chunk();
        if to.saturating_sub(from) <= limit && self.take_back() {
            // Its digest has to be known before.
            let (end, ended) = self.feed.read(to.saturating_sub(self.machine.available())).await?;
            self.machine.extend(end, ended);
        }
        let body = self.feed.body(from, to, limit).await?;
        let digest = match &self.expected {
            Some(expected) if to.saturating_sub(from) > limit => {
                self.feed.ledger().expect(expected.clone(), to);
                expected.clone()
            }
            _ => self.whole_digest(to).await?,
        };
        self.digest = Some(digest.clone());
        self.tell(Phase::Committing);
        let Some(wire) = &mut self.wire else {
            return Err(wire::lost(self.error.take()));
        };
        let start = Instant::now();
        let mut commit = Box::pin(wire.commit((from, to), is_first, body, &digest));
        let stored = self.feed.ledger().telling(commit.as_mut()).await;
        drop(commit);
        match stored {
            Ok(named) => {
                self.wire = None;
                self.error = None;
                Ok(Event::Stored { named })
            }
            Err(refusal) => {
                let (took, was_timeout) = self.waited;
                let is_timeout = wire::is_timeout(&refusal.error);
                self.waited = (took.max(start.elapsed()), was_timeout || is_timeout);
                self.refused(refusal).await
            }
        }
    }

    async fn whole_digest(&mut self, to: u64) -> Result<Digest> {
        self.feed.hash_up_to(to).await?;
        self.feed.check_unchanged(self.expected.is_some()).await?;
        let computed = self.feed.digest();
        match &self.expected {
            Some(expected) if *expected != computed => Err(unexpected(expected, &computed)),
            _ => Ok(computed),
        }
    }

    /// Goes on in chunks with what passes as one body; whether it did.
    fn take_back(&mut self) -> bool {
        let left = self.feed.take_back();
        if let Some((start, end, ended)) = left {
            self.machine.take_back((start, end), ended);
        }
        left.is_some()
    }

    async fn refused(&mut self, refusal: Refusal) -> Result<Event> {
        if let Some(error) = self.feed.ledger().take_broken() {
            return Err(error);
        }
        self.take_back();
        if refusal.failure == Failure::Mismatch {
            // What was hashed and what was sent may have been read at different times.
            self.feed.check_unchanged(true).await?;
        }
        let Refusal { failure, error } = refusal;
        self.error = Some(error);
        Ok(Event::Failed(failure))
    }
}
