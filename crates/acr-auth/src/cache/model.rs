//! The slot against a model of it: any sequence of calls, failures, cancellations,
//! refusals and jumps of either clock.

use std::{
    sync::atomic::AtomicU32,
    time::{Duration, SystemTime},
};

use acr_core::{Error, ErrorKind};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::{FutureExt as _, future::join_all};
use proptest::prelude::*;

use tokio::time::Instant;

use super::*;
use crate::jwt;

#[derive(Clone, Copy, Debug)]
enum Op {
    /// Time passes, for both clocks.
    Wait(u64),
    /// The wall clock is set, perhaps to before 1970.
    Jump(Wall),
    /// So many callers at once; the token service does this; the leader gives up.
    Get { callers: usize, service: Service, leader_gives_up: bool },
    /// A 401 for a token handed out so many fetches ago.
    Refuse { age: u32 },
}

#[derive(Clone, Copy, Debug)]
enum Wall {
    Right,
    DayAhead,
    DayBehind,
    Before1970,
}

#[derive(Clone, Copy, Debug)]
enum Service {
    Grants(u64),
    Fails,
    SourceFails,
    Denies,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let wall = prop_oneof![
        Just(Wall::Right),
        Just(Wall::DayAhead),
        Just(Wall::DayBehind),
        Just(Wall::Before1970)
    ];
    let service = prop_oneof![
        4 => prop_oneof![Just(30), Just(60), Just(600), Just(4_500)].prop_map(Service::Grants),
        1 => Just(Service::Fails),
        1 => Just(Service::SourceFails),
        1 => Just(Service::Denies),
    ];
    let op = prop_oneof![
        3 => prop_oneof![0..5_u64, 20..400_u64, 3_000..5_000_u64].prop_map(Op::Wait),
        1 => wall.prop_map(Op::Jump),
        6 => (1..5_usize, service, any::<bool>()).prop_map(|(callers, service, gives_up)| {
            Op::Get { callers, service, leader_gives_up: gives_up }
        }),
        2 => (0..3_u32).prop_map(|age| Op::Refuse { age }),
    ];
    proptest::collection::vec(op, 1..40)
}

/// A token with the times of a server whose clock is right.
fn token(server_now: u64, life: u64) -> String {
    let claims = format!(r#"{{"iat":{server_now},"exp":{}}}"#, server_now + life);
    format!("e30.{}.s", URL_SAFE_NO_PAD.encode(claims))
}

fn wall_clock(wall: Wall, server_now: u64) -> SystemTime {
    let right = SystemTime::UNIX_EPOCH + Duration::from_secs(server_now);
    match wall {
        Wall::Right => right,
        Wall::DayAhead => right + Duration::from_secs(86_400),
        Wall::DayBehind => right - Duration::from_secs(86_400),
        Wall::Before1970 => SystemTime::UNIX_EPOCH - Duration::from_secs(1_000),
    }
}

/// What the slot should hold: the number of the fetch, and its times in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Held {
    number: u32,
    refresh_at: u64,
    expires_at: u64,
}

#[derive(Default)]
struct Model {
    held: Option<Held>,
    failed_at: Option<u64>,
    fetches: u32,
}

#[derive(Debug, PartialEq)]
enum Answer {
    Token { number: u32, is_new: bool },
    Failed(ErrorKind),
}

const FETCH: u64 = 1_000;

impl Model {
    /// What all callers but one that gave up should get, in order.
    fn get(&mut self, now: u64, callers: usize, service: Service, gives_up: bool) -> Vec<Answer> {
        let held = self.held.filter(|held| now < held.expires_at);
        let old = |held: Held| Answer::Token { number: held.number, is_new: false };
        let answering = callers - usize::from(gives_up);
        match held {
            Some(held) if now < held.refresh_at => (0..answering).map(|_| old(held)).collect(),
            Some(held) => {
                // The first leads, the others go on with the old one.
                self.fetches += 1;
                let mut answers: Vec<_> = (1..callers).map(|_| old(held)).collect();
                if !gives_up {
                    answers.insert(0, self.end(now + FETCH, Some(held), service).0);
                }
                answers
            }
            None => {
                let pause = self.failed_at.map_or(0, |at| (at + 100).saturating_sub(now));
                if gives_up && callers == 1 {
                    // It may not even get as far as the fetch.
                    self.fetches += u32::from(pause == 0);
                    return Vec::new();
                }
                let gone = u32::from(gives_up && pause == 0);
                self.fetches += 1 + gone;
                let (first, shared) = self.end(now + pause + FETCH, None, service);
                let rest = (1..answering).map(|_| match &shared {
                    Some(kind) => Answer::Failed(*kind),
                    None => old(self.held.unwrap()),
                });
                std::iter::once(first).chain(rest.collect::<Vec<_>>()).collect()
            }
        }
    }

    fn end(
        &mut self,
        now: u64,
        held: Option<Held>,
        service: Service,
    ) -> (Answer, Option<ErrorKind>) {
        match (service, held.filter(|held| now < held.expires_at)) {
            (Service::Grants(life), _) => {
                let life = life * 1_000;
                let margin = (life / 5).clamp(60_000, 300_000).min(life / 2);
                let number = self.fetches;
                let (refresh_at, expires_at) = (now + life - margin, now + life);
                self.held = Some(Held { number, refresh_at, expires_at });
                self.failed_at = None;
                (Answer::Token { number, is_new: true }, None)
            }
            (Service::Fails | Service::SourceFails, Some(held)) => {
                self.held = Some(Held { refresh_at: now + 30_000, ..held });
                (Answer::Token { number: held.number, is_new: false }, None)
            }
            (service, _) => {
                self.held = None;
                self.failed_at = Some(now);
                let kind = service.kind();
                (Answer::Failed(kind), Some(kind))
            }
        }
    }
}

impl Service {
    fn kind(self) -> ErrorKind {
        match self {
            Self::Denies => ErrorKind::Unauthenticated,
            Self::SourceFails => ErrorKind::Credential,
            _ => ErrorKind::Server,
        }
    }
}

fn millis(time: Duration) -> u64 {
    time.as_millis().try_into().unwrap()
}

async fn run(ops: Vec<Op>) {
    let (slot, start) = (Slot::<u32>::default(), Instant::now());
    let (fetches, running) = (AtomicU32::new(0), AtomicU32::new(0));
    let mut model = Model::default();
    let mut handed_out: Vec<Arc<u32>> = Vec::new();
    let mut wall = Wall::Right;
    for op in ops {
        let now = millis(start.elapsed());
        match op {
            Op::Wait(seconds) => tokio::time::advance(Duration::from_secs(seconds)).await,
            Op::Jump(to) => wall = to,
            Op::Refuse { age } => {
                let newest = handed_out.len().checked_sub(1 + age as usize);
                if let Some(token) = newest.and_then(|at| handed_out.get(at)) {
                    slot.invalidate(token);
                    model.held = model.held.filter(|held| held.number != **token);
                }
            }
            Op::Get { callers, service, leader_gives_up } => {
                let (fetches, running) = (&fetches, &running);
                let server_now = 1_700_000_000 + start.elapsed().as_secs();
                let get = || {
                    slot.get(move || async move {
                        let number = fetches.fetch_add(1, Ordering::Relaxed) + 1;
                        let _running = Running::enter(running);
                        tokio::time::sleep(Duration::from_millis(FETCH)).await;
                        match service {
                            Service::Grants(life) => {
                                let clock = wall_clock(wall, server_now);
                                let facts = jwt::read(&token(server_now, life), clock);
                                let now = Clock::default().now();
                                Ok(Lease::new(number, now, facts.lifetime.unwrap(), 0.0))
                            }
                            _ => Err(Error::new(service.kind(), "as told")),
                        }
                    })
                };
                let expected = model.get(now, callers, service, leader_gives_up);
                let calls: Vec<_> = (0..callers).map(|_| Box::pin(get())).collect();
                let answers = if leader_gives_up {
                    without_the_first(calls).await
                } else {
                    join_all(calls).await
                };
                check(answers, &expected, &mut handed_out);
                assert_eq!(fetches.load(Ordering::Relaxed), model.fetches);
                let held = slot.live().map(|lease| *lease.token);
                let now = millis(start.elapsed());
                let modelled = model.held.filter(|held| now < held.expires_at);
                assert_eq!(held, modelled.map(|held| held.number));
            }
        }
    }
}

/// The answers of all but the first call, which leads and is dropped once all have entered.
async fn without_the_first<F: Future + Unpin>(mut calls: Vec<F>) -> Vec<F::Output> {
    let polled: Vec<_> = calls.iter_mut().map(|call| call.now_or_never()).collect();
    let mut answers = Vec::new();
    for (call, polled) in calls.into_iter().zip(polled).skip(1) {
        answers.push(match polled {
            Some(answer) => answer,
            None => call.await,
        });
    }
    answers
}

fn check(
    answers: Vec<Result<(Lease<u32>, bool)>>,
    expected: &[Answer],
    handed_out: &mut Vec<Arc<u32>>,
) {
    let answers: Vec<_> = answers
        .into_iter()
        .map(|answer| match answer {
            Ok((lease, is_new)) => {
                let number = *lease.token;
                if is_new {
                    handed_out.push(lease.token);
                }
                Answer::Token { number, is_new }
            }
            Err(error) => Answer::Failed(error.kind()),
        })
        .collect();
    assert_eq!(answers, expected);
}

/// Marks a running fetch, also one that is given up.
struct Running<'a>(&'a AtomicU32);

impl<'a> Running<'a> {
    fn enter(count: &'a AtomicU32) -> Self {
        assert_eq!(count.swap(1, Ordering::Relaxed), 0, "two fetches at once");
        Self(count)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn the_slot_behaves_as_its_model(ops in ops()) {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap()
            .block_on(run(ops));
    }
}
