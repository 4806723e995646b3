//! The generated part of `docs/performance.md`.

use std::{fmt::Write as _, fs, path::Path};

use crate::{cases::Sizes, machine::Machine, pairs::Judged};

pub(crate) fn table(machine: &Machine, sizes: Sizes, pairs: usize, judged: &[Judged]) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "{machine}; blobs of {} MiB, small things {} and {} times; medians of {pairs} pairs.\n",
        sizes.blob >> 20,
        sizes.count,
        sizes.count * 21
    );
    text.push_str("| case | bare, processor | ours, processor | ours ÷ bare, processor | target | ours ÷ bare, wall | sink ÷ ours | peak | hash of a GiB |\n");
    text.push_str("|---|---|---|---|---|---|---|---|---|\n");
    for one in judged {
        let (name, target) = (one.name, one.target);
        if let Some(why) = &one.void {
            let _ = writeln!(text, "| {name} | void: {why} | | | {target} | | | | |");
            continue;
        }
        let time = |seconds: f64| match one.is_small {
            true => format!("{:.1} µs", seconds * 1e6),
            false => format!("{seconds:.3} s"),
        };
        let _ = writeln!(
            text,
            "| {name} | {} | {} | **{:.2}** | {target} | {:.2} | {:.2} | {:.1} MiB | {:.2} s |",
            time(one.bare),
            time(one.ours),
            one.processor,
            one.wall,
            one.sink,
            one.peak / 1024.0,
            one.hash
        );
    }
    text
}

/// Puts it between the markers.
pub(crate) fn write(table: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/performance.md");
    let document = fs::read_to_string(&path).unwrap();
    let (before, rest) = document.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    fs::write(path, format!("{before}{BEGIN}\n{table}{END}{after}")).unwrap();
}

const BEGIN: &str = "<!-- measured by `cargo bench --bench compare -- --write` -->";

const END: &str = "<!-- end of what was measured -->";
