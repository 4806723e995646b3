//! The right to fetch, which one caller has at a time, as long as somebody polls it.

use std::{
    future::Future,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::OwnedMutexGuard;

use crate::clock::{Clock, Moment};

/// Whoever is in the room may fetch; others wait at the door, and read what it leaves there.
///
/// A future that nobody polls any more and nobody drops (it lost a `select!` and is awaited
/// later) would keep the room for ever. Whoever fetches therefore shows signs of life, and where
/// there are none, those at the door go to another room.
#[derive(Debug)]
pub(super) struct Flight<N> {
    clock: Clock,
    room: Mutex<Arc<Room<N>>>,
}

#[derive(Debug)]
struct Room<N> {
    note: Arc<tokio::sync::Mutex<Option<N>>>,
    sign: Mutex<Moment>,
}

/// The right to fetch. A drop gives it to the next one.
#[derive(Debug)]
pub(super) struct Turn<N> {
    clock: Clock,
    room: Arc<Room<N>>,
    note: OwnedMutexGuard<Option<N>>,
}

impl<N: Send + Sync> Flight<N> {
    pub(super) fn new(clock: Clock) -> Self {
        let room = Mutex::new(Arc::new(Room::new(&clock)));
        Self { clock, room }
    }

    /// The right, if nobody has it, or nobody that shows a sign of life.
    pub(super) fn try_enter(&self) -> Option<Turn<N>> {
        let room = self.room();
        if let Ok(note) = Arc::clone(&room.note).try_lock_owned() {
            return Some(Turn::new(&self.clock, room, note));
        }
        if self.clock.now().since(room.sign()) <= STALL {
            return None;
        }
        self.leave(&room);
        let room = self.room();
        let note = Arc::clone(&room.note).try_lock_owned().ok()?;
        Some(Turn::new(&self.clock, room, note))
    }

    /// The right, once nobody else has it, or nobody that shows a sign of life.
    pub(super) async fn enter(&self) -> Turn<N> {
        loop {
            let room = self.room();
            let came = self.clock.now();
            let mut door = pin!(Arc::clone(&room.note).lock_owned());
            loop {
                if let Some(note) = self.clock.within(SIGN, door.as_mut()).await {
                    return Turn::new(&self.clock, room, note);
                }
                let now = self.clock.now();
                if now.since(came).min(now.since(room.sign())) > STALL {
                    break;
                }
            }
            tracing::debug!("a token call of this process makes no progress; making another one");
            self.leave(&room);
        }
    }

    /// Whether nobody went to another room for want of signs of life.
    pub(super) fn is_current(&self, turn: &Turn<N>) -> bool {
        Arc::ptr_eq(&self.room(), &turn.room)
    }

    fn room(&self) -> Arc<Room<N>> {
        Arc::clone(&self.room.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn leave(&self, room: &Arc<Room<N>>) {
        let mut current = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&current, room) {
            *current = Arc::new(Room::new(&self.clock));
        }
    }
}

impl<N> Room<N> {
    fn new(clock: &Clock) -> Self {
        Self { note: Arc::default(), sign: Mutex::new(clock.now()) }
    }

    fn sign(&self) -> Moment {
        *self.sign.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<N: Send + Sync> Turn<N> {
    fn new(clock: &Clock, room: Arc<Room<N>>, note: OwnedMutexGuard<Option<N>>) -> Self {
        let turn = Self { clock: clock.clone(), room, note };
        turn.show();
        turn
    }

    /// What the one before left.
    pub(super) fn note(&self) -> Option<&N> {
        self.note.as_ref()
    }

    pub(super) fn leave_note(&mut self, note: Option<N>) {
        *self.note = note;
    }

    /// Drives a future and shows signs of life.
    pub(super) async fn run<F>(&self, future: F) -> F::Output
    where
        F: Future<Output: Send> + Send,
    {
        let mut future = pin!(future);
        loop {
            if let Some(output) = self.clock.within(SIGN, future.as_mut()).await {
                return output;
            }
            self.show();
        }
    }

    fn show(&self) {
        *self.room.sign.lock().unwrap_or_else(PoisonError::into_inner) = self.clock.now();
    }
}

/// Between two signs of life.
const SIGN: Duration = Duration::from_secs(1);

/// Without one for so long, nobody polls it, or the whole process stood still.
const STALL: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use tokio::time::{Instant, sleep};

    use super::*;

    fn flight() -> Flight<u64> {
        Flight::new(Clock::default())
    }

    async fn fetch(flight: &Flight<u64>, seconds: u64) -> Duration {
        let start = Instant::now();
        let mut turn = flight.enter().await;
        let waited = start.elapsed();
        turn.run(sleep(Duration::from_secs(seconds))).await;
        turn.leave_note(Some(seconds));
        waited
    }

    #[tokio::test(start_paused = true)]
    async fn b3_whoever_is_polled_no_more_keeps_nobody_waiting() {
        let flight = flight();
        let mut idle = pin!(fetch(&flight, 7));
        assert!(idle.as_mut().now_or_never().is_none());
        let (first, second) = tokio::join!(fetch(&flight, 1), fetch(&flight, 1));
        assert!(first > STALL && first < STALL + 2 * SIGN, "{first:?}");
        assert!(second > first && second < first + 2 * SIGN, "{second:?}");
        // It goes on all the same, and what it leaves is read by nobody.
        assert_eq!(idle.await, Duration::ZERO);
        assert!(flight.try_enter().is_some_and(|turn| turn.note() == Some(&1)));
    }

    #[tokio::test(start_paused = true)]
    async fn b3_whoever_waits_and_is_polled_no_more_keeps_nobody_waiting_either() {
        let flight = flight();
        let turn = flight.enter().await;
        let mut next = pin!(fetch(&flight, 1));
        assert!(next.as_mut().now_or_never().is_none());
        // The room is handed to somebody who does not come.
        drop(turn);
        let waited = fetch(&flight, 1).await;
        assert!(waited < STALL + 2 * SIGN, "{waited:?}");
        next.await;
    }

    #[tokio::test(start_paused = true)]
    async fn b3_whoever_refreshes_early_and_is_polled_no_more_is_left_behind_too() {
        let flight = flight();
        let turn = flight.try_enter().unwrap();
        sleep(STALL).await;
        assert!(flight.try_enter().is_none());
        sleep(SIGN).await;
        let next = flight.try_enter().unwrap();
        assert!(flight.is_current(&next) && !flight.is_current(&turn));
        assert!(flight.try_enter().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn b3_a_long_fetch_is_waited_for() {
        let flight = flight();
        let (first, second) = tokio::join!(fetch(&flight, 300), fetch(&flight, 1));
        assert_eq!((first.as_secs(), second.as_secs()), (0, 300));
    }
}
