//! The OCI distribution conformance suite judges the program `acr-emulator`.
#![cfg(feature = "servers")]

use std::{collections::BTreeMap, error::Error};

use acr_interop::{Candidate, Check, ConformanceSuite, EmulatorProcess, Verdict};

type Result<T = (), E = Box<dyn Error>> = std::result::Result<T, E>;

#[tokio::test]
async fn the_profile_of_the_specification_fails_no_check() -> Result {
    let checks = judge("oci").await?;
    let failed: Vec<_> = checks.iter().filter(|c| c.verdict == Verdict::Failed).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!(count(&checks, Verdict::Passed), PASSED);
    Ok(())
}

/// Both a new failure and one that is gone are red.
#[tokio::test]
async fn the_profile_of_acr_fails_exactly_what_real_registries_fail() -> Result {
    let known = known();
    let checks = judge("acr").await?;
    let failed = checks.iter().filter(|c| c.verdict == Verdict::Failed);
    let failed: BTreeMap<_, _> =
        failed.map(|check| (check.name.as_str(), check.message.as_str())).collect();
    assert!(failed.keys().eq(known.keys()), "failed: {failed:#?}\nknown: {known:#?}");
    assert_eq!(count(&checks, Verdict::Passed), PASSED - known.len());
    Ok(())
}

/// Runs the suite against the program with a profile.
async fn judge(profile: &str) -> Result<Vec<Check>> {
    let user = format!("{USER}:{PASSWORD}");
    let emulator = EmulatorProcess::start(["--profile", profile, "--user", &user]).await?;
    // By name, so that the storage, which is reached by address, is another host as it is in
    // reality: Go keeps the credential on a redirect to the same host, whatever the port.
    let url = emulator.told("endpoint")?.replace("127.0.0.1", "localhost");
    let suite = ConformanceSuite::build().await?;
    let checks = suite.run(&Candidate::new(&url, USER, PASSWORD)).await?;
    assert_eq!(checks.len(), CHECKS, "another version of the suite?");
    Ok(checks)
}

fn count(checks: &[Check], verdict: Verdict) -> usize {
    checks.iter().filter(|check| check.verdict == verdict).count()
}

/// The checks that Azure Container Registry fails, each with its evidence.
fn known() -> BTreeMap<&'static str, &'static str> {
    let lines = include_str!("conformance/acr.txt").lines();
    let known = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    known.filter_map(|line| line.split_once(" | ")).collect()
}

/// All checks of the pinned version.
const CHECKS: usize = 79;

/// The four others are for settings or answers that exclude those of the rest.
const PASSED: usize = 75;

const USER: &str = "tester";
const PASSWORD: &str = "secret";
