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

#[path = "recorded/calls.rs"]
mod calls;
#[path = "recorded/fields.rs"]
mod fields;
#[path = "recorded/recording.rs"]
mod recording;
#[path = "recorded/stage.rs"]
mod stage;
#[path = "recorded/tokens.rs"]
mod tokens;
#[path = "recorded/uploads.rs"]
mod uploads;

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
};

use calls::Outcome;
use recording::Exchange;

/// What the table shows.
#[derive(Default)]
struct Table {
    recordings: usize,
    exchanges: usize,
    checked: usize,
    refused: usize,
    challenges: usize,
    not_ours: BTreeMap<&'static str, usize>,
    rewritten: BTreeMap<&'static str, usize>,
    unverifiable: Vec<String>,
    failed: Vec<String>,
}

#[tokio::test]
async fn every_recorded_conversation_is_held_by_our_operations_too() {
    let Some(folder) = folder() else {
        assert!(env::var_os("CI").is_none(), "no recordings; ACR_RECORDINGS names their folder");
        println!("no recordings here; ACR_RECORDINGS names their folder");
        return;
    };
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "the folder has no recordings");
    let mut table = Table::default();
    for file in &files {
        replay(file, &mut table).await;
    }
    table.print();
    let not_ours: usize = table.not_ours.values().sum();
    let counted = table.checked + table.refused + table.challenges + not_ours + table.failed.len();
    assert_eq!(counted, table.exchanges, "an exchange was passed over");
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

async fn replay(file: &Path, table: &mut Table) {
    let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    table.recordings += 1;
    let exchanges = match recording::read(file) {
        Ok((recording, rewritten)) => {
            for (what, times) in rewritten {
                *table.rewritten.entry(what).or_default() += times;
            }
            recording.exchanges
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
    let mut is_done = vec![false; exchanges.len()];
    for at in 0..exchanges.len() {
        if is_done[at] {
            continue;
        }
        let group = group(&exchanges, &mut is_done, at);
        let outcome = group.check(&exchanges).await;
        table.challenges += group.preludes.len();
        let rest = group.members.len();
        match outcome {
            Ok(Outcome::Checked) => table.checked += rest,
            Ok(Outcome::CheckedBut(0, _)) => table.checked += rest,
            Ok(Outcome::CheckedBut(some, why)) => {
                table.checked += rest - some;
                *table.not_ours.entry(why).or_default() += some;
            }
            Ok(Outcome::Refused) => table.refused += rest,
            Ok(Outcome::NotOurs(why)) => *table.not_ours.entry(why).or_default() += rest,
            Err(error) => {
                let last = &exchanges[*group.members.last().unwrap()];
                let line = format!("{name}: #{at} {} {}: {error}", last.method, last.path);
                table.failed.extend(std::iter::repeat_n(line, rest));
            }
        }
    }
}

/// The exchanges that are one operation.
struct Group {
    /// Refusals that were followed by the same request with a token.
    preludes: Vec<usize>,
    members: Vec<usize>,
    /// Token calls between the first of these and the last.
    tokens: Vec<usize>,
}

fn group(exchanges: &[Exchange], is_done: &mut [bool], at: usize) -> Group {
    let mut group = Group { preludes: Vec::new(), members: Vec::new(), tokens: Vec::new() };
    let mut last = at;
    is_done[at] = true;
    let is_plain = |e: &Exchange| e.is_token_call() || e.is_storage();
    if is_plain(&exchanges[at]) {
        group.members.push(at);
        return group;
    }
    last = follow(exchanges, is_done, last, &mut group.preludes);
    group.members.push(last);
    if uploads::is_upload(&exchanges[last]) && exchanges[last].method == "POST" {
        let location = exchanges[last].response_header("location").unwrap_or_default();
        let session = location.rsplit("/blobs/uploads/").next().unwrap_or_default();
        let session = session.split('?').next().unwrap_or_default().to_owned();
        for next in last + 1..exchanges.len() {
            let is_step = uploads::is_upload(&exchanges[next])
                && uploads::session(&exchanges[next]).is_some_and(|name| name == session);
            if is_step && !is_done[next] {
                is_done[next] = true;
                let end = follow(exchanges, is_done, next, &mut group.preludes);
                group.members.push(end);
                if exchanges[end].method == "PUT" || exchanges[end].method == "DELETE" {
                    break;
                }
            }
        }
    } else if exchanges[last].status == 307 {
        let location = exchanges[last].response_header("location").unwrap_or_default();
        let storage = (last + 1..exchanges.len()).find(|&next| {
            let e = &exchanges[next];
            e.is_storage() && !is_done[next] && location.contains(e.path.as_str())
        });
        if let Some(storage) = storage {
            is_done[storage] = true;
            group.members.push(storage);
        }
    }
    let first = group.preludes.first().copied().unwrap_or(at).min(at);
    let end = *group.members.last().unwrap_or(&last);
    // Java's recorder stood inside of sign-in: its token calls come before the request.
    let first =
        (0..first).rev().take_while(|&i| exchanges[i].is_token_call()).last().unwrap_or(first);
    group.tokens = (first..end).filter(|&i| exchanges[i].is_token_call()).collect();
    group
}

/// From a 401 to the same request with a token, if there is one.
fn follow(
    exchanges: &[Exchange],
    is_done: &mut [bool],
    mut at: usize,
    preludes: &mut Vec<usize>,
) -> usize {
    while exchanges[at].status == 401 {
        let (method, path) = (&exchanges[at].method, exchanges[at].decoded_path());
        let is_same = |next: &usize| {
            let e = &exchanges[*next];
            e.method == *method && e.decoded_path() == path && e.query() == exchanges[at].query()
        };
        let others = |next: &usize| exchanges[*next].is_token_call() || is_same(next);
        let next = (at + 1..exchanges.len()).take_while(others).find(is_same);
        let Some(next) = next.filter(|next| !is_done[*next]) else { break };
        preludes.push(at);
        is_done[next] = true;
        at = next;
    }
    at
}

impl Group {
    async fn check(&self, exchanges: &[Exchange]) -> Result<Outcome, String> {
        let pick = |indexes: &[usize]| -> Vec<Exchange> {
            indexes.iter().map(|&index| exchanges[index].clone()).collect()
        };
        let members = pick(&self.members);
        let (first, following) = members.split_first().ok_or("no member")?;
        if first.is_token_call() {
            return tokens::check(first).await;
        }
        if first.is_storage() {
            return Ok(Outcome::NotOurs("the storage's answer to a download that is none of ours"));
        }
        if uploads::is_upload(first) {
            return uploads::check(&members).await;
        }
        calls::check(&pick(&self.preludes), first, following, pick(&self.tokens)).await
    }
}

impl Table {
    fn print(&self) {
        println!("recordings                        {:>6}", self.recordings);
        println!("exchanges                         {:>6}", self.exchanges);
        println!("checked                           {:>6}", self.checked);
        println!("challenges answered by the way    {:>6}", self.challenges);
        println!("arguments that our types refuse   {:>6}", self.refused);
        for (why, times) in &self.not_ours {
            println!("not ours                          {times:>6}  {why}");
        }
        println!("failed                            {:>6}", self.failed.len());
        for (what, times) in &self.rewritten {
            println!("rewritten to valid ones           {times:>6}  {what}");
        }
        println!("bodies that cannot be verified    {:>6}", self.unverifiable.len());
        for line in &self.unverifiable {
            println!("UNVERIFIABLE {line}");
        }
        for line in &self.failed {
            println!("FAILED {line}");
        }
    }
}
