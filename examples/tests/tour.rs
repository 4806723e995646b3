//! The tour: what it sends, and how it fails.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop at the first surprise"
)]

mod support;
#[path = "../tour.rs"]
#[allow(dead_code, unreachable_pub, reason = "its main function is not called here")]
mod tour;

use std::{
    path::Path,
    process::{Command, Stdio},
};

use acr_core::{Error, ErrorKind};
use acr_examples::{Counts, Registry, Wire, connect};
use acr_testkit::{FakeRegistry, Fault, Operation};
use clap::Parser as _;
use support::{Emulator, folder};

fn options(arguments: &[&Path]) -> tour::Options {
    let program = Path::new("tour");
    tour::Options::parse_from(std::iter::once(&program).chain(arguments))
}

#[tokio::test]
async fn nothing_is_challenged_and_no_token_is_fetched_twice() {
    let folder = folder();
    let registry = Registry::emulator(&FakeRegistry::new()).await.unwrap();
    let wire = Wire::default();
    let pipeline = connect(&registry, &wire).unwrap();
    Box::pin(tour::run(options(&[folder.path()]), pipeline, &wire)).await.unwrap();
    registry.shutdown().await;

    let mut total = Counts::default();
    for step in wire.steps() {
        total += step.counts;
    }
    assert_eq!(total.challenges, 0);
    assert_eq!(total.exchanges, 1);
    assert_eq!(total.retries, 0);
    // Of the six sets of rights that are needed, one is part of another.
    assert_eq!((wire.distinct_scopes(), total.tokens), (6, 5));
}

#[tokio::test]
async fn a_wrong_byte_in_a_layer_is_an_integrity_error_and_leaves_no_file() {
    let fake = FakeRegistry::new();
    fake.inject(Fault::corrupt(Operation::GetStorage, 2));
    let registry = Registry::emulator(&fake).await.unwrap();
    let wire = Wire::default();
    let pipeline = connect(&registry, &wire).unwrap();
    let (source, target) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(source.path().join("file"), b"content").unwrap();
    let options = options(&[source.path(), Path::new("--pull-into"), target.path()]);
    let error = Box::pin(tour::run(options, pipeline, &wire)).await.unwrap_err();
    registry.shutdown().await;
    assert_eq!(error.downcast_ref::<Error>().unwrap().kind(), ErrorKind::Integrity);
    assert_eq!(std::fs::read_dir(target.path()).unwrap().count(), 0);
}

#[test]
fn the_program_exits_with_failure_on_a_wrong_byte_and_with_success_otherwise() {
    for (arguments, succeeds) in
        [(&["--faults", "corrupt op=get_storage at=2"][..], false), (&[], true)]
    {
        let emulator = Emulator::start(arguments);
        let (source, target) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(source.path().join("file"), b"content").unwrap();
        let output = Command::new(support::tour())
            .arg(source.path())
            .arg("--pull-into")
            .arg(target.path())
            .envs(emulator.environment())
            .env("RUST_LOG", "trace")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), succeeds, "{errors}");
        assert_eq!(errors.contains("kind: Integrity"), !succeeds, "{errors}");
        assert_eq!(std::fs::read_dir(target.path()).unwrap().count(), usize::from(succeeds));
        for part in emulator.entra_token.split('.').filter(|part| part.len() > 8) {
            assert!(!errors.contains(part), "the Entra token was printed");
        }
    }
}
