//! What a person reads at the end.

use std::error::Error;

use acr_examples::{Counts, Wire, peak_mebibytes};
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};

/// What went over the wire, per step.
pub(crate) fn table(wire: &Wire) {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header([
        "step",
        "challenges",
        "sign-in",
        "tokens",
        "calls",
        "storage",
        "retries",
        "ms",
    ]);
    let mut total = Counts::default();
    for step in wire.steps() {
        total += step.counts;
        table.add_row(row(step.name, step.counts, &step.took.as_millis().to_string()));
    }
    table.add_row(row("all", total, ""));
    println!("requests on the wire\n{table}");
    println!(
        "challenges: answers 401; sign-in: Entra token for refresh token; tokens: access tokens; \
         calls: requests to the registry; storage: where redirects lead; retries: among all these"
    );
    println!("distinct permission sets: {}", wire.distinct_scopes());
    match peak_mebibytes() {
        Some(peak) => println!("peak memory: {peak} MiB"),
        None => println!("peak memory: not told by this platform"),
    }
}

fn row(name: &str, counts: Counts, took: &str) -> [String; 8] {
    let Counts { challenges, exchanges, tokens, calls, storage, retries, .. } = counts;
    let numbers = [challenges, exchanges, tokens, calls, storage, retries].map(|n| n.to_string());
    let [a, b, c, d, e, f] = numbers;
    [name.to_owned(), a, b, c, d, e, f, took.to_owned()]
}

/// An error and all it is caused by.
pub(crate) fn failure(error: &(dyn Error + 'static)) {
    eprintln!("error: {error}");
    if let Some(ours) = error.downcast_ref::<acr_core::Error>() {
        eprintln!("  kind: {:?}", ours.kind());
    }
    let mut source = error.source();
    while let Some(cause) = source {
        eprintln!("  caused by: {cause}");
        source = cause.source();
    }
}
