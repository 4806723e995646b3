//! Several faults as one line of text.

use std::{fmt, str::FromStr, time::Duration};

use super::{ChallengeKind, CutEnd, Effect, Fault, JsonKind, ParseFaultError};
use crate::operation::{Operation, Target};

/// Faults that belong together, in the order in which they are injected.
///
/// A plan is one line: faults parted by `;`, or `seeded(N)` for the plan that
/// [`FaultPlan::seeded`] makes of a number. In a file the faults stand in lines of their own,
/// and what follows `#` is a comment.
///
/// ```
/// use acr_testkit::{FakeRegistry, FaultPlan};
///
/// let plan: FaultPlan = "status op=ping status=503; lose_response op=upload_chunk nth=2".parse()?;
/// assert_eq!(plan.to_string().parse::<FaultPlan>()?, plan);
/// assert_eq!("seeded(7)".parse::<FaultPlan>()?, FaultPlan::seeded(7));
///
/// let registry = FakeRegistry::new();
/// registry.inject_plan(&plan);
/// assert_eq!(registry.faults(), plan);
/// # Ok::<_, acr_testkit::ParseFaultError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FaultPlan(Vec<Fault>);

impl FaultPlan {
    /// Between one and four faults, the same for the same number and version of this crate.
    ///
    /// They are the faults that a client with retries is expected to survive, or to report as
    /// an error: none lasts for ever.
    pub fn seeded(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let count = random.usize(1..=4);
        Self((0..count).map(|_| random_fault(&mut random)).collect())
    }

    /// The faults.
    pub fn faults(&self) -> &[Fault] {
        &self.0
    }

    /// Adds a fault at the end.
    pub fn push(&mut self, fault: Fault) {
        self.0.push(fault);
    }
}

impl From<Fault> for FaultPlan {
    fn from(fault: Fault) -> Self {
        Self(vec![fault])
    }
}

impl FromIterator<Fault> for FaultPlan {
    fn from_iter<I: IntoIterator<Item = Fault>>(faults: I) -> Self {
        Self(faults.into_iter().collect())
    }
}

impl fmt::Display for FaultPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            let between = if index == 0 { "" } else { "; " };
            write!(f, "{between}{fault}")?;
        }
        Ok(())
    }
}

impl FromStr for FaultPlan {
    type Err = ParseFaultError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut plan = Self::default();
        let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
        for part in lines.flat_map(|line| line.split(';')).map(str::trim) {
            let seed = part.strip_prefix("seeded(").and_then(|rest| rest.strip_suffix(')'));
            match seed {
                _ if part.is_empty() => {}
                None => plan.0.push(part.parse()?),
                Some(seed) => {
                    let seed = seed.trim().parse();
                    let seed =
                        seed.map_err(|_| ParseFaultError::new(part, "the seed is no number"))?;
                    plan.0.extend(Self::seeded(seed).0);
                }
            }
        }
        Ok(plan)
    }
}

/// Any fault but those that last for ever or are about TLS.
fn random_fault(random: &mut fastrand::Rng) -> Fault {
    let operation = pick(random, Target::Any, OPERATIONS);
    let bytes = u64::from(random.u32(0..4096));
    let (nth, times) = (random.u32(1..=3), random.u32(1..=2));
    let effect = match random.u8(0..22) {
        0 => {
            let retry_after = random.bool().then(|| random.u8(0..3).to_string());
            Effect::Status {
                status: pick(random, 503, &[408, 429, 500, 502, 503, 504]),
                retry_after,
            }
        }
        1 => Effect::EarlyStatus { status: pick(random, 503, &[413, 500, 503]) },
        2 => Effect::Challenge(pick(random, ChallengeKind::Missing, ChallengeKind::ALL)),
        3 => Effect::DropRequest,
        4 => Effect::CutRequest { after: bytes },
        5 => Effect::Delay { time: Duration::from_millis(bytes) },
        6 => Effect::LoseResponse,
        7 => return Fault::lose_session(pick(random, Operation::UploadChunk, UPLOADS)).on_nth(nth),
        8 => return Fault::rival(Operation::PutManifest).on_nth(nth),
        9 => return Fault::lag(pick(random, Operation::PutManifest, WRITES), times).on_nth(nth),
        10 => Effect::RevokeRefresh,
        11 => {
            return Fault::token_lifetime(Operation::FetchAccessToken, i64::from(random.u8(0..5)))
                .on_nth(nth);
        }
        12 => {
            return Fault::token_skew(
                Operation::FetchAccessToken,
                i64::from(random.i16(-600..=600)),
            )
            .on_nth(nth);
        }
        13 => Effect::Json(pick(random, JsonKind::Empty, JsonKind::ALL)),
        14 => Effect::Corrupt { at: bytes },
        15 => Effect::Truncate { after: bytes },
        16 => Effect::Trickle { rate: 1024 + bytes },
        17 => Effect::Extend { bytes: bytes + 1 },
        18 => Effect::RemoveHeader { name: pick(random, "location", HEADERS).to_owned() },
        19 => {
            Effect::Cut { at: bytes, end: pick(random, CutEnd::Fin, &[CutEnd::Fin, CutEnd::Reset]) }
        }
        20 => Effect::CloseIdle { after: Duration::from_millis(bytes) },
        _ => return Fault::refuse().on_nth(nth).times(times),
    };
    Fault::new(operation, effect).on_nth(nth).times(times)
}

/// One of a list; the first stands for an empty list, which none is.
fn pick<T: Copy>(random: &mut fastrand::Rng, first: T, from: &[T]) -> T {
    random.choice(from).copied().unwrap_or(first)
}

const OPERATIONS: &[Target] = &[
    Target::Any,
    Target::One(Operation::ListRepositories),
    Target::One(Operation::ListTags),
    Target::One(Operation::ManifestProperties),
    Target::One(Operation::GetManifest),
    Target::One(Operation::Resolve),
    Target::One(Operation::PutManifest),
    Target::One(Operation::DeleteManifest),
    Target::One(Operation::DownloadBlob),
    Target::One(Operation::GetStorage),
    Target::One(Operation::StartUpload),
    Target::One(Operation::UploadChunk),
    Target::One(Operation::UploadStatus),
    Target::One(Operation::CompleteUpload),
    Target::One(Operation::ExchangeEntraToken),
    Target::One(Operation::FetchAccessToken),
];
const UPLOADS: &[Operation] =
    &[Operation::UploadChunk, Operation::UploadStatus, Operation::CompleteUpload];
const WRITES: &[Operation] = &[Operation::PutManifest, Operation::CompleteUpload];
const HEADERS: &[&str] =
    &["location", "range", "content-range", "docker-content-digest", "link", "www-authenticate"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_makes_the_same_plan_and_reads_back() {
        let mut kinds = std::collections::BTreeSet::new();
        for seed in 0..500 {
            let plan = FaultPlan::seeded(seed);
            assert_eq!(plan, FaultPlan::seeded(seed));
            let line = plan.to_string();
            assert!(!line.contains('\n'));
            assert_eq!(line.parse::<FaultPlan>().unwrap(), plan, "{line}");
            kinds.extend(
                plan.faults()
                    .iter()
                    .map(|fault| fault.to_string().split(' ').next().unwrap().to_owned()),
            );
        }
        assert_eq!(kinds.len(), 22, "{kinds:?}");
    }

    #[test]
    fn files_and_lines_are_plans() {
        let text = "# two faults\nstall op=ping # the first\n\n drop_request op=any; seeded(3) ;\n";
        let plan: FaultPlan = text.parse().unwrap();
        assert_eq!(plan.faults().len(), 2 + FaultPlan::seeded(3).faults().len());
        assert_eq!("".parse::<FaultPlan>().unwrap(), FaultPlan::default());
        for bad in ["boom op=ping", "seeded(x)", "seeded(-1)", "stall op=ping; seeded"] {
            assert!(bad.parse::<FaultPlan>().is_err(), "{bad}");
        }
    }
}
