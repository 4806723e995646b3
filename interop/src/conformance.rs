//! The conformance suite of the OCI distribution specification: a Go program.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

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

/// One check and how it went. Several may have one name: the suite repeats them for each piece
/// of content.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Check {
    /// Where it stands in the suite, and what it demands.
    pub name: String,
    /// How it went.
    pub verdict: Verdict,
    /// What the suite noted: why it failed or was passed over.
    pub notes: Vec<String>,
}

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The registry does what is demanded.
    Passed,
    /// It does not.
    Failed,
    /// It answered in one of the ways by which it may say that it lacks the feature.
    Skipped,
    /// The suite did not look, for its settings leave the feature out.
    Disabled,
}

/// A registry to check, and whom to sign in as.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Candidate<'a> {
    authority: &'a str,
    user: &'a str,
    password: &'a str,
}

impl<'a> Candidate<'a> {
    /// The registry without TLS at an address such as `localhost:5000`.
    pub fn plain(authority: &'a str, user: &'a str, password: &'a str) -> Self {
        Self { authority, user, password }
    }
}

impl ConformanceSuite {
    /// Builds the suite; the first time takes some seconds and needs Go's module proxy.
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
            .args(["build", "-mod=readonly", "-o"])
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

    /// Runs every part of the suite, also what is optional or of a version to come.
    ///
    /// # Errors
    ///
    /// When the suite ends without results. A check that fails is no error.
    pub async fn run(&self, candidate: &Candidate<'_>) -> Result<Vec<Check>> {
        let mut command = tokio::process::Command::new(&self.program);
        command
            .current_dir(self.folder.path())
            .kill_on_drop(true)
            .env("OCI_REGISTRY", candidate.authority)
            .env("OCI_TLS", "disabled")
            .env("OCI_USERNAME", candidate.user)
            .env("OCI_PASSWORD", candidate.password)
            .env("OCI_VERSION", "1.1")
            .env("OCI_RESULTS_DIR", self.folder.path().join("results"))
            .envs(OFF_BY_DEFAULT.map(|name| (name, "true")));
        let output = timeout(RUN_LIMIT, command.output())
            .await
            .attempt(|| "wait for the suite's end")?
            .attempt(|| "start the suite")?;
        let told = String::from_utf8_lossy(&output.stdout);
        let checks = read(&told);
        if checks.is_empty() {
            let complaint = String::from_utf8_lossy(&output.stderr);
            return Err(Error::new(format!("the suite told no results: {}", complaint.trim())));
        }
        Ok(checks)
    }
}

/// The checks in what the suite printed. A line with lines further in stands for these, and its
/// verdict is theirs; it is no check of its own.
fn read(text: &str) -> Vec<Check> {
    let results = text.lines().skip_while(|line| *line != "Test results").skip(1);
    let mut checks: Vec<(usize, Check)> = Vec::new();
    for line in results.take_while(|line| *line != "Configuration:") {
        let depth = line.len() - line.trim_start().len();
        let line = line.trim();
        if let Some(note) = line.strip_prefix("- ") {
            if let Some((_, check)) = checks.last_mut() {
                check.notes.push(note.to_owned());
            }
            continue;
        }
        let Some((name, verdict)) = line.rsplit_once(": ") else { continue };
        let verdict = match verdict {
            "Pass" => Verdict::Passed,
            "Skip" => Verdict::Skipped,
            "Disabled" => Verdict::Disabled,
            // Whatever else a later version says is no success.
            _ => Verdict::Failed,
        };
        if checks.last().is_some_and(|(above, _)| *above < depth) {
            checks.pop();
        }
        let name = name.trim_start_matches("OCI Conformance Test/").to_owned();
        checks.push((depth, Check { name, verdict, notes: Vec::new() }));
    }
    checks.into_iter().map(|(_, check)| check).collect()
}

const GO: Program = Program::debian("go", "golang-go");

const MODULE: &str = "github.com/opencontainers/distribution-spec/conformance";

/// What the suite leaves out unless it is told.
const OFF_BY_DEFAULT: [&str; 5] = [
    "OCI_API_BLOBS_DIGEST_HEADER",
    "OCI_API_BLOBS_UPLOAD_CANCEL",
    "OCI_API_MANIFESTS_DIGEST_HEADER",
    "OCI_API_MANIFESTS_TAG_PARAM",
    "OCI_DATA_SPARSE",
];

/// Fetching and compiling on a busy machine.
const BUILD_LIMIT: Duration = Duration::from_secs(600);

/// The suite takes about two seconds.
const RUN_LIMIT: Duration = Duration::from_secs(120);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_innermost_lines_are_checks() {
        let text = "level=WARN\nTest results\nOCI Conformance Test: FAIL\n  \
            OCI Conformance Test/ping: Pass\n  OCI Conformance Test/blobs: FAIL\n    \
            OCI Conformance Test/blobs/get: FAIL\n     - no such blob: 404\n    \
            OCI Conformance Test/blobs/mount: Skip\n  OCI Conformance Test/last: Disabled\n\n\
            Configuration:\n  x: Pass\n";
        let found: Vec<_> = read(text)
            .into_iter()
            .map(|check| (check.name, check.verdict, check.notes.join("")))
            .collect();
        let row = |name: &str, verdict, note: &str| (name.to_owned(), verdict, note.to_owned());
        assert_eq!(
            found,
            [
                row("ping", Verdict::Passed, ""),
                row("blobs/get", Verdict::Failed, "no such blob: 404"),
                row("blobs/mount", Verdict::Skipped, ""),
                row("last", Verdict::Disabled, ""),
            ]
        );
    }
}
