//! Counts at their very bounds, and what makes no difference there.

use super::*;

#[test]
fn a_chunk_is_waited_for_until_it_is_full() {
    let mut machine = Machine::new(CHUNKS, Limit::default());
    for (to, missing, next) in [
        (0, 100, Action::Read),
        (30, 70, Action::Read),
        (99, 1, Action::Read),
        (100, 0, Action::Start),
        (150, 0, Action::Start),
    ] {
        machine.extend(to, false);
        assert_eq!((machine.missing(), machine.step()), (missing, next), "{to}");
    }
    machine.on(Event::Opened { min_chunk: None });
    assert_eq!(machine.next(), append(0, 100));
    machine.on(Event::Accepted(NONE));
    assert_eq!((machine.missing(), machine.next()), (50, Action::Read));
}

#[test]
fn settled_is_what_needs_nothing_more() {
    let mut machine = Machine::new(CHUNKS, Limit::default());
    assert!(machine.is_settled());
    machine.ask_now();
    assert!(!machine.is_settled());
    machine.next();
    machine.on(bytes(0));
    assert!(machine.is_settled());
}

#[test]
fn a_place_that_brings_nothing_is_taken_three_times() {
    let mut machine = open(CHUNKS, 300);
    machine.next();
    for _ in 0..3 {
        machine.on(Event::Failed(Failure::OutOfStep(Some(Received::OneOrNone))));
        assert_eq!(machine.next(), Action::Append { from: 0, to: 100, is_first: false });
    }
    machine.on(Event::Failed(Failure::OutOfStep(Some(Received::OneOrNone))));
    assert_eq!(machine.next(), Action::Abandon);
}

/// All was sent and confirmed before the end was known.
fn all_sent(chunk: u64) -> Machine {
    let plan = Plan { chunk, sending: Sending::Given, closing: Closing::LastChunk };
    let mut machine = Machine::new(plan, Limit::default());
    machine.extend(100, false);
    machine.on(Event::Opened { min_chunk: None });
    assert_eq!(machine.next(), append(0, 100));
    machine.on(Event::Accepted(NONE));
    machine.extend(100, true);
    assert_eq!(machine.next(), Action::Commit { from: 100, is_first: false });
    machine
}

#[test]
fn an_empty_closing_request_is_not_sent_again_without_its_body() {
    let mut machine = all_sent(100);
    machine.on(Event::Failed(Failure::BodyUnwanted));
    assert_eq!(machine.next(), Action::Fail(Cause::Refused));
    assert_eq!(machine.unwanted(), None);
}

#[test]
fn chunks_stay_as_they_are_when_none_of_them_broke() {
    let chunk = MIN_CHUNK * 4;
    let mut machine = all_sent(chunk);
    machine.on(doubtful());
    let next = told(&mut machine, &[Event::Absent]);
    assert_eq!(next, Action::Ask { recovery: 1, zero: 1 });
    machine.on(bytes(100));
    assert_eq!((machine.chunk(), machine.confirmed()), (chunk, 100));
}

#[test]
fn only_the_first_request_of_a_session_may_have_lost_it_by_its_body() {
    for (len, unwanted) in [(100, Some(Closing::Nothing)), (150, None)] {
        let mut machine = open(CHUNKS, len);
        if len > 100 {
            machine.next();
            machine.on(Event::Accepted(NONE));
        }
        let next = told(&mut machine, &[Event::Failed(Failure::Lost)]);
        assert!(matches!(next, Action::Verify(Doubt::Commit { failure: Failure::Lost, .. })));
        assert_eq!(machine.unwanted(), unwanted, "{len}");
    }
}

#[test]
fn chunks_shrink_to_the_least_that_the_registry_takes() {
    let least = MIN_CHUNK * 2;
    for (min_chunk, next) in [
        (least, Action::Append { from: 0, to: least, is_first: false }),
        (least + 1, Action::Fail(Cause::Refused)),
    ] {
        let mut machine = Machine::new(Plan { chunk: least * 2, ..CHUNKS }, Limit::default());
        machine.extend(least * 4, true);
        machine.on(Event::Opened { min_chunk: Some(min_chunk) });
        assert_eq!(machine.next(), append(0, least * 2));
        machine.on(Event::Failed(Failure::TooLarge));
        assert_eq!(machine.next(), next);
    }
}

#[test]
fn the_lengths_are_those_that_are_told() {
    assert_eq!((MIN_CHUNK, CHUNK), (16_384, 8_388_608));
}

/// One body of content that passes once broke off, and its last bytes are here still.
#[test]
fn what_is_not_here_any_more_is_not_sent() {
    let plan = Plan { chunk: 100, sending: Sending::Whole, closing: Closing::LastChunk };
    for (received, next) in [
        (250, Action::Append { from: 250, to: 300, is_first: false }),
        (200, Action::Append { from: 200, to: 300, is_first: false }),
        (199, Action::Fail(Cause::Passed)),
        (0, Action::Fail(Cause::Passed)),
    ] {
        let mut machine = Machine::new(plan, Limit::default());
        machine.extend(1_000, true);
        machine.on(Event::Opened { min_chunk: None });
        assert_eq!(machine.next(), append(0, 1_000));
        machine.take_back((200, 300), false);
        machine.on(Event::Failed(Failure::Doubtful));
        assert!(matches!(machine.next(), Action::Ask { .. }));
        machine.on(bytes(received));
        let step = match machine.next() {
            // Less than a chunk is here: more is read first.
            Action::Read => {
                machine.on(Event::Available { to: 300, ended: true });
                machine.next()
            }
            step => step,
        };
        let is_last = matches!(next, Action::Append { from: 250, .. });
        let next = if is_last { Action::Commit { from: 250, is_first: false } } else { next };
        assert_eq!(step, next, "{received}");
    }
}
