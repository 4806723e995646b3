//! A host with a bucket, and many tasks that ask it as fast as the lane lets them: without a clock.

use proptest::prelude::*;

use super::{
    rate::{Gate, Rate, Refusal},
    window::Window,
};

/// What the host is like, and what it says.
#[derive(Clone, Debug)]
struct Host {
    per_minute: f64,
    size: f64,
    latency: f64,
    /// The part of the latency that is random.
    spread: f64,
    asks_to_wait: bool,
    /// What it says is left, where it says something else than the truth.
    tells: Tells,
}

#[derive(Clone, Copy, Debug)]
enum Tells {
    Nothing,
    Truth,
    Lie(f64),
}

struct Run {
    host: Host,
    left: f64,
    filled: f64,
    rate: Rate,
    window: Window,
    out: Vec<Call>,
    random: fastrand::Rng,
    events: u32,
    sent: u32,
    /// Since the third event: its time, taken, refused.
    begun: Option<f64>,
    taken: u32,
    refused: u32,
}

/// A call on the way, and its answer.
struct Call {
    arrives: f64,
    sent: f64,
    epoch: u32,
    is_taken: bool,
    told: Option<f64>,
    wish: Option<f64>,
}

impl Run {
    fn new(host: Host, seed: u64) -> Self {
        Self {
            left: host.size,
            filled: 0.0,
            host,
            rate: Rate::new(0.0),
            window: Window::new(0.0),
            out: Vec::new(),
            random: fastrand::Rng::with_seed(seed),
            events: 0,
            sent: 0,
            begun: None,
            taken: 0,
            refused: 0,
        }
    }

    /// Runs until two minutes' calls were counted, and not for ever.
    fn run(&mut self) -> f64 {
        let mut now = 0.0_f64;
        while f64::from(self.taken) < (2.0 * self.host.per_minute).max(3_000.0) && self.sent < MOST
        {
            let arrival = self.out.iter().map(|call| call.arrives).fold(f64::INFINITY, f64::min);
            let in_flight = u32::try_from(self.out.len()).unwrap();
            let gate = if in_flight >= self.window.size().min(TASKS) {
                Gate::Held
            } else {
                self.rate.gate(now)
            };
            match gate {
                Gate::Open => self.send(now),
                // Timers are exact to a millisecond, and late.
                Gate::At(time) if time + 0.001 < arrival => now = time + 0.001,
                Gate::At(_) | Gate::Held => {
                    assert!(arrival.is_finite(), "held without a call on the way: {:?}", self.rate);
                    now = arrival;
                    self.arrive(now);
                }
            }
        }
        now
    }

    fn send(&mut self, now: f64) {
        self.sent += 1;
        let epoch = self.rate.send(now, true);
        let Host { per_minute, size, latency, spread, asks_to_wait, tells } = self.host.clone();
        let latency = latency * (1.0 - spread * self.random.f64());
        let there = (now + latency / 2.0).max(self.filled);
        self.left = (self.left + (there - self.filled) * per_minute / 60.0).min(size);
        self.filled = there;
        let is_taken = self.left >= 1.0;
        let wait = (1.0 - self.left) * 60.0 / per_minute;
        self.left -= f64::from(u8::from(is_taken));
        let told = match tells {
            Tells::Nothing => None,
            Tells::Truth => Some(self.left.floor()),
            Tells::Lie(figure) => Some(figure),
        };
        let wish = (asks_to_wait && !is_taken).then_some(wait.ceil());
        self.out.push(Call { arrives: now + latency, sent: now, epoch, is_taken, told, wish });
    }

    fn arrive(&mut self, now: f64) {
        let at = self.out.iter().position(|call| call.arrives <= now).unwrap();
        let Call { sent, epoch, is_taken, told, wish, .. } = self.out.remove(at);
        if is_taken {
            self.rate.taken(now, epoch);
            told.into_iter().for_each(|left| self.rate.told(now, left));
            self.window.took(sent, now);
            self.window.was_full(sent);
            self.taken += u32::from(self.begun.is_some());
            return;
        }
        let refusal = Refusal { wish, jitter: self.random.f64() };
        self.refused += u32::from(self.begun.is_some());
        if self.rate.refused(now, epoch, refusal) {
            self.window.strained(sent, now);
            self.events += 1;
            // The burst and two more.
            if self.events == 3 {
                self.begun = Some(now);
            }
        }
    }
}

const TASKS: u32 = 64;

/// Calls of a run at the very most.
const MOST: u32 = 40_000;

fn host() -> impl Strategy<Value = Host> {
    let tells = prop_oneof![
        Just(Tells::Nothing),
        Just(Tells::Truth),
        prop_oneof![Just(0.0), Just(1.0), Just(-5.0), Just(f64::NAN), Just(1e300)]
            .prop_map(Tells::Lie),
    ];
    (1_f64..4.0, 4_f64..60.0, 0.001_f64..0.5, 0_f64..0.8, any::<bool>(), tells).prop_map(
        |(digits, seconds, latency, spread, asks_to_wait, tells)| {
            let per_minute = 10_f64.powf(digits);
            let size = (per_minute * seconds / 60.0).max(10.0);
            Host { per_minute, size, latency, spread, asks_to_wait, tells }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Once the host refused three times its quota is used and few answers are 429, whatever it
    /// is like and whatever it says. Of 3,000 hosts of a wider kind three missed 90 % used or 2 %
    /// refused; of 20,000 of these none missed the bounds below.
    #[test]
    fn a_quota_is_used_and_seldom_overdrawn(host in host(), seed in any::<u64>()) {
        let mut run = Run::new(host.clone(), seed);
        let end = run.run();
        let Some(begun) = run.begun else {
            // The tasks alone are too slow for it, or the run is too short.
            prop_assert_eq!(run.sent, MOST);
            return Ok(());
        };
        let used = f64::from(run.taken) / ((end - begun) * host.per_minute / 60.0);
        let refused = f64::from(run.refused) / f64::from(run.taken + run.refused);
        prop_assert!(used >= 0.8, "{used:.3} of the quota used, {refused:.3} refused");
        prop_assert!(refused < 0.03, "{refused:.3} refused, {used:.3} of the quota used");
    }
}

proptest! {
    /// Whatever comes, the window stays a window.
    #[test]
    fn a_window_keeps_its_bounds(steps in proptest::collection::vec((0_u8..4, 0_f64..100.0), 0..400)) {
        let (mut window, mut now) = (Window::new(0.0), 0.0);
        for (what, time) in steps {
            now += time;
            let before = window.size();
            match what {
                0 => window.was_full(now - time),
                1 => window.took(now - time, now),
                2 => window.strained(now, now),
                // From before it was made smaller: nothing new.
                _ => window.strained(-1.0, now),
            }
            prop_assert!((1..=1_024).contains(&window.size()));
            prop_assert!(window.size() <= before + 1);
            prop_assert!(window.size() + before.div_ceil(10) >= before, "a tenth at once");
        }
    }
}

#[test]
fn a_window_gets_smaller_where_even_the_fastest_answers_are_slow() {
    let run = |latency: fn(u32) -> f64| {
        let (mut window, mut now) = (Window::new(0.0), 0.0);
        for number in 0..2_000 {
            now += 0.01;
            window.took(now - latency(number), now);
        }
        window.size()
    };
    let begin = Window::new(0.0).size();
    assert_eq!(run(|_| 0.02), begin);
    assert_eq!(run(|number| if number % 10 == 0 { 0.02 } else { 0.9 }), begin, "mixed work");
    assert!(run(|number| if number < 200 { 0.02 } else { 0.2 }) < begin, "it got slow");
    assert_eq!(run(|number| if number < 200 { 0.001 } else { 0.02 }), begin, "noise");
}

#[test]
fn a_window_grows_by_one_for_each_window_of_answers() {
    let mut window = Window::new(0.0);
    let begin = window.size();
    (0..begin).for_each(|_| window.was_full(1.0));
    assert_eq!(window.size(), begin + 1);
    window.strained(1.0, 2.0);
    (0..10_000).for_each(|_| window.was_full(1.5));
    assert_eq!(window.size(), begin + 1 - (begin + 1) / 10, "sent before it got smaller");
}
