//! The flight in many orders of its callers' steps, each of which shuttle can repeat.

use std::sync::atomic::AtomicU32;

use shuttle::future::{JoinHandle, block_on, spawn, yield_now};

use super::*;
use crate::clock::tests::Manual;

/// A slot, and a token service whose first answers fail.
#[derive(Clone)]
struct World {
    slot: Arc<Slot<u32>>,
    clock: Clock,
    fetches: Arc<AtomicU32>,
    running: Arc<AtomicU32>,
    failing: u32,
}

impl World {
    fn new(failing: u32) -> Self {
        let (clock, _) = Manual::clock();
        Self {
            slot: Arc::new(Slot::new(clock.clone())),
            clock,
            fetches: Arc::default(),
            running: Arc::default(),
            failing,
        }
    }

    fn fetches(&self) -> u32 {
        self.fetches.load(Ordering::Relaxed)
    }

    async fn fetch(&self) -> Result<Lease<u32>> {
        let number = self.fetches.fetch_add(1, Ordering::Relaxed) + 1;
        let _running = Running::enter(&self.running);
        yield_now().await;
        yield_now().await;
        match number <= self.failing {
            true => Err(Error::new(ErrorKind::Server, "down")),
            false => {
                let life = Duration::from_secs(3_600);
                Ok(Lease::new(number, self.clock.now(), life, 0.0))
            }
        }
    }

    /// A call with the four attempts that the retry loop outside makes.
    async fn call(&self) -> (u32, Arc<u32>) {
        for attempt in 1..=4 {
            match self.slot.get(|| self.fetch()).await {
                Ok((lease, _)) => return (attempt, lease.token),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Server),
            }
            yield_now().await;
        }
        panic!("out of attempts");
    }

    fn spawn_calls(&self, callers: usize) -> Vec<JoinHandle<(u32, Arc<u32>)>> {
        let call = || {
            let world = self.clone();
            spawn(async move { world.call().await })
        };
        (0..callers).map(|_| call()).collect()
    }
}

/// Marks a running fetch, also one that is given up.
struct Running(Arc<AtomicU32>);

impl Running {
    fn enter(count: &Arc<AtomicU32>) -> Self {
        assert_eq!(count.swap(1, Ordering::Relaxed), 0, "two fetches at once");
        Self(Arc::clone(count))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

#[test]
fn b1_in_any_order_one_failing_answer_costs_a_second_fetch_and_no_caller() {
    let check = || {
        let world = World::new(1);
        let calls = world.spawn_calls(5);
        block_on(async {
            for call in calls {
                let (attempts, token) = call.await.unwrap();
                assert!(attempts <= 2 && *token == 2);
            }
        });
        assert_eq!(world.fetches(), 2);
    };
    shuttle::check_random(check, 400);
    shuttle::check_pct(check, 400, 3);
}

#[test]
fn b1_in_any_order_a_caller_that_is_given_up_stops_nobody() {
    let check = || {
        let world = World::new(1);
        let given_up = world.spawn_calls(2);
        let calls = world.spawn_calls(3);
        block_on(async {
            yield_now().await;
            given_up.iter().for_each(JoinHandle::abort);
            for call in calls {
                call.await.unwrap();
            }
        });
        assert!(world.fetches() <= 4, "one for each that was given up, a failed and a good one");
    };
    shuttle::check_random(check, 400);
    shuttle::check_pct(check, 400, 3);
}

#[test]
fn b1_in_any_order_a_refused_token_is_replaced_once() {
    let check = || {
        let world = World::new(0);
        let calls: Vec<_> = (0..4)
            .map(|_| {
                let world = world.clone();
                spawn(async move {
                    let (_, token) = world.call().await;
                    yield_now().await;
                    // The registry takes no more what it gave first.
                    if *token == 1 {
                        world.slot.invalidate(&token);
                    }
                    let (_, token) = world.call().await;
                    assert_eq!(*token, 2);
                })
            })
            .collect();
        block_on(async {
            for call in calls {
                call.await.unwrap();
            }
        });
        assert_eq!(world.fetches(), 2);
        assert_eq!(world.slot.live().map(|lease| *lease.token), Some(2));
    };
    shuttle::check_random(check, 400);
    shuttle::check_pct(check, 400, 3);
}
