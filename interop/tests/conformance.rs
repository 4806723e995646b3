//! The OCI distribution conformance suite judges the program `acr-emulator`.
#![cfg(feature = "servers")]

use std::{collections::BTreeMap, error::Error};

use acr_interop::{Candidate, Check, ConformanceSuite, EmulatorProcess, Verdict};

type Result<T = (), E = Box<dyn Error>> = std::result::Result<T, E>;

/// How many checks of a name.
type Counts = BTreeMap<String, usize>;

#[tokio::test]
async fn the_profile_of_the_specification_fails_no_check() -> Result {
    let checks = judge("oci").await?;
    let failed: Vec<_> = checks.iter().filter(|c| c.verdict == Verdict::Failed).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!(count(&checks, Verdict::Passed), 818);
    // Four mounts, two of them without a source, with a token that the suite keeps for one repository: they become uploads, as
    // everywhere (FACTS.md 0, the seventh).
    assert_eq!((checks.len(), count(&checks, Verdict::Skipped)), (822, 4));
    Ok(())
}

/// Both a new failure and one that is gone are red.
#[tokio::test]
async fn the_profile_of_acr_fails_exactly_what_real_registries_fail() -> Result {
    let known = known(include_str!("conformance/acr.txt"))?;
    let checks = judge("acr").await?;
    let mut failed = Counts::new();
    for check in checks.iter().filter(|check| check.verdict == Verdict::Failed) {
        *failed.entry(check.name.clone()).or_default() += 1;
    }
    let differ: Vec<_> = known
        .keys()
        .chain(failed.keys())
        .filter(|name| known.get(*name) != failed.get(*name))
        .map(|name| (name, known.get(name), failed.get(name)))
        .collect();
    assert!(differ.is_empty(), "name, known, failed: {differ:#?}");
    assert_eq!(count(&checks, Verdict::Passed), 582);
    // The checks of what it may lack: tags deleted by name, ranges from the end, mounts without
    // a source. A skipped way leads to another, so that there are more checks than above.
    assert_eq!((checks.len(), count(&checks, Verdict::Skipped)), (850, 30));
    Ok(())
}

/// Runs the suite against the program with a profile.
#[allow(clippy::print_stdout, reason = "the totals are what whoever runs the suite looks for")]
async fn judge(profile: &str) -> Result<Vec<Check>> {
    let user = format!("{USER}:{PASSWORD}");
    let emulator = EmulatorProcess::start(["--profile", profile, "--user", &user]).await?;
    // By name, so that the storage, which is reached by address, is another host as it is in
    // reality: Go keeps the credential on a redirect to the same host, whatever the port.
    let endpoint = emulator.told("endpoint")?.replace("127.0.0.1", "localhost");
    let authority = endpoint.trim_start_matches("http://");
    let suite = ConformanceSuite::build().await?;
    let checks = suite.run(&Candidate::plain(authority, USER, PASSWORD)).await?;
    let [passed, failed, skipped] =
        [Verdict::Passed, Verdict::Failed, Verdict::Skipped].map(|verdict| count(&checks, verdict));
    println!(
        "profile {profile}: {} checks, {passed} passed, {failed} failed, {skipped} skipped",
        checks.len()
    );
    assert_eq!(count(&checks, Verdict::Disabled), 0, "something was not looked at");
    Ok(checks)
}

fn count(checks: &[Check], verdict: Verdict) -> usize {
    checks.iter().filter(|check| check.verdict == verdict).count()
}

/// The checks that Azure Container Registry fails. Each stands under its evidence.
fn known(text: &str) -> Result<Counts> {
    let mut known = Counts::new();
    let mut evidence: Option<String> = None;
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if line.starts_with('[') {
            evidence = Some(String::new());
        } else if let Some((number, name)) = line.trim().split_once(" x ") {
            let explained = evidence.as_ref().is_some_and(|evidence| !evidence.trim().is_empty());
            if !explained || known.insert(name.to_owned(), number.parse()?).is_some() {
                return Err(format!("no evidence, or twice: `{line}`").into());
            }
        } else if let Some(evidence) = &mut evidence {
            evidence.push_str(line);
        }
    }
    Ok(known)
}

#[test]
fn a_known_failure_without_evidence_is_refused() -> Result {
    assert_eq!(known("[a]\nbecause\n 2 x b/c\n")?, Counts::from([("b/c".to_owned(), 2)]));
    assert!(known("[a]\n 2 x b/c\n").is_err());
    assert!(known("1 x b/c\n").is_err());
    assert!(known("[a]\nbecause\n1 x b\n1 x b\n").is_err());
    Ok(())
}

const USER: &str = "tester";
const PASSWORD: &str = "secret";
