//! Runs both sides in turn, pinned, and takes the median of the ratios.

use std::{
    env, fmt, fs,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
};

use acr_core::{Algorithm, Digest, Digester};
use acr_testkit::sink_content;
use serde_json::Value;
use tempfile::NamedTempFile;

use crate::{
    cases::{Case, HASH, Sizes, Work},
    machine::Machine,
};

/// A sink on the other processor, and what is moved.
pub(crate) struct Place {
    sink: Child,
    origin: String,
    sizes: Sizes,
    large: Digest,
    small: Digest,
    file: NamedTempFile,
}

/// Seconds of one run.
#[derive(Clone, Copy, Debug)]
struct Took {
    processor: f64,
    wall: f64,
    /// Of the sink's processor.
    sink: f64,
    /// KiB at most.
    peak: f64,
}

/// What came out for a case.
pub(crate) struct Judged {
    pub(crate) name: &'static str,
    pub(crate) target: &'static str,
    pub(crate) is_small: bool,
    pub(crate) bare: f64,
    pub(crate) ours: f64,
    /// Medians of the pairs' ratios.
    pub(crate) processor: f64,
    pub(crate) wall: f64,
    /// Of the sink, for each second of ours.
    pub(crate) sink: f64,
    pub(crate) peak: f64,
    /// Of a GiB to be hashed, in the same minute.
    pub(crate) hash: f64,
    /// Why it says nothing.
    pub(crate) void: Option<String>,
}

impl Place {
    pub(crate) fn new(sizes: Sizes, machine: &Machine) -> Self {
        let mut command = pinned(&machine.other(), &env::current_exe().unwrap());
        let mut sink = command.arg("sink").stdout(Stdio::piped()).spawn().unwrap();
        let mut origin = String::new();
        BufReader::new(sink.stdout.take().unwrap()).read_line(&mut origin).unwrap();
        let content = sink_content();
        let mut digester = Digester::new(Algorithm::Sha256);
        let mut file = NamedTempFile::new().unwrap();
        for _ in 0..sizes.blob.div_ceil(content.len() as u64) {
            digester.update(&content);
            file.write_all(&content).unwrap();
        }
        file.as_file().sync_all().unwrap();
        let small = Digest::sha256(&content[..SMALL]);
        let origin = origin.trim().to_owned();
        Self { sink, origin, sizes, large: digester.finish(), small, file }
    }

    pub(crate) fn judge(&self, case: &Case, pairs: usize, machine: &Machine) -> Judged {
        let mut void = machine.objection();
        let (before, mut sides) = (hash(), (Vec::new(), Vec::new()));
        for _ in 0..pairs {
            sides.0.push(self.one(case.work, Self::bare));
            sides.1.push(self.one(case.work, Self::ours));
        }
        let after = hash();
        let hash = f64::midpoint(before, after);
        if void.is_none() && (before / after - 1.0).abs() > NOISE {
            void =
                Some(format!("a GiB took {before:.2} s to be hashed before, {after:.2} s after"));
        }
        let of = |side: &[Took], what: fn(&Took) -> f64| median(side.iter().map(what));
        let ratio = |what: fn(&Took) -> f64| {
            median(sides.0.iter().zip(&sides.1).map(|(bare, ours)| what(ours) / what(bare)))
        };
        let bare = of(&sides.0, |took| took.processor);
        let expected = case.expected * hash / HASH * self.share(case.work);
        if void.is_none() && bare > expected * (1.0 + NOISE) {
            void = Some(format!("the yardstick took {:.2} of what it should", bare / expected));
        }
        Judged {
            name: case.name,
            target: case.target,
            is_small: case.work.is_small(),
            bare,
            ours: of(&sides.1, |took| took.processor),
            processor: ratio(|took| took.processor),
            wall: ratio(|took| took.wall),
            sink: median(sides.1.iter().map(|took| took.sink / took.processor)),
            peak: of(&sides.1, |took| took.peak),
            hash,
            void,
        }
    }

    /// How much of what the expectation is for is done.
    fn share(&self, work: Work) -> f64 {
        match work {
            Work::Get | Work::PutFile => self.sizes.blob as f64 / GIB,
            Work::Ping { .. } | Work::SmallGet { .. } | Work::Tags => 1.0,
        }
    }

    /// A run; of small things, one of them: start and warm-up are in both runs, and so in neither.
    fn one(&self, work: Work, side: fn(&Self, Work, u64) -> Took) -> Took {
        if !work.is_small() {
            return side(self, work, 1);
        }
        let (few, many) = (self.sizes.count, self.sizes.count * 21);
        let (short, long) = (side(self, work, few), side(self, work, many));
        let slope = |what: fn(&Took) -> f64| (what(&long) - what(&short)) / (many - few) as f64;
        Took {
            processor: slope(|took| took.processor),
            wall: slope(|took| took.wall),
            sink: slope(|took| took.sink),
            peak: long.peak,
        }
    }

    fn bare(&self, work: Work, count: u64) -> Took {
        let (origin, large, small) = (&self.origin, &self.large, &self.small);
        let mut command = pinned(CLIENT, Path::new(env!("CARGO_BIN_EXE_bare")));
        let load = |command: &mut Command, tasks: u64| {
            command.args(["--count", &count.to_string(), "--tasks", &tasks.to_string()]);
        };
        match work {
            Work::Get => {
                let len = self.sizes.blob;
                command.args(["get", &format!("{origin}/v2/bench/{len}/blobs/{large}")]);
            }
            Work::PutFile => {
                command.args(["put-file", &format!("{origin}/v2/bench/a")]).arg(self.file.path());
            }
            Work::Ping { tasks } => {
                load(command.args(["ping", &format!("{origin}/v2/")]), tasks);
            }
            Work::SmallGet { tasks } => {
                let url = format!("{origin}/v2/bench/{SMALL}/blobs/{small}");
                load(command.args(["small-get", &url]), tasks);
            }
            Work::Tags => {
                command.args(["list", &format!("{origin}/acr/v1/bench/a/_tags?n=100")]);
            }
        }
        self.took(&mut command)
    }

    fn ours(&self, work: Work, count: u64) -> Took {
        let mut command = pinned(CLIENT, &env::current_exe().unwrap());
        let repository = match work {
            Work::Get => format!("bench/{}", self.sizes.blob),
            Work::SmallGet { .. } => format!("bench/{SMALL}"),
            Work::PutFile | Work::Ping { .. } | Work::Tags => "bench/a".to_owned(),
        };
        command.args(["ours", &self.origin, &repository]);
        let count = count.to_string();
        match work {
            Work::Get => command.args(["get", self.large.as_str()]),
            Work::PutFile => command.arg("put-file").arg(self.file.path()),
            Work::Ping { tasks } => command.args(["ping", &count, &tasks.to_string()]),
            Work::SmallGet { tasks } => {
                command.args(["small-get", self.small.as_str(), &count, &tasks.to_string()])
            }
            Work::Tags => command.arg("tags"),
        };
        self.took(&mut command)
    }

    fn took(&self, command: &mut Command) -> Took {
        let before = self.sink_time();
        let told = json(command);
        let sink = self.sink_time() - before;
        let number = |name: &str| told[name].as_f64().unwrap_or(f64::NAN);
        Took {
            processor: number("processor"),
            wall: number("wall"),
            sink,
            peak: number("peak_kib"),
        }
    }

    /// Seconds that the sink ran: it has one thread.
    fn sink_time(&self) -> f64 {
        let path = format!("/proc/{}/schedstat", self.sink.id());
        let text = fs::read_to_string(path).unwrap_or_default();
        text.split(' ')
            .next()
            .and_then(|time| time.parse::<f64>().ok())
            .map_or(f64::NAN, |t| t / 1e9)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // It may have ended by itself; then the runs have failed.
        let _ = self.sink.kill();
        let _ = self.sink.wait();
    }
}

impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, unit) = (self.name, if self.is_small { 1e6 } else { 1.0 });
        let (bare, ours) = (self.bare * unit, self.ours * unit);
        write!(f, "{name:<34} bare {bare:>8.3} ours {ours:>8.3}")?;
        write!(f, " ratio {:.2} wall {:.2} sink {:.2}", self.processor, self.wall, self.sink)?;
        match &self.void {
            Some(why) => write!(f, "   void: {why}"),
            None => Ok(()),
        }
    }
}

/// Seconds that a GiB takes to be hashed now.
fn hash() -> f64 {
    let mut command = pinned(CLIENT, Path::new(env!("CARGO_BIN_EXE_bare")));
    let told = json(command.args(["rate", "--mib", "256"]));
    4.0 * told["processor"].as_f64().unwrap_or(f64::NAN)
}

fn json(command: &mut Command) -> Value {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn pinned(processor: &str, program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", processor]).arg(program);
    command
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

const CLIENT: &str = "0";

const SMALL: usize = 16 << 10;

const GIB: f64 = 1_073_741_824.0;

/// By how much figures of the same thing differ.
const NOISE: f64 = 0.05;
