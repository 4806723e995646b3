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
fn a1_a_resumed_upload_asks_then_proves_then_sends() {
    let mut machine = Machine::unproven(CHUNKS, Limit::default(), 200, 500);
    assert_eq!(machine.next(), Action::Ask { recovery: 0, zero: 1 });
    machine.on(bytes(300));
    assert_eq!(machine.next(), Action::Prove { from: 300 });
    machine.on(Event::Proven { to: 500, ended: true });
    assert_eq!(machine.next(), Action::Append { from: 300, to: 400, is_first: false });
    assert_eq!((machine.confirmed(), machine.len(), machine.retries()), (300, Some(500), 0));
    // It is proven once.
    machine.on(Event::Accepted(NONE));
    assert_eq!(machine.next(), Action::Commit { from: 400, is_first: false });
}

#[test]
fn a1_other_content_begins_anew_or_is_an_error() {
    let mut machine = Machine::unproven(CHUNKS, Limit::default(), 200, 500);
    assert_eq!(told(&mut machine, &[bytes(200), Event::Disproven]), Action::Abandon);
    machine.on(Event::Abandoned);
    assert_eq!(machine.confirmed(), 0);
    let read = Event::Available { to: 150, ended: true };
    assert_eq!(told(&mut machine, &[read]), Action::Start);
    machine.on(Event::Opened { min_chunk: None });
    assert_eq!(machine.next(), append(0, 100));

    let mut machine = Machine::unproven(CHUNKS, Limit::default(), 200, 500);
    machine.next();
    machine.on(bytes(200));
    machine.forget(1);
    assert_eq!(told(&mut machine, &[Event::Disproven]), Action::Fail(Cause::Changed));
}

#[test]
fn a1_a_mismatch_begins_anew_only_after_what_another_process_sent() {
    for (is_resumed, expected) in [(true, Action::Abandon), (false, Action::Fail(Cause::Refused))] {
        let mut machine = if is_resumed {
            let mut machine = Machine::resumed(CHUNKS, Limit::default(), 200, 200);
            machine.extend(200, true);
            machine.next();
            machine.on(bytes(200));
            machine
        } else {
            let mut machine = open(Plan { closing: Closing::Nothing, ..CHUNKS }, 100);
            machine.next();
            machine.on(Event::Accepted(NONE));
            machine
        };
        assert!(matches!(machine.next(), Action::Commit { .. }));
        machine.on(Event::Failed(Failure::Mismatch));
        assert_eq!(machine.next(), expected);
    }
}

#[test]
fn what_a_resumed_session_may_have_lies_between_the_checkpoint_and_what_was_sent() {
    for (received, is_taken) in [(199, false), (200, true), (500, true), (501, false)] {
        let mut machine = Machine::resumed(CHUNKS, Limit::default(), 200, 500);
        machine.extend(500, true);
        let next = told(&mut machine, &[bytes(received)]);
        assert_eq!(next != Action::Abandon, is_taken, "{received}");
        assert_eq!(machine.confirmed(), if is_taken { received } else { 200 });
    }
    let mut machine = Machine::resumed(CHUNKS, Limit::default(), 0, 500);
    assert_eq!(machine.next(), Action::Ask { recovery: 0, zero: 0 });
    machine.on(Event::Status(NONE));
    assert_eq!(machine.next(), Action::Abandon);
}

#[test]
fn a3_who_is_dropped_pays_nothing_for_it() {
    let mut machine = Machine::new(GIVEN, Limit::default());
    machine.extend(10, false);
    assert_eq!(told(&mut machine, &[]), Action::Start);
    machine.on(Event::Opened { min_chunk: None });
    for _ in 0..20 {
        assert!(matches!(machine.next(), Action::Append { from: 0, to: 10, .. }));
        machine.interrupted();
        assert_eq!(machine.next(), Action::Ask { recovery: 0, zero: 0 });
        machine.interrupted();
        assert_eq!(machine.next(), Action::Ask { recovery: 0, zero: 0 });
        machine.on(Event::Status(Some(Received::OneOrNone)));
    }
    assert_eq!((machine.retries(), machine.chunk()), (0, u64::MAX));
}

#[test]
fn what_was_interrupted_is_done_again_or_looked_at() {
    let mut machine = open(CHUNKS, 100);
    assert!(matches!(machine.next(), Action::Commit { .. }));
    machine.interrupted();
    assert_eq!(
        machine.next(),
        Action::Verify(Doubt::Commit { failure: Failure::Doubtful, zero: 0 })
    );
    machine.interrupted();
    assert_eq!(
        machine.next(),
        Action::Verify(Doubt::Commit { failure: Failure::Doubtful, zero: 0 })
    );
    machine.on(Event::Absent);
    assert_eq!(told(&mut machine, &[Event::Failed(Failure::Lost)]), Action::Verify(Doubt::Restart));
    machine.on(Event::Absent);
    assert_eq!(machine.next(), Action::Abandon);
    machine.interrupted();
    assert_eq!(machine.next(), Action::Abandon);
    machine.on(Event::Abandoned);
    assert_eq!(machine.next(), Action::Start);
    machine.interrupted();
    assert_eq!(machine.next(), Action::Start);

    let mut machine = Machine::unproven(CHUNKS, Limit::default(), 0, 100);
    assert_eq!(
        told(&mut machine, &[Event::Status(Some(Received::OneOrNone))]),
        Action::Prove { from: 0 }
    );
    machine.interrupted();
    assert_eq!(machine.next(), Action::Prove { from: 0 });
    // An outcome that was told is not done again.
    machine.on(Event::Proven { to: 100, ended: true });
    machine.interrupted();
    assert_eq!(machine.next(), Action::Commit { from: 0, is_first: false });
    // What is queued goes first.
    machine.on(Event::Stored { named: false });
    machine.next();
    machine.ask_now();
    machine.interrupted();
    assert_eq!(machine.next(), Action::Ask { recovery: 0, zero: 0 });
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
fn b5_no_chunk_is_shorter_than_the_least_once_it_is_known() {
    let plan = Plan { chunk: 1 << 20, ..CHUNKS };
    let least = 900_000;
    let mut machine = Machine::new(plan, Limit::default());
    machine.next();
    machine.on(Event::Available { to: 8 << 20, ended: true });
    machine.next();
    machine.on(Event::Opened { min_chunk: Some(least) });
    assert_eq!(machine.next(), append(0, 1 << 20));
    // A body that broke, and of which nothing arrived.
    machine.on(doubtful());
    assert_eq!(machine.next(), Action::Ask { recovery: 1, zero: 0 });
    machine.on(Event::Status(Some(Received::OneOrNone)));
    assert_eq!(machine.next(), Action::Append { from: 0, to: least, is_first: false });
    // A new session of a registry that says it no more.
    machine.on(Event::Failed(Failure::Lost));
    assert_eq!(machine.next(), Action::Abandon);
    machine.on(Event::Abandoned);
    assert_eq!(told(&mut machine, &[Event::Opened { min_chunk: None }]), append(0, least));
    // And what is too large cannot be cut any more.
    machine.on(Event::Failed(Failure::TooLarge));
    assert_eq!(machine.next(), Action::Fail(Cause::Refused));
}

#[test]
fn b5_a_first_chunk_out_of_step_leaves_nothing_and_a_later_one_may_leave_a_byte() {
    let out = Event::Failed(Failure::OutOfStep(Some(Received::OneOrNone)));
    let status = Event::Status(Some(Received::OneOrNone));
    let again = Action::Append { from: 0, to: 100, is_first: false };
    let mut machine = open(CHUNKS, 300);
    assert_eq!(machine.next(), append(0, 100));
    for _ in 0..2 {
        machine.on(out);
        assert_eq!(machine.next(), again);
    }
    // The same where the registry has to be asked.
    let mut machine = open(CHUNKS, 300);
    machine.next();
    machine.on(Event::Failed(Failure::OutOfStep(None)));
    assert_eq!(machine.next(), Action::Ask { recovery: 1, zero: 0 });
    machine.on(status);
    assert_eq!(machine.next(), again);
    // A body that broke, or whose outcome nobody saw, may have left a byte.
    for is_interrupted in [false, true] {
        machine = open(CHUNKS, 300);
        machine.next();
        if is_interrupted {
            machine.interrupted();
        } else {
            machine.on(doubtful());
        }
        assert!(matches!(machine.next(), Action::Ask { zero: 0, .. }));
        machine.on(status);
        machine.next();
        let mut asked = machine.clone();
        machine.on(out);
        assert_eq!(machine.next(), Action::Append { from: 1, to: 101, is_first: false });
        asked.on(Event::Failed(Failure::OutOfStep(None)));
        assert!(matches!(asked.next(), Action::Ask { zero: 1, .. }));
        // But not in another session.
        asked.on(Event::Failed(Failure::Lost));
        asked.next();
        asked.on(Event::Abandoned);
        assert_eq!(told(&mut asked, &[Event::Opened { min_chunk: None }, out]), again);
    }
}

#[test]
fn b5_a_body_on_the_closing_request_is_left_out_where_it_was_refused() {
    for failure in [Failure::BodyUnwanted, Failure::Lost, Failure::Mismatch] {
        let mut machine = open(CHUNKS, 100);
        assert_eq!(machine.next(), Action::Commit { from: 0, is_first: true });
        machine.on(Event::Failed(failure));
        for _ in 0..4 {
            let event = match machine.next() {
                Action::Ask { .. } => Event::Status(Some(Received::OneOrNone)),
                Action::Verify(_) => Event::Absent,
                Action::Abandon => Event::Abandoned,
                Action::Start => Event::Opened { min_chunk: None },
                _ => break,
            };
            machine.on(event);
        }
        assert!(matches!(machine.pending, Action::Append { from: 0, to: 100, .. }), "{failure:?}");
        machine.on(Event::Accepted(NONE));
        assert_eq!(machine.next(), Action::Commit { from: 100, is_first: false });
        assert_eq!(machine.unwanted(), Some(Closing::Nothing));
        machine.on(Event::Failed(Failure::BodyUnwanted));
        assert_eq!(machine.next(), Action::Fail(Cause::Refused));
    }
    let mut machine = open(CHUNKS, 150);
    machine.next();
    machine.on(Event::Accepted(NONE));
    assert_eq!(
        told(&mut machine, &[Event::Failed(Failure::BodyUnwanted)]),
        Action::Ask { recovery: 1, zero: 1 }
    );
    machine.on(bytes(100));
    assert_eq!(machine.next(), Action::Append { from: 100, to: 150, is_first: false });
    assert_eq!(machine.unwanted(), Some(Closing::ShortContent));
}

#[test]
fn b5_before_all_is_sent_again_a_doubtful_commit_is_looked_for_once_more() {
    for lost in [Event::Failed(Failure::Lost), Event::Failed(Failure::Refused)] {
        let mut machine = open(Plan { closing: Closing::Nothing, ..CHUNKS }, 100);
        machine.next();
        machine.on(Event::Accepted(NONE));
        let looked = told(&mut machine, &[doubtful()]);
        assert_eq!(looked, Action::Verify(Doubt::Commit { failure: Failure::Doubtful, zero: 1 }));
        machine.on(Event::Absent);
        assert_eq!(told(&mut machine, &[lost]), Action::Verify(Doubt::Restart));
        let mut again = machine.clone();
        again.on(Event::Absent);
        assert_eq!(again.next(), Action::Abandon);
        again.on(Event::Abandoned);
        assert_eq!(again.next(), Action::Start);
        machine.on(Event::Present);
        assert_eq!(machine.next(), Action::Finish);
    }
    // Without a commit there is nothing to look for.
    let mut machine = open(CHUNKS, 300);
    machine.next();
    machine.on(doubtful());
    assert_eq!(
        told(&mut machine, &[Event::Failed(Failure::Refused)]),
        Action::Fail(Cause::Refused)
    );
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
    assert_eq!(machine.retries(), 0);
    // Unknown to whom: asked.
    let mut machine = open(CHUNKS, 100);
    let next = told(&mut machine, &[Event::Failed(Failure::OutOfStep(None)), Event::Absent]);
    assert_eq!(next, Action::Ask { recovery: 1, zero: 0 });
}

#[test]
fn without_progress_it_is_asked_three_times_and_sent_anew_twice() {
    let mut machine = open(CHUNKS, 300);
    for recovery in 1..=3 {
        assert!(matches!(machine.next(), Action::Append { from: 0, .. }));
        machine.on(doubtful());
        assert_eq!(machine.next(), Action::Ask { recovery, zero: 0 });
        assert_eq!(machine.retries(), recovery);
        machine.on(Event::Status(Some(Received::OneOrNone)));
    }
    assert_eq!(told(&mut machine, &[doubtful()]), Action::Fail(Cause::Refused));

    let mut machine = open(CHUNKS, 300);
    for restart in 1..=2 {
        assert_eq!(told(&mut machine, &[Event::Failed(Failure::Lost)]), Action::Abandon);
        assert_eq!(machine.retries(), restart);
        machine.on(Event::Abandoned);
        assert_eq!(machine.next(), Action::Start);
        machine.on(Event::Opened { min_chunk: None });
    }
    assert_eq!(told(&mut machine, &[Event::Failed(Failure::Lost)]), Action::Fail(Cause::Lost));
    // Bytes that are gone cannot be sent anew; an older place changes nothing.
    let mut machine = open(CHUNKS, 300);
    machine.forget(1);
    machine.forget(0);
    assert_eq!(told(&mut machine, &[Event::Failed(Failure::Lost)]), Action::Fail(Cause::Lost));
}

#[test]
fn bodies_that_break_get_smaller_and_progress_counts_anew() {
    let plan = Plan { chunk: CHUNK, sending: Sending::Whole, closing: Closing::Anything };
    let mut machine = open(plan, 64 << 20);
    assert_eq!(machine.next(), Action::Commit { from: 0, is_first: true });
    machine.on(doubtful());
    machine.next();
    machine.on(Event::Absent);
    machine.next();
    machine.on(Event::Status(Some(Received::OneOrNone)));
    // A quarter of a chunk, and no longer all in one.
    let quarter = CHUNK / 4;
    assert_eq!(machine.next(), Action::Append { from: 0, to: quarter, is_first: false });
    machine.on(doubtful());
    machine.next();
    machine.on(bytes(10));
    // Something arrived.
    assert_eq!(machine.retries(), 0);
    assert_eq!(machine.next(), Action::Append { from: 10, to: 10 + quarter, is_first: false });
    // What is already small is cut to the least that makes sense, and never below the plan's.
    let mut small = open(Plan { chunk: 20_000, ..CHUNKS }, 64 << 20);
    let status = Event::Status(Some(Received::OneOrNone));
    let next = told(&mut small, &[doubtful(), status]);
    assert_eq!(next, Action::Append { from: 0, to: MIN_CHUNK, is_first: false });
}

#[test]
fn what_is_too_large_is_halved_down_to_a_limit() {
    let mut machine =
        open(Plan { chunk: CHUNK, sending: Sending::Whole, closing: Closing::LastChunk }, 20 << 20);
    assert_eq!(machine.next(), append(0, 20 << 20));
    let too_large = Event::Failed(Failure::TooLarge);
    for chunk in [CHUNK, CHUNK / 2, CHUNK / 4] {
        machine.on(too_large);
        assert_eq!(machine.next(), Action::Append { from: 0, to: chunk, is_first: false });
        assert_eq!(machine.chunk(), chunk);
    }
    let mut machine = open(Plan { chunk: MIN_CHUNK * 2, ..CHUNKS }, 1 << 20);
    machine.next();
    machine.on(too_large);
    assert_eq!(machine.next(), Action::Append { from: 0, to: MIN_CHUNK, is_first: false });
    machine.on(too_large);
    assert_eq!(machine.next(), Action::Fail(Cause::Refused));
    // The last chunk counts with what is left of it.
    let mut machine = open(Plan { chunk: MIN_CHUNK * 4, ..CHUNKS }, MIN_CHUNK * 3);
    assert_eq!(
        told(&mut machine, &[too_large]),
        Action::Append { from: 0, to: MIN_CHUNK * 3 / 2, is_first: false }
    );
}

#[test]
fn b6_what_is_taken_after_a_refusal_counts() {
    let mut machine = open(Plan { chunk: CHUNK, ..CHUNKS }, 1 << 30);
    machine.next();
    machine.on(Event::Failed(Failure::TooLarge));
    let mut lengths = Vec::new();
    for _ in 0..6 {
        let Action::Append { from, to, .. } = machine.next() else { panic!("{machine:?}") };
        lengths.push((to - from) * 2 / CHUNK);
        machine.on(Event::Accepted(Some(Received::Bytes(to))));
    }
    assert_eq!(lengths, [1, 1, 1, 1, 2, 2]);
    assert_ne!(machine.limit(), Limit::default());
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
