//! What is known of the content that passed: shared by the driver and the body under way.

use std::{future::poll_fn, pin::Pin, task::Waker};

use acr_core::{Digest, Digester, Error, ErrorKind, Result};
use bytes::Bytes;
use tokio::task::spawn_blocking;

use crate::{
    pace::LARGE,
    progress::Observer,
    upload::{
        ordered::{Gap, Ordered},
        sync::{Arc, Mutex, lock},
    },
};

/// The hash of the content, and what becomes of a body that runs by itself.
#[derive(Clone)]
pub(crate) struct Ledger {
    hashed: Ordered,
    notes: Arc<Mutex<Notes>>,
}

#[derive(Default)]
struct Notes {
    /// What the content must have in the end, and how long it is then.
    expected: Option<(Digest, u64)>,
    broken: Option<Error>,
    observer: Observer,
    total: Option<u64>,
    /// What a body noted and the driver did not tell yet.
    sent: Option<u64>,
    /// Who tells it.
    driver: Option<Waker>,
}

impl Ledger {
    pub(crate) fn new(digester: Digester) -> Self {
        Self { hashed: Ordered::new(digester), notes: Arc::default() }
    }

    /// A new one that goes on from a hash. A body under way keeps the old one.
    pub(crate) fn anew(&self, digester: Digester) -> Self {
        let (observer, total) = {
            let notes = lock(&self.notes);
            (notes.observer.clone(), notes.total)
        };
        let ledger = Self::new(digester);
        ledger.observe(observer, total);
        ledger
    }

    pub(crate) fn observe(&self, observer: Observer, total: Option<u64>) {
        let mut notes = lock(&self.notes);
        (notes.observer, notes.total) = (observer, total);
    }

    /// Lets a body break off before its last piece unless the content has this digest.
    pub(crate) fn expect(&self, digest: Digest, len: u64) {
        lock(&self.notes).expected = Some((digest, len));
    }

    /// Compares the first bytes with what was hashed before.
    pub(crate) fn prove(&self, saved: &Digester) {
        self.hashed.prove(saved);
    }

    pub(crate) fn is_proven(&self) -> Option<bool> {
        self.hashed.is_proven()
    }

    /// How many bytes were given to be hashed.
    pub(crate) fn len(&self) -> u64 {
        self.hashed.given()
    }

    /// The hash of all of them.
    pub(crate) fn digester(&self) -> Digester {
        self.hashed.digester()
    }

    /// Why a body broke off, if it was the content's fault.
    pub(crate) fn take_broken(&self) -> Option<Error> {
        lock(&self.notes).broken.take()
    }

    /// Gives a piece to be hashed, as far as it was not given before.
    pub(crate) fn give(&self, at: u64, piece: &Bytes) -> Result<usize> {
        self.hashed.push(at, piece).map_err(|Gap { at, given }| {
            let text = format!("the content was given up to byte {given}, and then from {at} on");
            Error::new(ErrorKind::Integrity, text)
        })
    }

    /// Hashes what waits, of which there are so many bytes. Safe to drop: what is left waits
    /// on, in its order.
    pub(crate) async fn settle(&self, waiting: usize) {
        if waiting < LARGE {
            return self.hashed.drain();
        }
        let hashed = self.hashed.clone();
        // It fails only when the runtime ends, and this future with it.
        let _ = spawn_blocking(move || hashed.drain()).await;
    }

    /// Gives a piece and hashes it, on this thread.
    pub(crate) fn hash_now(&self, at: u64, piece: &Bytes) -> Result<()> {
        self.give(at, piece)?;
        self.hashed.drain();
        Ok(())
    }

    /// Gives a piece and hashes it.
    pub(crate) async fn hash(&self, at: u64, piece: Bytes) -> Result<()> {
        let waiting = self.give(at, &piece)?;
        self.settle(waiting).await;
        Ok(())
    }

    pub(crate) fn check(&self) -> Result<()> {
        let Some((expected, len)) = lock(&self.notes).expected.clone() else {
            return Ok(());
        };
        if self.len() < len {
            return Ok(());
        }
        let computed = self.digester().finish();
        if computed == expected { Ok(()) } else { Err(unexpected(&expected, &computed)) }
    }

    /// Notes how far a body got. The connection may ask for it on a thread of its own, where the
    /// caller's function must not be called: a lock in it would stop all connections.
    pub(crate) fn note_sent(&self, sent: u64) {
        let mut notes = lock(&self.notes);
        if !notes.observer.is_some() {
            return;
        }
        notes.sent = Some(sent);
        let driver = notes.driver.take();
        drop(notes);
        if let Some(driver) = driver {
            driver.wake();
        }
    }

    /// Awaits a request, and tells the caller's function meanwhile what its body notes: here, where
    /// the caller polls.
    pub(crate) async fn telling<T>(&self, mut request: Pin<&mut impl Future<Output = T>>) -> T {
        poll_fn(|cx| {
            // Before the request is polled, so that no note is missed.
            lock(&self.notes).driver = Some(cx.waker().clone());
            let polled = request.as_mut().poll(cx);
            self.tell_sent();
            polled
        })
        .await
    }

    fn tell_sent(&self) {
        let mut notes = lock(&self.notes);
        if let Some(sent) = notes.sent.take() {
            let (observer, total) = (notes.observer.clone(), notes.total);
            drop(notes);
            observer.note(sent, total);
        }
    }

    /// Keeps an error for the driver, and gives one for the connection.
    pub(crate) fn breaks(&self, error: Error) -> Error {
        let text = error.to_string();
        let kind = error.kind();
        lock(&self.notes).broken = Some(error);
        Error::new(kind, text)
    }
}

/// The content does not have the digest that the caller named.
pub(crate) fn unexpected(expected: &Digest, computed: &Digest) -> Error {
    let text = format!("expected content with `{expected}`, the source has `{computed}`");
    Error::new(ErrorKind::Integrity, text)
}

#[cfg(test)]
mod tests;
