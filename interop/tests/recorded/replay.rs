//! Replays a folder of recordings.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    calls::{self, Outcome},
    grouping::{Conversation, group},
    recording,
    table::Table,
    tokens, uploads,
};

/// Replays every recording of a folder.
pub(crate) async fn folder(folder: &Path) -> Table {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "the folder has no recordings");
    let mut table = Table::default();
    for path in &files {
        file(path, &mut table).await;
    }
    table
}

/// Replays one recording.
pub(crate) async fn file(path: &Path, table: &mut Table) {
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    table.recordings += 1;
    let exchanges = match recording::read(path) {
        Ok((exchanges, rewritten)) => {
            for (what, times) in rewritten {
                *table.rewritten.entry(what).or_default() += times;
            }
            exchanges
        }
        Err(error) => {
            table.exchanges += 1;
            table.failed.push(format!("{name}: unreadable: {error}"));
            return;
        }
    };
    table.exchanges += exchanges.len();
    for exchange in exchanges.iter().filter(|exchange| exchange.is_unverifiable()) {
        table.unverifiable.push(format!("{name}: {} {}", exchange.method, exchange.path));
    }
    for mut conversation in group(&exchanges) {
        let challenges: usize = conversation.steps.iter().map(|step| step.challenges.len()).sum();
        let own = conversation.steps.len();
        let line = conversation.steps.last().map_or_else(String::new, |step| {
            format!("{name}: #{} {} {}", conversation.at, step.last.method, step.last.path)
        });
        let outcome = if conversation.steps.iter().any(|step| step.last.is_altered()) {
            Err("the body is not the one that the recorder vouches for".to_owned())
        } else {
            // Boxed, so that the futures of tests stay small.
            Box::pin(check(&mut conversation)).await
        };
        table.challenges += challenges;
        match outcome {
            Ok(Outcome::Checked(operation)) => {
                table.checked += own;
                *table.by_operation.entry(operation).or_default() += own;
            }
            Ok(Outcome::CheckedWith(operation, implied)) => {
                table.checked += own;
                table.implied += implied;
                *table.by_operation.entry(operation).or_default() += own;
            }
            Ok(Outcome::Refused) => table.refused += own,
            Ok(Outcome::NotOurs(why)) => *table.not_ours.entry(why).or_default() += own,
            Err(why) => {
                table.failed.extend(std::iter::repeat_n(format!("{line}: {why}"), own));
            }
        }
    }
}

async fn check(conversation: &mut Conversation) -> Result<Outcome, String> {
    let first = &conversation.steps.first().ok_or("no step")?.last;
    if first.is_token_call() {
        return Box::pin(tokens::check(first)).await;
    }
    if first.is_storage() {
        return Ok(Outcome::NotOurs("the storage's answer to a redirect that was not recorded"));
    }
    if first.is_upload() {
        return Box::pin(uploads::check(conversation)).await;
    }
    Box::pin(calls::check(conversation)).await
}
