mod bounds;
mod processes;
mod refusals;

use proptest::prelude::*;

use super::*;
use crate::upload::plan::CHUNK;

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
    let mut machine = Machine::new(plan, Limit::default());
    let mut registry = Registry::default();
    let mut faults = faults.into_iter();
    let len = content.len() as u64;
    let mut read = 0;
    let slice =
        |from: u64, to: u64| &content[usize::try_from(from).unwrap()..usize::try_from(to).unwrap()];
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
            Action::Append { from, to, .. } => {
                assert!(from < to && to <= machine.available());
                let fault = faults.next().unwrap_or(Fault::None);
                if matches!(fault, Fault::LostSession) {
                    registry.session = None;
                }
                registry.append(from, slice(from, to), fault)
            }
            Action::Commit { from, .. } => {
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
            Action::Verify(_) if registry.blob.is_some() => Event::Present,
            Action::Verify(_) => Event::Absent,
            Action::Prove { .. } => panic!("nothing was resumed"),
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
    let sending = prop::sample::select(vec![Sending::Chunks, Sending::Whole]);
    (1u64..40, sending, closing()).prop_map(|(chunk, sending, closing)| Plan {
        chunk,
        sending,
        closing,
    })
}

fn closing() -> impl Strategy<Value = Closing> {
    prop::sample::select(vec![
        Closing::Nothing,
        Closing::ShortContent,
        Closing::LastChunk,
        Closing::Anything,
    ])
}

/// What passes once is never sent whole.
fn fitted(mut plan: Plan, replayable: bool) -> Plan {
    if !replayable {
        plan.cut();
    }
    plan
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
        let plan = fitted(plan, replayable);
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
        let plan = fitted(plan, replayable);
        let ran = run(&content, plan, replayable, faults);
        prop_assert_eq!(ran.end, Action::Finish);
        prop_assert_eq!(ran.registry.blob, Some(content));
        prop_assert_eq!(ran.registry.opened, 1);
    }
}

#[test]
fn without_faults_nothing_is_superfluous() {
    let plan = |sending, closing| Plan { chunk: 50, sending, closing };
    let chunks = plan(Sending::Chunks, Closing::LastChunk);
    // Read and finish are actions too.
    for (len, plan, replayable, requests) in [
        (0, chunks, false, 2),
        (50, chunks, false, 2),
        (51, chunks, false, 3),
        (150, chunks, false, 4),
        (150, plan(Sending::Chunks, Closing::Nothing), false, 5),
        (50, plan(Sending::Chunks, Closing::ShortContent), false, 2),
        (51, plan(Sending::Chunks, Closing::ShortContent), false, 4),
        (150, plan(Sending::Whole, Closing::LastChunk), true, 3),
        (150, plan(Sending::Whole, Closing::Anything), true, 2),
    ] {
        let ran = run(&vec![1; len], plan, replayable, Vec::new());
        let reads = if replayable || len == 0 { 1 } else { len.div_ceil(50) };
        assert_eq!(ran.actions - reads, requests, "{len} {plan:?}");
    }
}

/// A machine whose bytes are all there, in a session that is open.
fn open(plan: Plan, len: u64) -> Machine {
    let mut machine = Machine::new(plan, Limit::default());
    for event in [Event::Available { to: len, ended: true }, Event::Opened { min_chunk: None }] {
        machine.next();
        machine.on(event);
    }
    machine
}

const CHUNKS: Plan = Plan { chunk: 100, sending: Sending::Chunks, closing: Closing::LastChunk };

const GIVEN: Plan = Plan { chunk: u64::MAX, sending: Sending::Given, closing: Closing::Anything };

const NONE: Option<Received> = None;

fn append(from: u64, to: u64) -> Action {
    Action::Append { from, to, is_first: from == 0 }
}

/// The last of these answers leads to an action.
fn told(machine: &mut Machine, events: &[Event]) -> Action {
    for event in events {
        machine.next();
        machine.on(*event);
    }
    machine.next()
}

fn doubtful() -> Event {
    Event::Failed(Failure::Doubtful)
}

fn bytes(count: u64) -> Event {
    Event::Status(Some(Received::Bytes(count)))
}

#[test]
fn given_bytes_are_sent_at_once_unless_they_are_fewer_than_the_least() {
    let mut machine = Machine::new(GIVEN, Limit::default());
    assert_eq!(machine.next(), Action::Read);
    machine.extend(1, false);
    assert_eq!(told(&mut machine, &[]), Action::Start);
    machine.on(Event::Opened { min_chunk: Some(50) });
    assert_eq!(machine.next(), Action::Read);
    machine.extend(49, false);
    assert_eq!(machine.next(), Action::Read);
    machine.extend(50, false);
    assert_eq!(machine.next(), append(0, 50));
    machine.on(Event::Accepted(Some(Received::Bytes(50))));
    machine.extend(51, true);
    assert_eq!(machine.next(), Action::Commit { from: 50, is_first: false });
    // Less than before is no news.
    machine.extend(10, false);
    assert_eq!((machine.available(), machine.len()), (51, None));
}

#[test]
fn a6_a_mount_is_believed_when_the_blob_is_there() {
    for (seen, next) in [(Event::Present, Action::Finish), (Event::Absent, Action::Start)] {
        let mut machine = Machine::new(CHUNKS, Limit::default());
        let read = Event::Available { to: 5, ended: true };
        assert_eq!(told(&mut machine, &[read, Event::Mounted]), Action::Verify(Doubt::Mounted));
        machine.on(seen);
        assert_eq!(machine.next(), next);
    }
}

#[test]
fn a_chunk_confirmed_short_or_long_is_no_success() {
    for (received, to, is_believed) in [
        (Some(Received::Bytes(100)), 100, true),
        (Some(Received::Bytes(99)), 100, false),
        (Some(Received::Bytes(101)), 100, false),
        (Some(Received::OneOrNone), 100, false),
        (Some(Received::OneOrNone), 2, false),
        (Some(Received::OneOrNone), 1, true),
        (None, 100, true),
    ] {
        let mut machine = open(Plan { closing: Closing::Nothing, ..CHUNKS }, to);
        assert_eq!(machine.next(), append(0, to));
        machine.on(Event::Accepted(received));
        assert_eq!(machine.confirmed(), if is_believed { to } else { 0 }, "{received:?} {to}");
        let end = machine.next();
        let is_told = matches!(end, Action::Fail(Cause::Misreported { sent, .. }) if sent == to);
        assert_eq!(is_told, !is_believed, "{end:?}");
    }
    // Out of the blue.
    let mut machine = open(CHUNKS, 100);
    machine.on(Event::Accepted(NONE));
    machine.on(Event::Accepted(NONE));
    assert_eq!(machine.next(), Action::Fail(Cause::Refused));
}

#[test]
fn an_unnamed_success_is_looked_at_and_is_none_without_the_blob() {
    for (seen, end) in
        [(Event::Present, Action::Finish), (Event::Absent, Action::Fail(Cause::Unstored))]
    {
        let mut machine = open(CHUNKS, 100);
        let next = told(&mut machine, &[Event::Stored { named: false }, seen]);
        assert_eq!(next, end);
    }
    assert_eq!(told(&mut open(CHUNKS, 1), &[Event::Stored { named: true }]), Action::Finish);
}

#[test]
fn a_commit_out_of_step_goes_on_where_the_registry_says() {
    let mut machine = open(CHUNKS, 150);
    machine.next();
    machine.on(Event::Accepted(NONE));
    let out = Event::Failed(Failure::OutOfStep(Some(Received::Bytes(150))));
    let doubt = Doubt::Commit { failure: Failure::OutOfStep(Some(Received::Bytes(150))), zero: 1 };
    assert_eq!(told(&mut machine, &[out]), Action::Verify(doubt));
    machine.on(Event::Absent);
    assert_eq!(machine.next(), Action::Commit { from: 150, is_first: false });
    assert_eq!(machine.recoveries, 0);
    // Unknown to whom: asked.
    let mut machine = open(CHUNKS, 100);
    let next = told(&mut machine, &[Event::Failed(Failure::OutOfStep(None)), Event::Absent]);
    assert_eq!(next, Action::Ask { recovery: 1, zero: 0 });
}

#[test]
fn outcomes_of_nothing_that_was_asked_for_are_failures() {
    let mut machine = open(CHUNKS, 100);
    machine.next();
    machine.on(bytes(5));
    assert_eq!(machine.next(), Action::Fail(Cause::Refused));
    let mut machine = open(CHUNKS, 100);
    machine.next();
    machine.on(Event::Absent);
    assert_eq!(machine.next(), Action::Fail(Cause::Unstored));
}
