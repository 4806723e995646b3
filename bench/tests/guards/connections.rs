//! As many connections as requests run at once.

use std::time::Duration;

use acr_bench::bounds::hold;
use acr_core::Digest;
use acr_testkit::SinkBuilder;
use tokio::task::JoinSet;

use crate::{
    ours::Ours,
    support::{Beside, SMALL, digest},
};

const TASKS: usize = 64;

/// So many gets of each task.
async fn at_once(ours: &Ours, small: &Digest, count: usize) {
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let (ours, small) = (ours.clone(), small.clone());
        tasks.spawn(async move {
            for _ in 0..count {
                ours.get(&small).await;
            }
        });
    }
    tasks.join_all().await;
}

#[test]
fn tasks_take_turns_on_as_many_connections_as_there_are_tasks() {
    // So long that all tasks wait at once, however slow this machine is.
    let sink = SinkBuilder::new().latency(Duration::from_millis(2));
    let (beside, small) = (Beside::with(sink), digest(SMALL));
    let ours = beside.ours("bench/a");
    let warm_up = async {
        // A task whose first answer comes while others still connect leaves them one more.
        at_once(&ours, &small, 1).await;
        at_once(&ours, &small, 15).await;
    };
    let warm = beside.counted(warm_up).connections;
    let after = beside.counted(at_once(&ours, &small, 64)).connections;
    hold("connections: 64 tasks, 80 requests each", (warm + after) as f64);
    hold("connections: after the warm-up of these tasks", after as f64);
}

#[test]
fn what_ran_at_once_finds_its_connections_again() {
    let (beside, small) = (Beside::new(), digest(SMALL));
    let ours = beside.ours("bench/a");
    let stats = beside.counted(async {
        for _ in 0..80 {
            at_once(&ours, &small, 1).await;
        }
    });
    hold("connections: 80 times 64 gets at once", stats.connections as f64);
}

#[test]
fn requests_one_after_another_share_a_connection() {
    let (beside, small) = (Beside::new(), digest(SMALL));
    let ours = beside.ours("bench/a");
    let stats = beside.counted(async {
        for _ in 0..100 {
            ours.get(&small).await;
        }
        ours.tags().await;
    });
    hold("connections: one after another", stats.connections as f64);
}
