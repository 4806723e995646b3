//! What to do next in an upload, and what an outcome means. Pure: outcomes in, actions out.

use crate::range::Received;

/// The state of an upload, as far as it decides what comes next.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    plan: Plan,
    /// The oldest byte that can still be sent.
    floor: u64,
    /// The bytes that can be sent end here; the whole content if `ended`.
    available: u64,
    ended: bool,
    is_open: bool,
    /// Bytes the registry has confirmed in this session, and the most it was ever sent.
    confirmed: u64,
    offered: u64,
    /// Nothing of the content was sent in this session before what is pending.
    is_untouched: bool,
    /// A first chunk was refused as out of order: then `0-0` stands for one byte.
    holds_one: bool,
    recoveries: u32,
    restarts: u32,
    /// Why the blob is looked for, if it is because of a failed commit.
    doubted: Option<Failure>,
    /// The longest body that was not refused as too large, once one was.
    limit: Option<u64>,
    pending: Action,
    queued: Option<Action>,
}

/// How content is cut into requests; it adapts to what the registry refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The length of a chunk.
    pub(crate) chunk: u64,
    /// Sends all that is available in one body, whatever its length.
    pub(crate) one_body: bool,
    /// The digest is known before the content was sent, so that one `PUT` may carry it all.
    pub(crate) digest_known: bool,
    /// The last chunk may ride on the closing request.
    pub(crate) rides: bool,
    /// Sends what is there without waiting for a full chunk.
    pub(crate) eager: bool,
}

/// What the driver is to do; its outcome is the next [`Event`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Take in up to so many bytes more of the content.
    Read,
    /// Open a session.
    Start,
    /// Send these bytes.
    Append { from: u64, to: u64 },
    /// Close the session with the bytes from here to the end, possibly none.
    Commit { from: u64 },
    /// Ask the registry how far it got; the n-th time in a row.
    Ask { recovery: u32 },
    /// Look whether the blob exists.
    Verify,
    /// Give the session up; another one follows.
    Abandon,
    /// The blob is stored.
    Finish,
    /// It will not be.
    Fail(Cause),
}

/// Why an upload ends without success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The last error says it.
    Refused,
    /// The session is lost and the content cannot be read again.
    Lost,
    /// The registry confirmed what was not sent, or not all of it.
    Misreported(u64),
    /// The registry said "created" and has no such blob.
    Unstored,
}

/// The outcome of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// So many bytes are available now; is that all?
    Available { to: u64, ended: bool },
    /// A session is open; its shortest chunk, if there is such a rule.
    Opened { min_chunk: Option<u64> },
    /// There was nothing to send: present or mounted.
    Present,
    /// There is no such blob.
    Absent,
    /// A chunk was taken; what is confirmed now, if the answer says it.
    Accepted(Option<Received>),
    /// The content is stored, as the answer says, with or without naming the digest.
    Stored { named: bool },
    /// How far the registry got, if the answer says it.
    Status(Option<Received>),
    /// The session was given up.
    Abandoned,
    /// The outcome was told already.
    Noted,
    /// No success.
    Failed(Failure),
}

/// A failure, by what it says about the registry's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It may have happened or not.
    Doubtful,
    /// The position is wrong; where it should be, if the answer says it.
    OutOfStep(Option<Received>),
    /// There is no such session.
    Lost,
    /// The body is too large for somebody on the way.
    TooLarge,
    /// The content does not have the digest.
    Mismatch,
    /// Refused in a way that may be due to a body on the closing request.
    BodyUnwanted,
    /// Anything else: no repetition helps.
    Refused,
}

impl Machine {
    /// An upload of which nothing was read yet.
    pub(crate) fn new(plan: Plan) -> Self {
        Self {
            plan,
            floor: 0,
            available: 0,
            ended: false,
            is_open: false,
            confirmed: 0,
            offered: 0,
            is_untouched: true,
            holds_one: false,
            recoveries: 0,
            restarts: 0,
            doubted: None,
            limit: None,
            pending: Action::Read,
            queued: None,
        }
    }

    /// An upload whose session was opened by somebody else, who sent up to `offered` bytes.
    pub(crate) fn resumed(plan: Plan, confirmed: u64, offered: u64) -> Self {
        let queued = Some(Action::Ask { recovery: 0 });
        Self { is_open: true, confirmed, offered, queued, ..Self::new(plan) }
    }

    /// What comes next.
    pub(crate) fn next(&mut self) -> Action {
        self.is_untouched = self.offered == 0;
        self.pending = self.queued.take().unwrap_or_else(|| self.step());
        match self.pending {
            Action::Append { to, .. } => self.offered = self.offered.max(to),
            Action::Commit { .. } => self.offered = self.offered.max(self.available),
            _ => {}
        }
        self.pending
    }

    /// The outcome of what came last.
    pub(crate) fn on(&mut self, event: Event) {
        if event == Event::Noted {
            return;
        }
        self.queued = self.after(event);
    }

    /// The driver keeps no byte below this any more.
    pub(crate) fn forget(&mut self, below: u64) {
        self.floor = self.floor.max(below);
    }

    /// Bytes the registry has confirmed.
    pub(crate) fn confirmed(&self) -> u64 {
        self.confirmed
    }

    /// Whether nothing was sent in this session before what is pending.
    pub(crate) fn is_untouched(&self) -> bool {
        self.is_untouched
    }

    /// All bytes that can be sent, the confirmed ones included.
    pub(crate) fn available(&self) -> u64 {
        self.available
    }

    /// The end of the bytes that were sent in this session.
    pub(crate) fn sent(&self) -> u64 {
        self.offered
    }

    /// Asks before anything else.
    pub(crate) fn ask_now(&mut self) {
        self.queued = Some(Action::Ask { recovery: 0 });
    }

    /// More bytes can be sent, up to here.
    pub(crate) fn extend(&mut self, to: u64, ended: bool) {
        self.available = self.available.max(to);
        self.ended = ended;
    }

    /// How many bytes are missing for a full chunk.
    pub(crate) fn missing(&self) -> u64 {
        self.plan.chunk.saturating_sub(self.available.saturating_sub(self.confirmed))
    }

    /// How the content is cut now, after what was learned.
    pub(crate) fn plan(&self) -> Plan {
        self.plan
    }

    /// How much may be sent at once, if somebody said that something was too large.
    pub(crate) fn limit(&self) -> Option<u64> {
        self.limit
    }

    /// How often something went wrong in a way that was mended.
    pub(crate) fn retries(&self) -> u32 {
        self.restarts.saturating_add(self.recoveries)
    }

    /// Whether an outcome is missing, because whoever drove this was dropped.
    pub(crate) fn interrupted(&mut self) {
        match self.pending {
            Action::Append { .. } | Action::Commit { .. } => {
                self.on(Event::Failed(Failure::Doubtful));
            }
            Action::Ask { .. } | Action::Verify => self.queued = Some(Action::Ask { recovery: 0 }),
            _ => {}
        }
    }

    fn step(&self) -> Action {
        let rest = self.available.saturating_sub(self.confirmed);
        let Plan { chunk, one_body, digest_known, rides, eager } = self.plan;
        let wants_more = if eager { rest == 0 } else { rest < chunk || self.available == 0 };
        if !self.ended && wants_more {
            return Action::Read;
        }
        if !self.is_open {
            return Action::Start;
        }
        let fits = rest <= chunk || (one_body && digest_known);
        let from = self.confirmed;
        if self.ended && (rest == 0 || (fits && (rides || from == 0))) {
            return Action::Commit { from };
        }
        let to =
            if one_body { self.available } else { self.available.min(from.saturating_add(chunk)) };
        Action::Append { from, to }
    }

    fn after(&mut self, event: Event) -> Option<Action> {
        let pending = std::mem::replace(&mut self.pending, Action::Read);
        match event {
            Event::Available { to, ended } => {
                self.available = self.available.max(to);
                self.ended = ended;
                None
            }
            Event::Opened { min_chunk } => {
                self.is_open = true;
                self.plan.chunk = self.plan.chunk.max(min_chunk.unwrap_or(0));
                None
            }
            Event::Noted => None,
            Event::Present => Some(Action::Finish),
            Event::Absent => match self.doubted.take() {
                Some(Failure::Lost) => self.restart(),
                Some(Failure::OutOfStep(Some(received))) if self.count_recovery() => {
                    self.take(received)
                }
                Some(_) => self.ask(),
                None => Some(Action::Fail(Cause::Unstored)),
            },
            Event::Accepted(received) => self.accepted(pending, received),
            Event::Stored { named: true } => Some(Action::Finish),
            Event::Stored { named: false } => {
                self.doubted = None;
                Some(Action::Verify)
            }
            Event::Status(Some(received)) => self.asked(received),
            Event::Status(None) => self.restart(),
            Event::Abandoned => {
                self.is_open = false;
                self.confirmed = 0;
                self.offered = 0;
                self.holds_one = false;
                self.recoveries = 0;
                None
            }
            Event::Failed(failure) => self.failed(pending, failure),
        }
    }

    fn accepted(&mut self, pending: Action, received: Option<Received>) -> Option<Action> {
        let Action::Append { to, .. } = pending else {
            return Some(Action::Fail(Cause::Refused));
        };
        match received {
            Some(Received::Bytes(received)) if received != to => {
                Some(Action::Fail(Cause::Misreported(received)))
            }
            // Two bytes or more, and it says one or none.
            Some(Received::OneOrNone) if to > 1 => Some(Action::Fail(Cause::Misreported(1))),
            _ => {
                self.confirmed = to;
                self.recoveries = 0;
                None
            }
        }
    }

    fn failed(&mut self, pending: Action, failure: Failure) -> Option<Action> {
        match (pending, failure) {
            (Action::Ask { .. }, Failure::Lost) => self.restart(),
            (Action::Append { from, to }, _) => self.append_failed(from, to, failure),
            (Action::Commit { from }, _) => self.commit_failed(from, failure),
            _ => Some(Action::Fail(Cause::Refused)),
        }
    }

    fn append_failed(&mut self, from: u64, to: u64, failure: Failure) -> Option<Action> {
        match failure {
            Failure::Doubtful => self.ask(),
            Failure::OutOfStep(received) => {
                self.holds_one = from == 0;
                match received {
                    None => self.ask(),
                    Some(received) if self.count_recovery() => self.take(received),
                    Some(_) => self.restart(),
                }
            }
            Failure::Lost => self.restart(),
            Failure::TooLarge => self.shrink(to.saturating_sub(from)),
            Failure::Mismatch | Failure::BodyUnwanted | Failure::Refused => {
                Some(Action::Fail(Cause::Refused))
            }
        }
    }

    fn commit_failed(&mut self, from: u64, failure: Failure) -> Option<Action> {
        let rest = self.available.saturating_sub(from);
        let rode = rest > 0 && from > 0 && self.plan.rides;
        match failure {
            Failure::Doubtful | Failure::OutOfStep(_) | Failure::Lost => {
                self.holds_one = matches!(failure, Failure::OutOfStep(_)) && from == 0;
                self.doubted = Some(failure);
                Some(Action::Verify)
            }
            Failure::TooLarge => self.shrink(rest),
            Failure::BodyUnwanted if rode => {
                self.plan.rides = false;
                self.ask()
            }
            // A registry that ignores the body ends the session with this answer.
            Failure::Mismatch if rode && self.floor == 0 => {
                self.plan.rides = false;
                self.restart()
            }
            Failure::Mismatch | Failure::BodyUnwanted | Failure::Refused => {
                Some(Action::Fail(Cause::Refused))
            }
        }
    }

    /// Takes over what the registry says it has, if that lies within what it was sent.
    fn take(&mut self, received: Received) -> Option<Action> {
        let received = match received {
            Received::Bytes(received) => received,
            Received::OneOrNone => u64::from(self.confirmed > 0 || self.holds_one),
        };
        if !(self.confirmed..=self.offered).contains(&received) {
            return self.restart();
        }
        if received > self.confirmed {
            self.recoveries = 0;
        }
        self.confirmed = received;
        None
    }

    /// Goes on from what the registry says it has. If a body broke and nothing of it arrived,
    /// less is sent the next time: some front ends refuse a large body by closing the connection,
    /// so that their answer is lost.
    fn asked(&mut self, received: Received) -> Option<Action> {
        let (before, sent) = (self.confirmed, self.offered.saturating_sub(self.confirmed));
        let next = self.take(received);
        if next.is_none() && self.confirmed == before && self.recoveries > 0 && sent > 0 {
            let least = MIN_CHUNK.min(self.plan.chunk);
            self.plan.chunk = (self.plan.chunk.min(sent) / 4).max(least);
        }
        next
    }

    fn ask(&mut self) -> Option<Action> {
        // What one body could not do, chunks may.
        self.plan.one_body = false;
        if self.count_recovery() {
            Some(Action::Ask { recovery: self.recoveries })
        } else {
            Some(Action::Fail(Cause::Refused))
        }
    }

    fn count_recovery(&mut self) -> bool {
        self.recoveries = self.recoveries.saturating_add(1);
        self.recoveries <= MAX_RECOVERIES
    }

    /// Begins again from the first byte, if it is still there.
    fn restart(&mut self) -> Option<Action> {
        self.restarts = self.restarts.saturating_add(1);
        self.plan.one_body = false;
        if self.floor > 0 || self.restarts > MAX_RESTARTS {
            return Some(Action::Fail(Cause::Lost));
        }
        Some(Action::Abandon)
    }

    /// Sends less at once from now on.
    fn shrink(&mut self, refused: u64) -> Option<Action> {
        self.plan.one_body = false;
        let smaller = self.plan.chunk.min(refused / 2);
        if smaller < MIN_CHUNK.min(self.plan.chunk) || smaller == 0 {
            return Some(Action::Fail(Cause::Refused));
        }
        self.plan.chunk = smaller;
        self.limit = Some(smaller);
        None
    }
}

/// How often in a row the registry is asked how far it got, without any progress.
const MAX_RECOVERIES: u32 = 3;

/// How often content that can be read again is sent from its first byte.
const MAX_RESTARTS: u32 = 2;

/// A front end that refuses less than this takes no uploads.
const MIN_CHUNK: u64 = 16 * 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What happens to one request on its way.
    #[derive(Clone, Copy, Debug)]
    enum Fault {
        None,
        /// The body arrives up to here, and there is no answer.
        Cut(u64),
        /// It arrives, and the answer is lost.
        LostAnswer,
        /// The session is forgotten first.
        LostSession,
        TooLarge,
        OutOfStep,
        BodyUnwanted,
        /// The registry stores only what came before, whatever it answers.
        IgnoredBody,
        Unnamed,
    }

    fn fault() -> impl Strategy<Value = Fault> {
        prop_oneof![
            6 => Just(Fault::None),
            3 => (0u64..60).prop_map(Fault::Cut),
            2 => Just(Fault::LostAnswer),
            1 => Just(Fault::LostSession),
            1 => Just(Fault::TooLarge),
            1 => Just(Fault::OutOfStep),
            1 => Just(Fault::BodyUnwanted),
            1 => Just(Fault::IgnoredBody),
            1 => Just(Fault::Unnamed),
        ]
    }

    /// A registry that holds bytes, not lengths, so that a wrong offset shows.
    #[derive(Default)]
    struct Registry {
        session: Option<Vec<u8>>,
        blob: Option<Vec<u8>>,
        opened: u32,
    }

    impl Registry {
        fn range(&self) -> Option<Received> {
            match self.session.as_ref()?.len() {
                0 | 1 => Some(Received::OneOrNone),
                n => Some(Received::Bytes(n as u64)),
            }
        }

        /// Appends; as the wire does, with a check of the position.
        fn append(&mut self, from: u64, bytes: &[u8], fault: Fault) -> Event {
            let range = self.range();
            let Some(session) = &mut self.session else {
                return Event::Failed(Failure::Lost);
            };
            if session.len() as u64 != from {
                return Event::Failed(Failure::OutOfStep(range));
            }
            match fault {
                Fault::TooLarge if bytes.len() > 20 => Event::Failed(Failure::TooLarge),
                Fault::OutOfStep => Event::Failed(Failure::OutOfStep(None)),
                Fault::Cut(at) => {
                    let at = usize::try_from(at).unwrap().min(bytes.len());
                    session.extend_from_slice(&bytes[..at]);
                    Event::Failed(Failure::Doubtful)
                }
                Fault::LostAnswer => {
                    session.extend_from_slice(bytes);
                    Event::Failed(Failure::Doubtful)
                }
                _ => {
                    session.extend_from_slice(bytes);
                    Event::Accepted(self.range())
                }
            }
        }

        fn commit(&mut self, content: &[u8], from: u64, bytes: &[u8], fault: Fault) -> Event {
            match fault {
                Fault::BodyUnwanted if !bytes.is_empty() => {
                    return Event::Failed(Failure::BodyUnwanted);
                }
                Fault::IgnoredBody if !bytes.is_empty() => {
                    self.session = None;
                    return Event::Failed(Failure::Mismatch);
                }
                _ => {}
            }
            let appended = self.append(from, bytes, fault);
            let is_whole = matches!(
                (appended, fault),
                (Event::Accepted(_), _) | (Event::Failed(Failure::Doubtful), Fault::LostAnswer)
            );
            if !is_whole {
                return appended;
            }
            let stored = self.session.take().unwrap();
            if stored != content {
                return Event::Failed(Failure::Mismatch);
            }
            self.blob = Some(stored);
            match fault {
                Fault::LostAnswer => Event::Failed(Failure::Doubtful),
                Fault::Unnamed => Event::Stored { named: false },
                _ => Event::Stored { named: true },
            }
        }
    }

    struct Ran {
        registry: Registry,
        end: Action,
        actions: usize,
    }

    fn run(content: &[u8], plan: Plan, replayable: bool, faults: Vec<Fault>) -> Ran {
        let mut machine = Machine::new(plan);
        let mut registry = Registry::default();
        let mut faults = faults.into_iter();
        let len = content.len() as u64;
        let mut read = 0;
        let slice = |from: u64, to: u64| {
            &content[usize::try_from(from).unwrap()..usize::try_from(to).unwrap()]
        };
        for actions in 0..1_000 {
            let action = machine.next();
            let event = match action {
                Action::Read if replayable => Event::Available { to: len, ended: true },
                Action::Read => {
                    machine.forget(machine.confirmed());
                    read = len.min(read + machine.missing());
                    Event::Available { to: read, ended: read == len }
                }
                Action::Start => {
                    registry.session = Some(Vec::new());
                    registry.opened += 1;
                    Event::Opened { min_chunk: None }
                }
                Action::Append { from, to } => {
                    assert!(from < to && to <= machine.available());
                    let fault = faults.next().unwrap_or(Fault::None);
                    if matches!(fault, Fault::LostSession) {
                        registry.session = None;
                    }
                    registry.append(from, slice(from, to), fault)
                }
                Action::Commit { from } => {
                    let fault = faults.next().unwrap_or(Fault::None);
                    if matches!(fault, Fault::LostSession) {
                        registry.session = None;
                    }
                    registry.commit(content, from, slice(from, len), fault)
                }
                Action::Ask { .. } => match registry.range() {
                    Some(range) => Event::Status(Some(range)),
                    None => Event::Failed(Failure::Lost),
                },
                Action::Verify if registry.blob.is_some() => Event::Present,
                Action::Verify => Event::Absent,
                Action::Abandon => {
                    registry.session = None;
                    Event::Abandoned
                }
                Action::Finish | Action::Fail(_) => {
                    return Ran { registry, end: action, actions };
                }
            };
            machine.on(event);
        }
        panic!("it goes on for ever");
    }

    fn plan() -> impl Strategy<Value = Plan> {
        (1u64..40, any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
            |(chunk, one_body, digest_known, rides)| Plan {
                chunk,
                one_body,
                digest_known,
                rides,
                eager: false,
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]
        #[test]
        fn the_stored_blob_is_the_source_or_an_error_is_told(
            content in proptest::collection::vec(any::<u8>(), 0..200),
            plan in plan(),
            replayable in any::<bool>(),
            faults in proptest::collection::vec(fault(), 0..12),
        ) {
            let plan = Plan { one_body: plan.one_body && replayable, ..plan };
            let ran = run(&content, plan, replayable, faults);
            match ran.end {
                Action::Finish => prop_assert_eq!(ran.registry.blob, Some(content)),
                Action::Fail(_) => {}
                other => prop_assert!(false, "ended with {:?}", other),
            }
        }

        #[test]
        fn up_to_three_faults_that_lose_no_session_are_always_mended(
            content in proptest::collection::vec(any::<u8>(), 0..200),
            plan in plan(),
            replayable in any::<bool>(),
            faults in proptest::collection::vec(prop_oneof![
                (0u64..60).prop_map(Fault::Cut), Just(Fault::LostAnswer), Just(Fault::Unnamed),
                Just(Fault::None),
            ], 0..3),
        ) {
            let plan = Plan { one_body: plan.one_body && replayable, ..plan };
            let ran = run(&content, plan, replayable, faults);
            prop_assert_eq!(ran.end, Action::Finish);
            prop_assert_eq!(ran.registry.blob, Some(content));
            prop_assert_eq!(ran.registry.opened, 1);
        }
    }

    #[test]
    fn without_faults_nothing_is_superfluous() {
        let plan = |one_body, digest_known| Plan {
            chunk: 50,
            one_body,
            digest_known,
            rides: true,
            eager: false,
        };
        // Read and finish are actions too.
        for (len, plan, replayable, requests) in [
            (0, plan(false, false), false, 2),
            (50, plan(false, false), false, 2),
            (51, plan(false, false), false, 3),
            (150, plan(false, false), false, 4),
            (150, plan(true, false), true, 3),
            (150, plan(true, true), true, 2),
        ] {
            let ran = run(&vec![1; len], plan, replayable, Vec::new());
            let reads = if replayable || len == 0 { 1 } else { len.div_ceil(50) };
            assert_eq!(ran.actions - reads, requests, "{len} {plan:?}");
        }
    }
}
