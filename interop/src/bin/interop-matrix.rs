//! Writes the rows of a suite into `docs/interop.md`, or checks that they stand there.
//!
//! ```text
//! interop-matrix write|check docs/interop.md SUITE ROWS
//! ```

use std::{env, fs, process::ExitCode};

use acr_interop::matrix::{Row, failures, replace_section, table};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("interop-matrix: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [mode, document, suite, rows] = arguments.as_slice() else {
        return Err("usage: interop-matrix write|check DOCUMENT SUITE ROWS".into());
    };
    let rows = Row::read_all(&fs::read_to_string(rows)?)?;
    if rows.is_empty() {
        return Err(format!("the suite {suite} recorded nothing").into());
    }
    if let Some(row) = rows.iter().find(|row| row.suite != *suite) {
        return Err(format!("a row of `{}` among those of `{suite}`", row.suite).into());
    }
    let failed: Vec<String> = failures(&rows)
        .map(|row| format!("{}: {}: {}", row.peer, row.operation, row.evidence))
        .collect();
    if !failed.is_empty() {
        return Err(format!("unexplained failures:\n{}", failed.join("\n")).into());
    }

    let old = fs::read_to_string(document)?;
    let new = replace_section(&old, suite, &table(&rows)?)?;
    match mode.as_str() {
        "write" => Ok(fs::write(document, new)?),
        "check" if old == new => Ok(()),
        "check" => {
            // The lines that differ, for whoever reads the log of a machine far away.
            for line in new.lines().filter(|line| !old.contains(*line)) {
                eprintln!("+ {line}");
            }
            for line in old.lines().filter(|line| !new.contains(*line)) {
                eprintln!("- {line}");
            }
            Err(format!("{document} does not say what `{suite}` found; write it with: bash interop/run --write {suite}").into())
        }
        other => Err(format!("unknown mode `{other}`").into()),
    }
}
