//! The lines of `matrix.txt`.

use acr_core::ErrorKind;

/// How the emulator is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    Process,
    Socket,
}

/// What is done to a transfer.
#[derive(Debug)]
pub(crate) enum Plan {
    Faults(&'static str),
    Elsewhere(&'static str),
}

/// A line.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) fault: &'static str,
    pub(crate) step: &'static str,
    pub(crate) plan: Plan,
    allowed: Vec<&'static str>,
}

/// How a transfer ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) error: Option<acr_core::Error>,
    /// What was given out or stored is what it should be, or nothing.
    pub(crate) is_clean: bool,
    /// Sessions whose place we were told and that are still open.
    pub(crate) open: usize,
    /// Faults that were never due.
    pub(crate) unused: usize,
}

impl Case {
    /// Needs bytes on a connection, or a connection.
    pub(crate) fn is_for(&self, door: Door) -> bool {
        let Plan::Faults(plan) = self.plan else { return false };
        let raw =
            ["tls ", "cut ", "close_delimited ", "length ", "extend ", "close_idle ", "169.254"];
        let is_raw = raw.iter().any(|word| plan.contains(word));
        is_raw == (door == Door::Socket)
    }

    pub(crate) fn judge(&self, outcome: &Outcome) -> Result<(), String> {
        let ended = match &outcome.error {
            None => "ok".to_owned(),
            Some(error) => format!("{:?}", error.kind()),
        };
        if !self.allowed.contains(&ended.as_str()) {
            let told = outcome.error.as_ref().map(ToString::to_string).unwrap_or_default();
            return Err(format!("{ended} instead of {:?}: {told}", self.allowed));
        }
        if !outcome.is_clean {
            return Err("something else was stored or given out".to_owned());
        }
        if outcome.open > 0 {
            return Err(format!("{} sessions left open", outcome.open));
        }
        if outcome.unused > 0 {
            return Err("the fault was never due".to_owned());
        }
        Ok(())
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let lines = include_str!("matrix.txt").lines();
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(case).collect()
}

fn case(line: &'static str) -> Case {
    let parts: Vec<&str> = line.splitn(3, " | ").map(str::trim).collect();
    let [place, plan, end] = parts[..] else { panic!("`{line}`") };
    let (fault, step) = place.split_once(' ').unwrap();
    let (plan, allowed) = match plan {
        "-" => (Plan::Elsewhere(end), Vec::new()),
        plan => (Plan::Faults(plan), end.split(", ").collect()),
    };
    let known =
        |word: &&str| *word == "ok" || KINDS.iter().any(|kind| format!("{kind:?}") == **word);
    assert!(allowed.iter().all(known), "`{line}` names no kind of error");
    Case { fault, step: step.trim(), plan, allowed }
}

const KINDS: [ErrorKind; 15] = [
    ErrorKind::Unauthenticated,
    ErrorKind::Forbidden,
    ErrorKind::NotFound,
    ErrorKind::Conflict,
    ErrorKind::Rejected,
    ErrorKind::Throttled,
    ErrorKind::Server,
    ErrorKind::Connect,
    ErrorKind::Timeout,
    ErrorKind::Transport,
    ErrorKind::Protocol,
    ErrorKind::Integrity,
    ErrorKind::TooLarge,
    ErrorKind::Policy,
    ErrorKind::Session,
];
