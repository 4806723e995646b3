//! What a registry must do for our clients to be right about it.
//!
//! The same checks run against the fake and against a live registry: a check that one
//! passes and the other does not is a lie of the fake, or news about the service.

mod blobs;
mod manifests;
mod metadata;
mod probe;
mod report;

use acr_core::{Pipeline, RepositoryName};

use self::probe::Probe;
pub use self::report::{Outcome, Report};

/// Asks a registry everything the clients rely on, and says what it did otherwise.
///
/// The pipeline needs to be signed in with rights to read, write, delete and list the
/// repositories. Two repositories are made, `<scratch>/one` and `<scratch>/two`, with less
/// than a kilobyte of content, and deleted at the end; neither may exist before. About
/// eighty requests, one after the other; nothing is retried but what the pipeline retries.
///
/// ```
/// use acr_core::{Pipeline, http::Request};
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
