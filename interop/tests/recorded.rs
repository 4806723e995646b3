//! Conversations of other clients with real registries, replayed against ours.
//!
//! Every recorded request that an operation of ours would make is made by that
//! operation, answered as recorded, and compared: what we sent, and what came out.
//! `ACR_RECORDINGS` names the folder.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    reason = "tests may stop at the first surprise"
)]

#[path = "recorded/blobs.rs"]
mod blobs;
#[path = "recorded/calls.rs"]
mod calls;
#[path = "recorded/compare.rs"]
mod compare;
#[path = "recorded/fields.rs"]
mod fields;
#[path = "recorded/grouping.rs"]
mod grouping;
#[path = "recorded/lists.rs"]
mod lists;
#[path = "recorded/made_up/mod.rs"]
mod made_up;
#[path = "recorded/recording.rs"]
mod recording;
#[path = "recorded/replay.rs"]
mod replay;
#[path = "recorded/sanitised.rs"]
mod sanitised;
#[path = "recorded/stage.rs"]
mod stage;
#[path = "recorded/table.rs"]
mod table;
#[path = "recorded/target.rs"]
mod target;
#[path = "recorded/tokens.rs"]
mod tokens;
#[path = "recorded/uploads.rs"]
mod uploads;

use std::{
    env,
    path::{Path, PathBuf},
};

#[tokio::test]
async fn every_recorded_conversation_is_held_by_our_operations_too() {
    let Some(folder) = folder() else {
        assert!(env::var_os("CI").is_none(), "no recordings; ACR_RECORDINGS names their folder");
        println!("no recordings here; ACR_RECORDINGS names their folder");
        return;
    };
    let table = replay::folder(&folder).await;
    table.print();
    assert!(table.is_complete(), "an exchange was passed over");
    assert!(table.failed.is_empty(), "{} exchanges failed", table.failed.len());
}

fn folder() -> Option<PathBuf> {
    if let Some(folder) = env::var_os("ACR_RECORDINGS") {
        return Some(folder.into());
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?;
    let folder = root.join("../shared/recordings/normalized");
    folder.is_dir().then_some(folder)
}
