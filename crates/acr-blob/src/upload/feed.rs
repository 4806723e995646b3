//! The content of an upload as the driver needs it: readable from an offset, hashed in order.

use std::future::poll_fn;

use acr_core::{
    Digest, Digester, Error, Result,
    http::{Body, BoxError},
};
use bytes::{Bytes, BytesMut};

#[cfg(feature = "tokio-io")]
use crate::source::Read;
use crate::{
    source::{Pieces, Source, unreadable},
    stamp::Stamp,
    upload::{
        body,
        chunker::Chunker,
        ledger::Ledger,
        one_body::OneBody,
        replay::{PIECE, Replay, index},
    },
};

/// A source and what was read of it.
pub(crate) struct Feed {
    kind: Kind,
    ledger: Ledger,
}

enum Kind {
    /// Content that can be read again from any offset.
    Replay(Replay),
    /// Content that passes once, as one body.
    Whole(OneBody, usize),
    /// Content that passes once.
    Once(Box<Once>),
}

struct Once {
    source: Passing,
    chunker: Chunker,
    /// The source has ended; what it held is in the chunker or in the window.
    is_drained: bool,
    broken: Option<Error>,
    window: Vec<Bytes>,
    /// Where the window starts and ends.
    start: u64,
    end: u64,
    /// Of the whole content, where it is known.
    len: Option<u64>,
}

enum Passing {
    /// Pieces are given by the caller.
    Given,
    Stream(Pieces),
}

impl Feed {
    pub(crate) fn new(source: Source, chunk: usize, digester: Digester) -> Self {
        let ledger = Ledger::new(digester);
        let passing = match source {
            Source::Bytes(bytes) => {
                return Self { kind: Kind::Replay(Replay::Bytes(bytes)), ledger };
            }
            #[cfg(feature = "fs")]
            Source::File { file, stamp } => {
                use crate::upload::sync::{Arc, Mutex};
                let file = Arc::new(Mutex::new(file));
                let file = Replay::File { file, stamp: Arc::new(stamp) };
                return Self { kind: Kind::Replay(file), ledger };
            }
            Source::Stream(stream) => Passing::Stream(stream),
            Source::Measured { pieces, len } => {
                return Self { kind: Kind::Whole(OneBody::new(pieces, len), chunk), ledger };
            }
            #[cfg(feature = "tokio-io")]
            Source::Reader(reader) => Passing::Stream(Box::pin(Read::new(reader))),
        };
        Self { kind: Kind::Once(Box::new(Once::new(passing, chunk))), ledger }
    }

    /// A feed of pieces that the caller gives, from an offset on.
    pub(crate) fn given(start: u64, digester: Digester) -> Self {
        let once = Box::new(Once::new(Passing::Given, 1));
        let mut feed = Self { kind: Kind::Once(once), ledger: Ledger::new(digester) };
        feed.start_at(start);
        feed
    }

    /// Says that the first byte of content that passes once is the one at an offset.
    pub(crate) fn start_at(&mut self, start: u64) {
        if let Kind::Once(once) = &mut self.kind {
            (once.start, once.end) = (start, start);
        }
    }

    /// Whether the caller gives the pieces.
    pub(crate) fn is_given(&self) -> bool {
        matches!(&self.kind, Kind::Once(once) if matches!(once.source, Passing::Given))
    }

    /// The length, where it is known before the end.
    pub(crate) fn len(&self) -> Option<u64> {
        match &self.kind {
            Kind::Replay(replay) => Some(replay.len()),
            Kind::Whole(content, _) => Some(content.len()),
            Kind::Once(once) => once.len,
        }
    }

    /// Goes on in chunks with content that was to pass, or passed in part, as one body: where
    /// what is left of it begins and ends, and whether that end is the content's.
    pub(crate) fn take_back(&mut self) -> Option<(u64, u64, bool)> {
        let Kind::Whole(content, chunk) = &self.kind else {
            return None;
        };
        let left = content.take_back()?;
        let mut once = Once::new(Passing::Stream(left.rest), *chunk);
        once.is_drained = left.end == content.len() && left.end > 0;
        once.len = Some(content.len());
        (once.window, once.start, once.end) = (left.window, left.start, left.end);
        let ended = once.is_drained;
        self.kind = Kind::Once(Box::new(once));
        Some((left.start, left.end, ended))
    }

    /// How much of the content passed, where it passes as one body.
    pub(crate) fn passed(&self) -> Option<u64> {
        match &self.kind {
            Kind::Whole(content, _) => Some(content.passed()),
            _ => None,
        }
    }

    /// What the file was when it was opened, if it is one.
    pub(crate) fn stamp(&self) -> Option<&Stamp> {
        match &self.kind {
            Kind::Replay(replay) => replay.stamp(),
            Kind::Whole(..) | Kind::Once(_) => None,
        }
    }

    /// Forgets what was hashed, where all will be read again: what is hashed is what is sent.
    pub(crate) fn begin_anew(&mut self, digester: Digester) {
        if let Kind::Replay(_) = self.kind {
            self.ledger = self.ledger.anew(digester);
        }
    }

    /// Whether the content begins with what was hashed before: where it ends now, and whether
    /// that is all. Nothing below `from` is needed any more.
    pub(crate) async fn prove(
        &mut self,
        (saved, was): (&Digester, Option<&Stamp>),
        from: u64,
    ) -> Result<Option<(u64, bool)>> {
        if let Kind::Replay(replay) = &self.kind {
            let end = (replay.len(), true);
            let is_same = was.zip(replay.stamp()).is_some_and(|(was, now)| was.proves(now));
            if is_same && saved.clone().finish().algorithm() == self.digest().algorithm() {
                self.ledger = self.ledger.anew(saved.clone());
                return Ok(Some(end));
            }
            self.ledger.prove(saved);
            if replay.len() < saved.len() {
                return Ok(None);
            }
            self.hash_up_to(saved.len()).await?;
            return Ok((self.ledger.is_proven() == Some(true)).then_some(end));
        }
        self.ledger.prove(saved);
        let mut end = (0, false);
        while self.ledger.is_proven().is_none() && !end.1 {
            self.forget(from);
            end = self.read(1).await?;
        }
        Ok((self.ledger.is_proven() == Some(true)).then_some(end))
    }

    /// Takes in up to one chunk more; where the content ends now, and whether that is all.
    pub(crate) async fn read(&mut self, missing: u64) -> Result<(u64, bool)> {
        let once = match &mut self.kind {
            Kind::Replay(replay) => return Ok((replay.len(), true)),
            Kind::Whole(content, _) => return Ok((content.len(), true)),
            Kind::Once(once) => once,
        };
        once.fill().await;
        if let Some(error) = once.broken.take() {
            return Err(error);
        }
        let mut missing = missing;
        let offset = once.end;
        let mut taken = Vec::new();
        while missing > 0 {
            let chunk = match once.chunker.next_chunk() {
                Some(chunk) => Some(chunk),
                None if once.is_drained => once.chunker.drain(),
                None => None,
            };
            let Some(chunk) = chunk else { break };
            missing = missing.saturating_sub(chunk.len() as u64);
            once.end = once.end.saturating_add(chunk.len() as u64);
            once.window.push(chunk.clone());
            taken.push(chunk);
            if missing > 0 {
                once.fill().await;
            }
        }
        let (end, ended) = (once.end, once.is_drained && once.chunker.is_empty());
        let mut at = offset;
        for chunk in taken {
            let len = chunk.len() as u64;
            self.ledger.hash(at, chunk).await?;
            at = at.saturating_add(len);
        }
        Ok((end, ended))
    }

    /// Reads on while something else is under way; safe to drop.
    pub(crate) async fn prefetch(&mut self) {
        if let Kind::Once(once) = &mut self.kind {
            once.fill().await;
        }
    }

    /// Adds a piece to a feed that is given its pieces; where the content ends now, and how
    /// many bytes wait to be hashed. At once, so that nobody can be dropped in between.
    pub(crate) fn give(&mut self, piece: Bytes) -> Result<(u64, usize)> {
        let Kind::Once(once) = &mut self.kind else {
            return Ok((self.ledger.len(), 0));
        };
        let waiting = self.ledger.give(once.end, &piece)?;
        once.end = once.end.saturating_add(piece.len() as u64);
        if !piece.is_empty() {
            once.window.push(piece);
        }
        Ok((once.end, waiting))
    }

    /// Drops what lies wholly below an offset; where what is left starts.
    pub(crate) fn forget(&mut self, below: u64) -> u64 {
        let Kind::Once(once) = &mut self.kind else {
            return 0;
        };
        while let Some(first) = once.window.first() {
            let end = once.start.saturating_add(first.len() as u64);
            if end > below {
                break;
            }
            once.start = end;
            once.window.remove(0);
        }
        once.start
    }

    /// The bytes between two offsets as a body: in memory up to `limit`, else streamed.
    pub(crate) async fn body(&mut self, from: u64, to: u64, limit: u64) -> Result<Body> {
        self.hash_up_to(from).await?;
        match &mut self.kind {
            Kind::Whole(content, _) => Ok(content.body(self.ledger.clone())),
            Kind::Once(once) => Ok(Body::from(once.slice(from, to))),
            // Bytes can be sent again by the layers; all the better.
            Kind::Replay(replay @ Replay::Bytes(_)) if self.ledger.len() >= to => {
                Ok(Body::from(replay.read(from, to).await?))
            }
            Kind::Replay(replay) if to.saturating_sub(from) <= limit => {
                let bytes = replay.read(from, to).await?;
                self.ledger.hash(from, bytes.clone()).await?;
                Ok(Body::from(bytes))
            }
            Kind::Replay(replay) => Ok(body::stream(replay.clone(), from, to, self.ledger.clone())),
        }
    }

    /// Hashes what was not hashed yet, up to an offset.
    pub(crate) async fn hash_up_to(&mut self, to: u64) -> Result<()> {
        let Kind::Replay(replay) = &self.kind else {
            return Ok(());
        };
        loop {
            let from = self.ledger.len();
            if from >= to {
                return Ok(());
            }
            let end = to.min(from.saturating_add(PIECE));
            let piece = replay.read(from, end).await?;
            self.ledger.hash(from, piece).await?;
        }
    }

    /// Whether the source is still what was read of it. `is_checked`: somebody compares the
    /// digest with one that was known before.
    pub(crate) async fn check_unchanged(&mut self, is_checked: bool) -> Result<()> {
        let Kind::Replay(replay) = &self.kind else {
            return Ok(());
        };
        let hash =
            (!is_checked && self.ledger.len() == replay.len()).then(|| self.ledger.digester());
        replay.check_unchanged(hash).await
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The digest of all that was hashed.
    pub(crate) fn digest(&self) -> Digest {
        self.ledger.digester().finish()
    }
}

impl Once {
    fn new(source: Passing, chunk: usize) -> Self {
        Self {
            source,
            chunker: Chunker::new(chunk),
            is_drained: false,
            broken: None,
            window: Vec::new(),
            start: 0,
            end: 0,
            len: None,
        }
    }

    /// Reads until there is more than one chunk, so that the last one is known as such.
    async fn fill(&mut self) {
        while !self.is_drained && self.broken.is_none() && self.chunker.is_not_over() {
            match self.source.next().await {
                Ok(Some(piece)) => self.chunker.push(piece),
                Ok(None) => self.is_drained = true,
                Err(error) => self.broken = Some(unreadable(error)),
            }
        }
    }

    fn slice(&self, from: u64, to: u64) -> Bytes {
        let mut parts = Vec::new();
        let mut start = self.start;
        for piece in &self.window {
            let end = start.saturating_add(piece.len() as u64);
            if end > from && start < to {
                let low = index(from.saturating_sub(start)).min(piece.len());
                let high = index(to.saturating_sub(start)).min(piece.len());
                parts.push(piece.slice(low..high));
            }
            start = end;
        }
        // More than one only after something went wrong.
        match parts.as_slice() {
            [] => Bytes::new(),
            [one] => one.clone(),
            many => {
                let mut joined = BytesMut::with_capacity(many.iter().map(Bytes::len).sum());
                many.iter().for_each(|part| joined.extend_from_slice(part));
                joined.freeze()
            }
        }
    }
}

impl Passing {
    /// The next piece; safe to drop.
    async fn next(&mut self) -> Result<Option<Bytes>, BoxError> {
        match self {
            Self::Given => Ok(None),
            Self::Stream(stream) => poll_fn(|cx| stream.as_mut().poll_next(cx)).await.transpose(),
        }
    }
}
