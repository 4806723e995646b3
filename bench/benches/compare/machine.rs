//! Where it runs, and what else runs there.

use std::{fmt, fs, thread};

/// The machine, before anything was begun on it.
#[derive(Debug)]
pub(crate) struct Machine {
    model: String,
    processors: usize,
    load: f64,
}

impl Machine {
    pub(crate) fn look() -> Self {
        let told = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = told.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let model = model.map_or("an unknown processor", |(_, model)| model).to_owned();
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(f64::NAN);
        Self { model, processors: thread::available_parallelism().map_or(1, usize::from), load }
    }

    /// The processor that the sink is given. The client has the first one.
    pub(crate) fn other(&self) -> String {
        self.processors.saturating_sub(1).to_string()
    }

    /// Why nothing that is measured here now says anything, if that is so. Work that begins later shows
    /// in what the yardstick takes.
    pub(crate) fn objection(&self) -> Option<String> {
        if self.processors < 2 {
            return Some("the client and the sink share the only processor".to_owned());
        }
        let other = self.other();
        if siblings("0") == siblings(&other) {
            return Some(format!("processors 0 and {other} are two threads of one"));
        }
        let load = self.load;
        (load.is_nan() || load > MOST_LOAD)
            .then(|| format!("the load was {load:.1} before, at most {MOST_LOAD}"))
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} processors, load {:.1} before", self.model, self.processors, self.load)
    }
}

/// Who shares a core with a processor; where nobody says it, itself.
fn siblings(processor: &str) -> String {
    let path = format!("/sys/devices/system/cpu/cpu{processor}/topology/thread_siblings_list");
    fs::read_to_string(path).unwrap_or_else(|_| processor.to_owned())
}

const MOST_LOAD: f64 = 1.5;
