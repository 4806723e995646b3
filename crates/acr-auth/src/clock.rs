//! The two clocks of a machine, and the wait by one of them.

use std::time::{Duration, SystemTime};

use tokio::time::{Instant, sleep_until};

/// A point in time by both clocks.
///
/// Neither is right alone: the monotonic one stands still while the machine sleeps, and the
/// other one is set, forwards and backwards.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) monotonic: Instant,
    pub(crate) wall: SystemTime,
}

impl Moment {
    /// How long ago another one was, by the clock that says more.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        let monotonic = self.monotonic.saturating_duration_since(earlier.monotonic);
        monotonic.max(self.wall.duration_since(earlier.wall).unwrap_or_default())
    }
}

/// Where the time comes from: this machine, or a test.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clock(#[cfg(test)] Option<std::sync::Arc<tests::Manual>>);

impl Clock {
    pub(crate) fn now(&self) -> Moment {
        #[cfg(test)]
        if let Some(manual) = &self.0 {
            return manual.now();
        }
        Moment { monotonic: Instant::now(), wall: SystemTime::now() }
    }

    /// Returns so long after a moment, by the monotonic clock.
    pub(crate) async fn wait(&self, since: Moment, pause: Duration) {
        let now = self.now().monotonic;
        let Some(until) = since.monotonic.checked_add(pause).filter(|until| *until > now) else {
            return;
        };
        #[cfg(test)]
        if let Some(manual) = &self.0 {
            return manual.pass(until.saturating_duration_since(now)).await;
        }
        sleep_until(until).await;
    }

    /// What a future gives in so long a time, by the monotonic clock. A clock of a test sets no
    /// limit.
    pub(crate) async fn within<F>(&self, time: Duration, future: F) -> Option<F::Output>
    where
        F: Future<Output: Send> + Send,
    {
        #[cfg(test)]
        if self.0.is_some() {
            return Some(future.await);
        }
        tokio::time::timeout(time, future).await.ok()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// A clock that moves when it is told to, or when somebody waits.
    #[derive(Debug)]
    pub(crate) struct Manual(Mutex<Moment>);

    impl Manual {
        /// A clock, and the hand that moves it.
        pub(crate) fn clock() -> (Clock, Arc<Self>) {
            let manual = Arc::new(Self(Mutex::new(Clock::default().now())));
            (Clock(Some(Arc::clone(&manual))), manual)
        }

        pub(crate) fn now(&self) -> Moment {
            *self.0.lock().unwrap()
        }

        /// Time passes for both.
        pub(crate) fn advance(&self, time: Duration) {
            let mut now = self.0.lock().unwrap();
            now.monotonic += time;
            now.wall += time;
        }

        /// The machine sleeps, or somebody sets the clock forwards.
        pub(crate) fn suspend(&self, time: Duration) {
            self.0.lock().unwrap().wall += time;
        }

        /// Somebody sets the clock back.
        pub(crate) fn set_back(&self, time: Duration) {
            self.0.lock().unwrap().wall -= time;
        }

        /// Others run first, then the time has passed.
        pub(crate) async fn pass(&self, time: Duration) {
            let mut is_first = true;
            std::future::poll_fn(|cx| {
                if !std::mem::take(&mut is_first) {
                    return std::task::Poll::Ready(());
                }
                cx.waker().wake_by_ref();
                std::task::Poll::Pending
            })
            .await;
            self.advance(time);
        }
    }

    #[test]
    fn an_age_is_what_either_clock_says_and_never_negative() {
        let (clock, hand) = Manual::clock();
        let start = clock.now();
        hand.advance(Duration::from_secs(10));
        assert_eq!(clock.now().since(start).as_secs(), 10);
        hand.suspend(Duration::from_secs(100));
        assert_eq!(clock.now().since(start).as_secs(), 110);
        hand.set_back(Duration::from_secs(1_000));
        assert_eq!(clock.now().since(start).as_secs(), 10);
        assert_eq!(start.since(clock.now()).as_secs(), 890);
    }
}
