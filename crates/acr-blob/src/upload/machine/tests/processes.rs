//! Uploads that another process began, and futures that were dropped.

use super::*;

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
