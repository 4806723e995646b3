//! What came of the checks.

use std::fmt;

/// What came of each check.
#[derive(Clone, Debug, Default)]
pub struct Report {
    outcomes: Vec<Outcome>,
}

/// One check.
#[derive(Clone, Debug)]
pub struct Outcome {
    check: &'static str,
    deviation: Option<String>,
}

impl Report {
    /// All checks in the order in which they ran.
    pub fn outcomes(&self) -> &[Outcome] {
        &self.outcomes
    }

    /// The checks that came out otherwise than expected.
    pub fn deviations(&self) -> impl Iterator<Item = &Outcome> {
        self.outcomes.iter().filter(|outcome| outcome.deviation.is_some())
    }

    pub(super) fn note(&mut self, check: &'static str, result: Result<(), String>) {
        self.outcomes.push(Outcome { check, deviation: result.err() });
    }
}

impl Outcome {
    /// What was checked, as a sentence.
    pub fn check(&self) -> &'static str {
        self.check
    }

    /// What was found instead, or `None` when all was as expected.
    pub fn deviation(&self) -> Option<&str> {
        self.deviation.as_deref()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for outcome in &self.outcomes {
            match &outcome.deviation {
                None => writeln!(f, "ok        {}", outcome.check)?,
                Some(found) => writeln!(f, "DEVIATES  {}: {found}", outcome.check)?,
            }
        }
        let deviations = self.deviations().count();
        write!(f, "{} checks, {deviations} deviations", self.outcomes.len())
    }
}
