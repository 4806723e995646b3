//! What a registry must do for our clients to be right about it.
//!
//! The same checks run against the fake and against a live registry: a check that one
//! passes and the other does not is a lie of the fake, or news about the service.

mod blobs;
mod manifests;
mod metadata;
mod probe;

use std::fmt;

use acr_core::{Pipeline, RepositoryName};

use self::probe::Probe;

/// Asks a registry everything the clients rely on, and says what it did otherwise.
///
/// The pipeline needs to be signed in with rights to read, write, delete and list the
/// repositories. Two repositories are made, `<scratch>/one` and `<scratch>/two`, with less
/// than a kilobyte of content, and deleted at the end; neither may exist before. About
/// eighty requests, one after the other; nothing is retried but what the pipeline retries.
///
/// ```
/// use acr_core::{Pipeline, Request};
/// use acr_testkit::{FakeRegistry, conformance};
/// use http::{HeaderValue, header};
/// use tower::util::MapRequestLayer;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let registry = FakeRegistry::builder().user("owner", "secret").build();
/// // For a live registry: `acr_auth::connect(..)`.
/// let sign_in = MapRequestLayer::new(|mut request: Request| {
///     let value = HeaderValue::from_static("Basic b3duZXI6c2VjcmV0");
///     request.headers_mut().insert(header::AUTHORIZATION, value);
///     request
/// });
/// let pipeline = Pipeline::builder(registry.endpoint())
///     .transport(registry.transport())
///     .layer_per_call(sign_in)
///     .build()?;
/// let report = conformance(&pipeline, &"conformance/run-1".parse()?).await;
/// assert_eq!(report.deviations().count(), 0, "{report}");
/// # Ok(()) }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(example())?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// # Cancellation
///
/// Dropping the future leaves the two repositories behind.
pub async fn conformance(pipeline: &Pipeline, scratch: &RepositoryName) -> Report {
    let mut report = Report::default();
    match Probe::new(pipeline, scratch) {
        Ok(probe) => {
            blobs::run(&probe, &mut report).await;
            manifests::run(&probe, &mut report).await;
            metadata::run(&probe, &mut report).await;
        }
        Err(text) => report.note("the scratch name leaves room for two repositories", Err(text)),
    }
    report
}

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

    fn note(&mut self, check: &'static str, result: Result<(), String>) {
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
