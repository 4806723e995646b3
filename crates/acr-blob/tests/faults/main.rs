//! The fault matrix: every fault at every step of a transfer, against the emulator.
//!
//! Most cases run in process with a paused clock, those that are about bytes or TLS over sockets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    reason = "tests may stop at the first surprise"
)]

mod matrix;
#[path = "../modes/mod.rs"]
mod modes;
mod transfer;

use std::collections::{BTreeMap, BTreeSet};

use crate::matrix::{Case, Door, Plan};

#[tokio::test(start_paused = true)]
async fn in_process() {
    run(Door::Process).await;
}

#[tokio::test]
async fn over_sockets() {
    run(Door::Socket).await;
}

async fn run(door: Door) {
    let cases: Vec<Case> = matrix::cases().into_iter().filter(|case| case.is_for(door)).collect();
    let mut failures = Vec::new();
    for case in &cases {
        let Plan::Faults(plan) = &case.plan else { continue };
        let found = transfer::run(case.step, plan, door).await;
        if let Err(what) = found.and_then(|outcome| case.judge(&outcome)) {
            failures.push(format!("{} {} `{plan}`: {what}", case.fault, case.step));
        }
    }
    println!("{} cases, {} failed", cases.len(), failures.len());
    assert!(cases.len() > 10 && failures.is_empty(), "\n{}", failures.join("\n"));
}

/// Nothing is left out, and what cannot be met says why or where it is tested.
#[test]
fn every_fault_has_a_line_for_every_step() {
    let mut seen: BTreeMap<u32, BTreeSet<&str>> = BTreeMap::new();
    let cases = matrix::cases();
    for case in &cases {
        seen.entry(case.fault[1..].parse().unwrap()).or_default().insert(case.step);
        if let Plan::Elsewhere(why) = &case.plan {
            assert!(!why.is_empty(), "{} {}", case.fault, case.step);
        }
    }
    assert!(seen.keys().copied().eq(1..=46), "{:?}", seen.keys());
    assert!(seen.values().all(|steps| steps.len() == 4), "{seen:?}");
}
