//! What to ask for next in a download, and what an answer means. Pure: answers and pieces
//! in, requests and verified pieces out.

use acr_core::{ByteRange, Digest, Digester, Error, ErrorKind, Result, value::ContentRange};
use bytes::Bytes;

use crate::download::outlet::Piece;

/// The state of a download. Gives out a piece only when another one came after it, and the
/// last one only when length and digest match.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    expected: Digest,
    len: Option<u64>,
    max: Option<u64>,
    /// Over all that was given out, and what is held.
    digester: Digester,
    held: Option<Piece>,
    /// Bytes of the present answer that are known already.
    skip: u64,
    /// The present answer may end before the blob does, and nothing would tell.
    is_open: bool,
    resumptions: u32,
    /// How often everything came again instead of what was missing.
    rereads: u32,
    is_verified: bool,
    /// All bytes are there, and are those of another content.
    is_refuted: bool,
}

/// What to ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    Everything,
    Rest(ByteRange),
    /// Nothing: all is there.
    Nothing,
}

/// What an answer brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Everything from the first byte.
    Whole(Extent),
    /// A part.
    Part(ContentRange),
}

/// How long the content of an answer from the first byte is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// As announced.
    Bytes(u64),
    /// Not announced, but its end is marked.
    Marked,
    /// It ends with the connection, or the connection broke.
    Open,
}

/// What follows when an answer has ended or broken off.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// All is there and matches: the last piece may go.
    Verified,
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
            digester,
            held: None,
            skip: 0,
            is_open: false,
            resumptions: 0,
            rereads: 0,
            is_verified: false,
            is_refuted: false,
        }
    }

    /// Sets the length expected and the longest one allowed.
    pub(crate) fn bounds(mut self, len: Option<u64>, max: Option<u64>) -> Result<Self> {
        (self.len, self.max) = (len, max);
        self.check_bounds()?;
        Ok(self)
    }

    /// The first byte that is missing.
    pub(crate) fn position(&self) -> u64 {
        self.digester.len()
    }

    /// What to ask for. A range is closed as soon as the length is known: there are
    /// registries that know no other.
    pub(crate) fn ask(&self) -> Ask {
        let from = self.position();
        if from == 0 {
            // Also an empty blob must be there.
            return Ask::Everything;
        }
        match self.len {
            Some(len) if len == from => Ask::Nothing,
            None if self.matches() => Ask::Nothing,
            len => ByteRange::new(from, len.map(|len| len.saturating_sub(1)))
                .map_or(Ask::Everything, Ask::Rest),
        }
    }

    /// Whether the bytes so far are the blob, as its digest says.
    fn matches(&self) -> bool {
        self.digester.clone().finish() == self.expected
    }

    pub(crate) fn len(&self) -> Option<u64> {
        self.len
    }

    /// Whether everything was there and matched.
    pub(crate) fn is_verified(&self) -> bool {
        self.is_verified
    }

    /// Whether all was there and did not match: nothing of it can become the blob. Any other error
    /// is one of an answer, or of what the caller expects.
    #[cfg(feature = "fs")]
    pub(crate) fn is_refuted(&self) -> bool {
        self.is_refuted
    }

    /// Takes in the head of an answer.
    pub(crate) fn answered(&mut self, answer: Answer) -> Result<()> {
        let total = match answer {
            Answer::Whole(extent) => {
                self.skip = self.position();
                self.rereads = self.rereads.saturating_add(u32::from(self.skip > 0));
                self.is_open = extent == Extent::Open;
                if let Extent::Bytes(len) = extent { Some(len) } else { None }
            }
            Answer::Part(part) if part.first() == self.position() => {
                self.skip = 0;
                self.is_open = part.total().is_none();
                part.total()
            }
            Answer::Part(part) => {
                let wanted = self.position();
                let text = format!("asked for the bytes from {wanted} on, the answer has `{part}`");
                return Err(Error::new(ErrorKind::Protocol, text));
            }
        };
        if let (Some(announced), Some(expected)) = (total, self.len)
            && announced != expected
        {
            let digest = &self.expected;
            let text =
                format!("`{digest}` should have {expected} bytes, the server has {announced}");
            return Err(Error::new(ErrorKind::Integrity, text));
        }
        self.len = self.len.or(total);
        self.check_bounds()
    }

    /// What is known of the length must fit what is there, and what is allowed.
    fn check_bounds(&self) -> Result<()> {
        let (got, digest) = (self.position(), &self.expected);
        if let Some(len) = self.len.filter(|len| got > *len) {
            let text = format!("there are {got} bytes of `{digest}` already, which has {len}");
            return Err(Error::new(ErrorKind::Integrity, text));
        }
        match self.max {
            Some(max) if self.len.unwrap_or(got) > max => Err(too_large(max)),
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
    pub(crate) fn piece(&mut self, bytes: Bytes, after: Digester) -> Result<Option<Piece>> {
        if bytes.is_empty() {
            return Ok(None);
        }
        let got = after.len();
        if let Some(len) = self.len.filter(|len| got > *len) {
            let digest = &self.expected;
            let text =
                format!("the content of `{digest}` is longer than the {len} bytes announced");
            return Err(Error::new(ErrorKind::Integrity, text));
        }
        if let Some(max) = self.max.filter(|max| got > *max) {
            return Err(too_large(max));
        }
        self.digester = after.clone();
        self.resumptions = 0;
        Ok(self.held.replace(Piece { bytes, after }))
    }

    /// The answer has ended, or broken off.
    pub(crate) fn ended(&mut self, is_broken: bool) -> Result<Step> {
        let is_short = match self.len {
            Some(len) => self.position() < len,
            None => is_broken || (self.is_open && !self.matches()),
        };
        if is_short || self.skip > 0 {
            self.resumptions = self.resumptions.saturating_add(1);
            if self.resumptions > MAX_RESUMPTIONS || self.rereads >= MAX_REREADS {
                return Ok(Step::GiveUp);
            }
            return Ok(Step::Resume(self.resumptions));
        }
        let computed = self.digester.clone().finish();
        if computed != self.expected {
            self.is_refuted = true;
            let expected = &self.expected;
            let text = format!("asked for `{expected}`, received content with `{computed}`");
            return Err(Error::new(ErrorKind::Integrity, text));
        }
        self.is_verified = true;
        self.len = Some(self.position());
        Ok(Step::Verified)
    }

    /// The last piece, if there is one: only when everything matched.
    pub(crate) fn last(&mut self) -> Option<Piece> {
        if self.is_verified { self.held.take() } else { None }
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

    fn whole(total: Option<u64>) -> Answer {
        Answer::Whole(total.map_or(Extent::Marked, Extent::Bytes))
    }

    /// What a server sends from here on, how it says so, and where it breaks off.
    fn sent(
        content: &[u8],
        announce: bool,
        from: u64,
        serve: Option<Serve>,
    ) -> (Vec<u8>, Answer, usize) {
        let from = usize::try_from(from).unwrap();
        let total = announce.then_some(content.len() as u64);
        match serve {
            None | Some(Serve::Part(_)) if from == 0 => {
                (content.to_vec(), whole(total), usize::MAX)
            }
            Some(Serve::Whole(limit)) => (content.to_vec(), whole(total), limit),
            Some(Serve::WrongPlace) if content.len() > from + 1 => {
                let part = ContentRange::new(from as u64 + 1, content.len() as u64 - 1, total);
                (content[from + 1..].to_vec(), Answer::Part(part.unwrap()), usize::MAX)
            }
            other => {
                if content.len() == from {
                    (content.to_vec(), whole(total), usize::MAX)
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
        }
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
            let (mut bytes, answer, limit) =
                sent(content, announce, machine.position(), script.next());
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
                    Ok(piece) => seen.extend(piece.into_iter().flat_map(|piece| piece.bytes)),
                    Err(error) => return (seen, Err(error)),
                }
            }
            match machine.ended(is_broken) {
                Ok(Step::Verified) => {
                    seen.extend(machine.last().into_iter().flat_map(|piece| piece.bytes));
                    assert!(machine.is_verified());
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

    const CONTENT: &[u8] = b"0123456789";

    fn machine() -> Machine {
        Machine::new(Digest::sha256(CONTENT), Digester::default())
    }

    /// A download that has so many bytes already.
    fn at(position: usize) -> Machine {
        let mut digester = Digester::default();
        digester.update(&CONTENT[..position]);
        Machine::new(Digest::sha256(CONTENT), digester)
    }

    fn part(first: u64, last: u64, total: Option<u64>) -> Answer {
        Answer::Part(ContentRange::new(first, last, total).unwrap())
    }

    fn feed(machine: &mut Machine, bytes: &'static [u8]) -> Result<Option<Bytes>> {
        let piece = machine.unknown_part(Bytes::from_static(bytes));
        let mut after = machine.digester();
        after.update(&piece);
        machine.piece(piece, after).map(|piece| piece.map(|piece| piece.bytes))
    }

    fn kind<T>(result: Result<T>) -> Option<ErrorKind> {
        result.err().map(|error| error.kind())
    }

    /// What is left to give out at the end, if the content matched.
    fn last(machine: &mut Machine) -> Option<Bytes> {
        assert!(machine.last().is_none(), "nothing is verified yet");
        assert_eq!(machine.ended(false).unwrap(), Step::Verified);
        machine.last().map(|piece| piece.bytes)
    }

    fn resumes(machine: &mut Machine, is_broken: bool) -> Option<u32> {
        match machine.ended(is_broken).unwrap() {
            Step::Resume(attempt) => Some(attempt),
            Step::GiveUp => None,
            Step::Verified => panic!("verified"),
        }
    }

    #[test]
    fn b10_a_range_is_closed_as_soon_as_the_length_is_known() {
        let rest = |last| Ask::Rest(ByteRange::new(4, last).unwrap());
        let known = |len| at(4).bounds(Some(len), None).unwrap().ask();
        assert_eq!(at(4).ask(), rest(None));
        assert_eq!(known(10), rest(Some(9)));
        assert_eq!(known(5), rest(Some(4)));
        assert_eq!(known(4), Ask::Nothing);
        let mut learns = at(4);
        learns.answered(part(4, 9, Some(10))).unwrap();
        assert_eq!(learns.ask(), rest(Some(9)));
    }

    #[test]
    fn nothing_is_asked_for_only_when_all_is_there() {
        // An empty blob must be there too.
        assert_eq!(machine().ask(), Ask::Everything);
        assert_eq!(machine().bounds(Some(0), None).unwrap().ask(), Ask::Everything);
        // Without a length the digest tells.
        assert_eq!(at(10).ask(), Ask::Nothing);
        assert_eq!(at(9).ask(), Ask::Rest(ByteRange::new(9, None).unwrap()));
        let mut complete = at(10);
        assert_eq!(complete.ended(false).unwrap(), Step::Verified);
        assert!(complete.last().is_none());
    }

    #[test]
    fn what_is_there_fits_the_length_and_the_limit() {
        for (len, max, expected) in [
            (Some(4), None, None),
            (Some(3), None, Some(ErrorKind::Integrity)),
            (None, Some(4), None),
            (None, Some(3), Some(ErrorKind::TooLarge)),
            (Some(4), Some(4), None),
            (Some(5), Some(4), Some(ErrorKind::TooLarge)),
        ] {
            assert_eq!(kind(at(4).bounds(len, max)), expected, "{len:?} {max:?}");
        }
        // The same when an answer tells the length.
        let limited = || at(4).bounds(None, Some(10)).unwrap();
        assert_eq!(kind(limited().answered(part(4, 9, Some(10)))), None);
        assert_eq!(kind(limited().answered(part(4, 9, Some(11)))), Some(ErrorKind::TooLarge));
        let whole = |len| at(4).answered(Answer::Whole(Extent::Bytes(len)));
        assert_eq!(kind(whole(4)), None);
        assert_eq!(kind(whole(3)), Some(ErrorKind::Integrity));
    }

    #[test]
    fn another_length_or_place_is_refused() {
        let known = || at(4).bounds(Some(10), None).unwrap();
        for (answer, expected) in [
            (part(4, 9, Some(10)), None),
            (part(4, 9, None), None),
            (part(4, 8, Some(10)), None),
            (part(4, 10, Some(11)), Some(ErrorKind::Integrity)),
            (part(3, 9, Some(10)), Some(ErrorKind::Protocol)),
            (part(5, 9, Some(10)), Some(ErrorKind::Protocol)),
            (Answer::Whole(Extent::Bytes(10)), None),
            (Answer::Whole(Extent::Bytes(9)), Some(ErrorKind::Integrity)),
            (Answer::Whole(Extent::Marked), None),
            (Answer::Whole(Extent::Open), None),
        ] {
            assert_eq!(kind(known().answered(answer)), expected, "{answer:?}");
        }
    }

    #[test]
    fn a_piece_is_held_until_the_next_and_none_goes_beyond_the_bounds() {
        let mut machine = machine().bounds(Some(10), Some(10)).unwrap();
        machine.answered(Answer::Whole(Extent::Bytes(10))).unwrap();
        assert_eq!(feed(&mut machine, b"012345").unwrap(), None);
        assert_eq!(feed(&mut machine, b"").unwrap(), None);
        assert_eq!(feed(&mut machine, b"6789").unwrap().unwrap(), "012345");
        assert!(!machine.is_verified());
        assert_eq!(machine.len(), Some(10));
        assert_eq!(last(&mut machine).unwrap(), "6789");
        assert!(machine.is_verified());
        assert_eq!(machine.position(), 10);

        for (len, max, expected) in
            [(Some(3), None, ErrorKind::Integrity), (None, Some(3), ErrorKind::TooLarge)]
        {
            let mut machine = at(0).bounds(len, max).unwrap();
            assert_eq!(feed(&mut machine, b"012").unwrap(), None);
            assert_eq!(kind(feed(&mut machine, b"3")), Some(expected));
        }
    }

    #[test]
    fn what_is_known_is_passed_over_and_what_is_new_is_hashed_from_there() {
        let mut machine = at(4);
        machine.answered(Answer::Whole(Extent::Marked)).unwrap();
        assert_eq!(feed(&mut machine, b"012").unwrap(), None);
        assert_eq!(machine.position(), 4);
        // It ends within what is known.
        assert_eq!(resumes(&mut machine.clone(), false), Some(1));
        assert_eq!(feed(&mut machine, b"345").unwrap(), None);
        assert_eq!(machine.position(), 6);
        assert_eq!(feed(&mut machine, b"6789").unwrap().unwrap(), "45");
        assert_eq!(last(&mut machine).unwrap(), "6789");
        // A part brings nothing that is known.
        let mut machine = at(4);
        machine.answered(Answer::Whole(Extent::Marked)).unwrap();
        machine.answered(part(4, 9, Some(10))).unwrap();
        feed(&mut machine, b"456789").unwrap();
        assert_eq!(last(&mut machine).unwrap(), "456789");
    }

    #[test]
    fn an_end_is_believed_only_where_it_is_told() {
        for (answer, is_broken, resumed) in [
            (Answer::Whole(Extent::Bytes(10)), false, true),
            (Answer::Whole(Extent::Bytes(10)), true, true),
            (Answer::Whole(Extent::Marked), true, true),
            (Answer::Whole(Extent::Open), false, true),
            (part(0, 5, None), false, true),
            (part(0, 5, Some(10)), false, true),
            // It said that this is all: then it is the wrong content.
            (Answer::Whole(Extent::Marked), false, false),
            (Answer::Whole(Extent::Bytes(6)), false, false),
        ] {
            let mut machine = machine();
            machine.answered(answer).unwrap();
            feed(&mut machine, b"012345").unwrap();
            if resumed {
                assert_eq!(resumes(&mut machine, is_broken), Some(1), "{answer:?}");
                machine.answered(part(6, 9, Some(10))).unwrap();
                assert_eq!(feed(&mut machine, b"6789").unwrap().unwrap(), "012345");
                assert_eq!(last(&mut machine).unwrap(), "6789");
            } else {
                assert_eq!(kind(machine.ended(is_broken)), Some(ErrorKind::Integrity));
                assert!(!machine.is_verified());
            }
        }
        // The digest tells as well, and a broken line after the last byte is no matter.
        for (answer, is_broken) in [
            (Answer::Whole(Extent::Open), false),
            (part(0, 9, None), false),
            (Answer::Whole(Extent::Bytes(10)), true),
        ] {
            let mut machine = machine();
            machine.answered(answer).unwrap();
            feed(&mut machine, CONTENT).unwrap();
            assert_eq!(machine.ended(is_broken).unwrap(), Step::Verified, "{answer:?}");
            assert_eq!(machine.last().unwrap().bytes, CONTENT);
        }
    }

    #[test]
    fn three_fruitless_resumptions_are_the_end_and_progress_counts_anew() {
        let mut machine = machine();
        let again = |machine: &mut Machine| {
            machine.answered(part(machine.position(), 9, Some(10))).unwrap();
            resumes(machine, true)
        };
        assert_eq!(again(&mut machine), Some(1));
        assert_eq!(again(&mut machine), Some(2));
        assert_eq!(again(&mut machine), Some(3));
        let mut given_up = machine.clone();
        assert_eq!(again(&mut given_up), None);
        assert!(!given_up.is_verified());
        feed(&mut machine, b"0").unwrap();
        assert_eq!(again(&mut machine), Some(1));
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
