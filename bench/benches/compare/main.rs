//! Ours against the yardstick; see the crate's documentation.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::future_not_send,
    reason = "a program that measures and prints"
)]

mod cases;
mod child;
mod machine;
#[path = "../../src/bin/bare/measure.rs"]
mod measure;
#[allow(dead_code, reason = "the guards do more with it")]
mod ours;
mod pairs;
mod table;

use clap::Parser;

use self::{
    cases::Sizes,
    child::Role,
    machine::Machine,
    pairs::{Judged, Place},
};

/// What our transfers cost, as ratios to what the yardstick costs
#[derive(Parser)]
struct Compare {
    /// Pairs of runs for each case
    #[arg(long, default_value_t = 5)]
    pairs: usize,
    /// How large the large blob is
    #[arg(long, default_value_t = 1024)]
    mib: u64,
    /// How often small things are done: as often, and 21 times as often; the difference is divided
    #[arg(long, default_value_t = 1_000)]
    count: u64,
    /// Only cases whose name has this in it
    #[arg(long, default_value = "")]
    case: String,
    /// Write the table into docs/performance.md
    #[arg(long)]
    write: bool,
    /// Given by `cargo bench`; ignored
    #[arg(long, hide = true, global = true)]
    bench: bool,
    #[command(subcommand)]
    role: Option<Role>,
}

fn main() {
    let told = Compare::parse();
    if let Some(role) = told.role {
        return child::run(role);
    }
    let sizes = Sizes { blob: told.mib << 20, count: told.count };
    let machine = Machine::look();
    let place = Place::new(sizes, &machine);
    let mut judged: Vec<Judged> = Vec::new();
    for case in cases::CASES.iter().filter(|case| case.name.contains(&told.case)) {
        let one = place.judge(case, told.pairs, &machine);
        println!("{one}");
        judged.push(one);
    }
    assert!(!judged.is_empty(), "no case has `{}` in its name", told.case);
    let table = table::table(&machine, sizes, told.pairs, &judged);
    println!("\n{table}");
    if told.write {
        table::write(&table);
    }
}
