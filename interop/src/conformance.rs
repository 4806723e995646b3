//! The conformance suite of the OCI distribution specification: a Go test program.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;
use tempfile::TempDir;
use tokio::time::timeout;

use crate::{
    command::Program,
    error::{Attempt as _, Error, Result},
};

/// The suite, built from the version that `conformance/go.mod` pins.
#[derive(Debug)]
pub struct ConformanceSuite {
    program: PathBuf,
    folder: TempDir,
}

/// One check and how it went.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Check {
    /// Where it stands in the suite, and what it demands.
    pub name: String,
    /// How it went.
    pub verdict: Verdict,
    /// Why it failed; empty otherwise.
    pub message: String,
}

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The registry does what is demanded.
    Passed,
    /// It does not.
    Failed,
    /// The suite did not look: the check is for other settings or other answers.
    Skipped,
}

/// A registry to check, and whom to sign in as.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Candidate<'a> {
    url: &'a str,
    user: &'a str,
    password: &'a str,
}

/// What the suite's test framework writes.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Report {
    spec_reports: Vec<SpecReport>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SpecReport {
    #[serde(default)]
    container_hierarchy_texts: Option<Vec<String>>,
    leaf_node_type: String,
    leaf_node_text: String,
    state: String,
    #[serde(default)]
    failure: Option<Failure>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Failure {
    message: String,
}

impl<'a> Candidate<'a> {
    /// The registry at an address such as `http://localhost:5000`.
    pub fn new(url: &'a str, user: &'a str, password: &'a str) -> Self {
        Self { url, user, password }
    }
}

impl ConformanceSuite {
    /// Builds the suite; the first time takes about a minute and needs Go's module proxy.
    ///
    /// # Errors
    ///
    /// When Go is not installed, or the suite cannot be fetched or built.
    pub async fn build() -> Result<Self> {
        let folder = TempDir::with_prefix("conformance-").attempt(|| "make a folder")?;
        let program = folder.path().join("suite");
        let mut command = GO.command();
        command
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance"))
            .args(["test", "-mod=readonly", "-c", "-o"])
            .arg(&program)
            .arg(MODULE);
        let output = timeout(BUILD_LIMIT, command.output())
            .await
            .attempt(|| "wait for the suite's build")?
            .map_err(|source| GO.not_started(source))?;
        if !output.status.success() {
            let complaint = String::from_utf8_lossy(&output.stderr);
            return Err(Error::new(format!("build the suite: {}", complaint.trim())));
        }
        Ok(Self { program, folder })
    }

    /// Runs every part of the suite, the optional ones too.
    ///
    /// # Errors
    ///
    /// When the suite ends without a report. A check that fails is no error.
    pub async fn run(&self, candidate: &Candidate<'_>) -> Result<Vec<Check>> {
        let report = self.folder.path().join("report.json");
        let mut command = tokio::process::Command::new(&self.program);
        command
            .arg(format!("--ginkgo.json-report={}", report.display()))
            .current_dir(self.folder.path())
            .kill_on_drop(true)
            .env("OCI_ROOT_URL", candidate.url)
            .env("OCI_USERNAME", candidate.user)
            .env("OCI_PASSWORD", candidate.password)
            .env("OCI_NAMESPACE", "conformance/one")
            .env("OCI_CROSSMOUNT_NAMESPACE", "conformance/two")
            .env("OCI_TEST_PULL", "1")
            .env("OCI_TEST_PUSH", "1")
            .env("OCI_TEST_CONTENT_DISCOVERY", "1")
            .env("OCI_TEST_CONTENT_MANAGEMENT", "1")
            .env("OCI_AUTOMATIC_CROSSMOUNT", "1")
            .env("OCI_REPORT_DIR", "none");
        let output = timeout(RUN_LIMIT, command.output())
            .await
            .attempt(|| "wait for the suite's end")?
            .attempt(|| "start the suite")?;
        let Ok(bytes) = fs::read(&report) else {
            let told = String::from_utf8_lossy(&output.stdout);
            return Err(Error::new(format!("the suite left no report: {}", told.trim())));
        };
        let reports: Vec<Report> =
            serde_json::from_slice(&bytes).attempt(|| "read the suite's report")?;
        let specs = reports.into_iter().flat_map(|report| report.spec_reports);
        Ok(specs.filter(|spec| spec.leaf_node_type == "It").map(check).collect())
    }
}

fn check(spec: SpecReport) -> Check {
    let mut parts = spec.container_hierarchy_texts.unwrap_or_default();
    parts.push(spec.leaf_node_text);
    let verdict = match spec.state.as_str() {
        "passed" => Verdict::Passed,
        "skipped" | "pending" => Verdict::Skipped,
        _ => Verdict::Failed,
    };
    let message = spec.failure.filter(|_| verdict == Verdict::Failed);
    let message = message.map(|failure| failure.message).unwrap_or_default();
    // The outermost is the suite's own name.
    let name = parts.get(1..).unwrap_or_default().join(" / ");
    Check { name, verdict, message }
}

const GO: Program = Program::debian("go", "golang-go");

const MODULE: &str = "github.com/opencontainers/distribution-spec/conformance";

/// Fetching and compiling some thirty modules on a busy machine.
const BUILD_LIMIT: Duration = Duration::from_secs(600);

/// The suite takes less than a second.
const RUN_LIMIT: Duration = Duration::from_secs(120);
