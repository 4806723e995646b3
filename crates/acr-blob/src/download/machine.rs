//! What to ask for next in a download, and what an answer means. Pure: answers and pieces
//! in, requests and verified pieces out.

use acr_core::{ByteRange, ContentRange, Digest, Digester, Error, ErrorKind, Result};
use bytes::Bytes;

/// The state of a download. Gives out a piece only when another one came after it, and the
/// last one only when length and digest match.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    expected: Digest,
    len: Option<u64>,
    max: Option<u64>,
    /// Hashed: all that was given out, and what is held.
    digester: Digester,
    /// The same without what is held.
    delivered: Digester,
    held: Option<Bytes>,
    /// Bytes of the present answer that are known already.
    skip: u64,
    resumptions: u32,
    /// How often everything came again instead of what was missing.
    rereads: u32,
    is_over: bool,
}

/// What an answer brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Everything from the first byte; how much, if it is announced.
    Whole(Option<u64>),
    /// A part.
    Part(ContentRange),
}

/// What follows when an answer has ended or broken off.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// All is there and matches; the last piece, if there is one.
    Verified(Option<Bytes>),
    /// Ask again, from [`Machine::position`] on; the n-th time without progress.
    Resume(u32),
    /// It was tried often enough.
    GiveUp,
}

impl Machine {
    /// A download from the first byte, or from where a digester stands.
    pub(crate) fn new(expected: Digest, digester: Digester) -> Self {
        Self {
            expected,
            len: None,
            max: None,
            delivered: digester.clone(),
            digester,
            held: None,
            skip: 0,
            resumptions: 0,
            rereads: 0,
            is_over: false,
        }
    }

    /// Sets the length expected and the longest one allowed.
    pub(crate) fn bounds(mut self, len: Option<u64>, max: Option<u64>) -> Self {
        (self.len, self.max) = (len, max);
        self
    }

    /// The first byte that is missing.
    pub(crate) fn position(&self) -> u64 {
        self.digester.len()
    }

    /// The range to ask for; `None` for everything.
    pub(crate) fn range(&self) -> Option<ByteRange> {
        match self.position() {
            0 => None,
            // Without a last offset it cannot be malformed.
            from => ByteRange::new(from, None).ok(),
        }
    }

    /// Whether all bytes are there, so that nothing is left to ask for.
    pub(crate) fn is_complete(&self) -> bool {
        self.len == Some(self.position())
    }

    /// Whether the bytes so far are the blob, as its digest says.
    pub(crate) fn matches(&self) -> bool {
        self.digester.clone().finish() == self.expected
    }

    pub(crate) fn len(&self) -> Option<u64> {
        self.len
    }

    /// What was given out so far.
    pub(crate) fn delivered(&self) -> &Digester {
        &self.delivered
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Takes in the head of an answer.
    pub(crate) fn answered(&mut self, answer: Answer) -> Result<()> {
        let total = match answer {
            Answer::Whole(len) => {
                self.skip = self.position();
                self.rereads = self.rereads.saturating_add(u32::from(self.skip > 0));
                len
            }
            Answer::Part(part) if part.first() == self.position() => {
                self.skip = 0;
                part.total()
            }
            Answer::Part(part) => {
                let wanted = self.position();
                let text = format!("asked for the bytes from {wanted} on, the answer has `{part}`");
                return Err(self.end(Error::new(ErrorKind::Protocol, text)));
            }
        };
        if let (Some(announced), Some(expected)) = (total, self.len)
            && announced != expected
        {
            let digest = &self.expected;
            let text =
                format!("`{digest}` should have {expected} bytes, the server has {announced}");
            return Err(self.end(Error::new(ErrorKind::Integrity, text)));
        }
        self.len = self.len.or(total);
        match self.max {
            Some(max) if self.len.is_some_and(|len| len > max) => Err(self.end(too_large(max))),
            _ => Ok(()),
        }
    }

    /// The part of a piece that is new; what it brings is hashed by the caller.
    pub(crate) fn unknown_part(&mut self, mut piece: Bytes) -> Bytes {
        let known = usize::try_from(self.skip).unwrap_or(usize::MAX).min(piece.len());
        self.skip = self.skip.saturating_sub(known as u64);
        piece.split_off(known)
    }

    /// The digester to hash the next piece with.
    pub(crate) fn digester(&self) -> Digester {
        self.digester.clone()
    }

    /// Takes in a piece and the digester after it; gives the piece before.
    pub(crate) fn piece(&mut self, piece: Bytes, after: Digester) -> Result<Option<Bytes>> {
        if piece.is_empty() {
            return Ok(None);
        }
        let before = std::mem::replace(&mut self.digester, after);
        let got = self.digester.len();
        if let Some(len) = self.len.filter(|len| got > *len) {
            let digest = &self.expected;
            let text =
                format!("the content of `{digest}` is longer than the {len} bytes announced");
            return Err(self.end(Error::new(ErrorKind::Integrity, text)));
        }
        if let Some(max) = self.max.filter(|max| got > *max) {
            return Err(self.end(too_large(max)));
        }
        self.resumptions = 0;
        self.delivered = before;
        Ok(self.held.replace(piece))
    }

    /// The answer has ended, or broken off.
    pub(crate) fn ended(&mut self, is_broken: bool) -> Result<Step> {
        let is_short = self.len.is_some_and(|len| self.position() < len);
        if is_short || (is_broken && self.len.is_none()) || self.skip > 0 {
            self.resumptions = self.resumptions.saturating_add(1);
            if self.resumptions > MAX_RESUMPTIONS || self.rereads >= MAX_REREADS {
                self.is_over = true;
                return Ok(Step::GiveUp);
            }
            return Ok(Step::Resume(self.resumptions));
        }
        let computed = self.digester.clone().finish();
        if computed != self.expected {
            let expected = &self.expected;
            let text = format!("asked for `{expected}`, received content with `{computed}`");
            return Err(self.end(Error::new(ErrorKind::Integrity, text)));
        }
        self.is_over = true;
        self.len = Some(self.position());
        self.delivered = self.digester.clone();
        Ok(Step::Verified(self.held.take()))
    }

    /// Ends the download: nothing more is given out.
    pub(crate) fn end(&mut self, error: Error) -> Error {
        self.is_over = true;
        self.held = None;
        error
    }
}

pub(crate) fn too_large(limit: u64) -> Error {
    Error::new(ErrorKind::TooLarge, format!("the blob is larger than the limit of {limit} bytes"))
}

/// How often in a row a download is resumed without any progress.
const MAX_RESUMPTIONS: u32 = 3;

/// How often in one download everything may come again, of a server without ranges. Each time
/// may bring progress, so that without a limit a little of it per answer would make the traffic
/// grow with the square of the length.
const MAX_REREADS: u32 = 8;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a server does with one request: how many bytes come, and how it goes on.
    #[derive(Clone, Debug)]
    enum Serve {
        Part(usize),
        Whole(usize),
        Corrupt(usize),
        WrongPlace,
    }

    fn serve() -> impl Strategy<Value = Serve> {
        prop_oneof![
            4 => (0usize..300).prop_map(Serve::Part),
            2 => (0usize..300).prop_map(Serve::Whole),
            1 => (0usize..300).prop_map(Serve::Corrupt),
            1 => Just(Serve::WrongPlace),
        ]
    }

    fn run(
        content: &[u8],
        announce: bool,
        cut: usize,
        script: Vec<Serve>,
    ) -> (Vec<u8>, Result<()>) {
        let mut machine = Machine::new(Digest::sha256(content), Digester::default());
        let mut seen = Vec::new();
        let mut script = script.into_iter();
        loop {
            let from = usize::try_from(machine.position()).unwrap();
            let total = announce.then_some(content.len() as u64);
            let (mut bytes, answer, limit) = match script.next() {
                None | Some(Serve::Part(_)) if from == 0 => {
                    (content.to_vec(), Answer::Whole(total), usize::MAX)
                }
                Some(Serve::Whole(limit)) => (content.to_vec(), Answer::Whole(total), limit),
                Some(Serve::WrongPlace) if content.len() > from + 1 => {
                    let part = ContentRange::new(from as u64 + 1, content.len() as u64 - 1, total);
                    (content[from + 1..].to_vec(), Answer::Part(part.unwrap()), usize::MAX)
                }
                other => {
                    if content.len() == from {
                        (content.to_vec(), Answer::Whole(total), usize::MAX)
                    } else {
                        let part = ContentRange::new(from as u64, content.len() as u64 - 1, total);
                        let mut bytes = content[from..].to_vec();
                        let mut limit = usize::MAX;
                        match other {
                            Some(Serve::Corrupt(at)) => {
                                let at = at % bytes.len();
                                bytes[at] ^= 1;
                            }
                            Some(Serve::Part(most)) => limit = most,
                            _ => {}
                        }
                        (bytes, Answer::Part(part.unwrap()), limit)
                    }
                }
            };
            let is_broken = bytes.len() > limit;
            bytes.truncate(limit);
            if let Err(error) = machine.answered(answer) {
                return (seen, Err(error));
            }
            for piece in bytes.chunks(cut) {
                let piece = machine.unknown_part(Bytes::copy_from_slice(piece));
                let mut after = machine.digester();
                after.update(&piece);
                match machine.piece(piece, after) {
                    Ok(piece) => seen.extend(piece.into_iter().flatten()),
                    Err(error) => return (seen, Err(error)),
                }
            }
            match machine.ended(is_broken) {
                Ok(Step::Verified(last)) => {
                    seen.extend(last.into_iter().flatten());
                    return (seen, Ok(()));
                }
                Ok(Step::Resume(_)) => {}
                Ok(Step::GiveUp) => {
                    return (seen, Err(Error::new(ErrorKind::Transport, "scripted")));
                }
                Err(error) => return (seen, Err(error)),
            }
        }
    }

    #[test]
    fn a_server_without_ranges_is_not_read_from_the_start_for_ever() {
        let content = vec![7; 200];
        let a_little_further = |times: usize| (1..=times).map(|n| Serve::Whole(n * 10)).collect();
        let rereads = MAX_REREADS as usize;
        let (seen, result) = run(&content, true, 1, a_little_further(rereads));
        assert_eq!((seen.len(), result.is_ok()), (200, true));
        let (seen, result) = run(&content, true, 1, a_little_further(rereads + 2));
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Transport);
        assert_eq!(seen.len(), (rereads + 1) * 10 - 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn the_output_is_the_content_or_a_strict_prefix_and_an_error(
            content in proptest::collection::vec(any::<u8>(), 0..300),
            announce in any::<bool>(),
            cut in 1usize..100,
            script in proptest::collection::vec(serve(), 0..8),
        ) {
            let is_clean = !script.iter().any(|s| matches!(s, Serve::Corrupt(_)));
            let (seen, result) = run(&content, announce, cut, script);
            match result {
                Ok(()) => prop_assert_eq!(seen, content),
                Err(error) => {
                    prop_assert!(seen.len() < content.len().max(1));
                    prop_assert!(content.starts_with(&seen) || !is_clean);
                    let kinds = [ErrorKind::Protocol, ErrorKind::Integrity, ErrorKind::Transport];
                    prop_assert!(kinds.contains(&error.kind()));
                }
            }
        }
    }
}
