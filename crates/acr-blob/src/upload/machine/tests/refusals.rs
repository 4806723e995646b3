//! What a registry refuses, and how often it is asked again.

use super::*;

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
    assert_eq!((machine.recoveries, machine.retries()), (0, 2));
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
    assert_ne!(machine.limits().1, Limit::default());
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
    machine.next();
    machine.forget(1);
    machine.forget(0);
    machine.on(Event::Failed(Failure::Lost));
    assert_eq!(machine.next(), Action::Fail(Cause::Lost));
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
fn a_registry_that_cannot_be_asked_ends_only_what_is_in_doubt() {
    let given = Plan { sending: Sending::Given, ..CHUNKS };
    for mute in [Event::Failed(Failure::NoStatus), Event::Status(None)] {
        let mut machine = Machine::new(given, Limit::default());
        machine.extend(100, false);
        machine.next();
        machine.on(Event::Opened { min_chunk: None });
        assert_eq!(machine.next(), append(0, 100));
        let (sent, mut dropped) = (machine.clone(), machine.clone());
        machine.on(Event::Accepted(None));
        machine.ask_now();
        assert_eq!(told(&mut machine, &[mute]), Action::Read);
        assert_eq!(machine.confirmed(), 100);
        dropped.interrupted();
        assert_eq!(told(&mut dropped, &[mute]), Action::Abandon);
        let mut resumed = Machine::resumed(given, Limit::default(), 100, 100);
        assert_eq!(told(&mut resumed, &[mute]), Action::Abandon);
        // A doubt that was cleared up is none any more.
        for arrived in [100, 60, 0] {
            let mut machine = sent.clone();
            machine.on(doubtful());
            assert!(matches!(machine.next(), Action::Ask { recovery: 1, .. }));
            machine.on(bytes(arrived));
            if arrived < 100 {
                machine.next();
                machine.on(Event::Accepted(NONE));
            }
            machine.ask_now();
            machine.next();
            machine.on(mute);
            assert!(machine.is_settled() && machine.confirmed() == 100, "{arrived}");
        }
    }
}
