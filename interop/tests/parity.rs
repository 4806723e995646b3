//! The tables of docs/from-python.md and docs/from-go.md: every public name of the two
//! SDKs has a row, and every row a test that exists.
//!
//! The names are in `parity/`, one a line, as the packages themselves list them
//! (Python: `__all__` and the members and keywords of each class; Go: `go doc -all`).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop at the first surprise"
)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// A row of a table whose last column is headed `test`.
struct Row {
    line: usize,
    cells: Vec<String>,
}

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs")
}

/// The rows of all tables, and the headings of tables without a column for tests.
fn rows(text: &str) -> (Vec<Row>, Vec<usize>) {
    let (mut rows, mut without) = (Vec::new(), Vec::new());
    let lines: Vec<&str> = text.lines().collect();
    let cells = |line: &str| -> Vec<String> {
        let line = line.trim().trim_start_matches('|').trim_end_matches('|');
        line.split(" | ").map(|cell| cell.trim().to_owned()).collect()
    };
    let mut is_tested = false;
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| line.starts_with('|')) {
        let is_rule = |line: &&&str| line.starts_with("|---");
        if lines.get(at + 1).as_ref().is_some_and(is_rule) {
            is_tested = cells(line).last().is_some_and(|cell| cell == "test");
            if !is_tested {
                without.push(at + 1);
            }
        } else if is_tested && !is_rule(&line) {
            rows.push(Row { line: at + 1, cells: cells(line) });
        }
    }
    (rows, without)
}

/// The links of a cell: the name shown and the file it leads to.
fn links(cell: &str) -> Vec<(String, String)> {
    cell.split("[`")
        .skip(1)
        .filter_map(|rest| {
            let (name, rest) = rest.split_once("`](")?;
            Some((name.to_owned(), rest.split_once(')')?.0.to_owned()))
        })
        .collect()
}

/// What is wrong with a test that a row names.
fn defect(name: &str, file: &Path) -> Option<String> {
    let Ok(text) = fs::read_to_string(file) else {
        return Some(format!("{} is not there", file.display()));
    };
    let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
    let call = format!("fn {name}(");
    let at = lines.iter().position(|line| line.trim_start_matches("async ").starts_with(&call));
    let Some(at) = at else { return Some(format!("no `{name}` in {}", file.display())) };
    let attributes = lines[..at].iter().rev().take_while(|line| line.starts_with("#["));
    let mut attributes = attributes.copied();
    let is_test =
        attributes.any(|line| line.starts_with("#[test") || line.starts_with("#[tokio::test"));
    (!is_test).then(|| format!("`{name}` is no test"))
}

fn check(document: &str, names: &str) {
    let text = fs::read_to_string(docs().join(document)).unwrap();
    let (rows, without) = rows(&text);
    assert!(rows.len() > 20, "{document}: {} rows", rows.len());
    assert!(without.is_empty(), "{document}: tables without tests in lines {without:?}");
    let mut defects = Vec::new();
    for row in &rows {
        let tests = links(row.cells.last().unwrap());
        if tests.is_empty() {
            defects.push(format!("line {}: no test", row.line));
        }
        for (name, file) in tests {
            let found = defect(&name, &docs().join(file));
            defects.extend(found.map(|defect| format!("line {}: {defect}", row.line)));
        }
    }
    let said: BTreeSet<&str> = rows
        .iter()
        .flat_map(|row| row.cells[0].split(|c: char| !(c.is_alphanumeric() || c == '_')))
        .collect();
    let names =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity").join(names))
            .unwrap();
    let mut count = 0;
    for name in names.lines().map(str::trim).filter(|line| !line.is_empty()) {
        count += 1;
        // `Class.member`: both words, in one row or in two.
        let missing: Vec<&str> = name.split('.').filter(|word| !said.contains(word)).collect();
        if !missing.is_empty() {
            defects.push(format!("`{name}` has no row ({missing:?})"));
        }
    }
    assert!(count > 50, "{document}: {count} names");
    assert!(defects.is_empty(), "{document}:\n{}", defects.join("\n"));
}

#[test]
fn every_name_of_the_python_package_has_a_row_and_every_row_a_test() {
    check("from-python.md", "python-1.2.0.txt");
}

#[test]
fn every_name_of_the_go_module_has_a_row_and_every_row_a_test() {
    check("from-go.md", "go-0.2.3.txt");
}

#[test]
fn every_decision_of_the_emulator_has_a_test() {
    let text = fs::read_to_string(docs().join("emulator.md")).unwrap();
    let (rows, _) = rows(&text);
    assert_eq!(rows.len(), 20, "rows");
    for row in rows {
        let tests = links(row.cells.last().unwrap());
        assert!(!tests.is_empty(), "line {}: no test", row.line);
        for (name, file) in tests {
            assert_eq!(defect(&name, &docs().join(file)), None, "line {}", row.line);
        }
    }
}

#[test]
fn a_test_that_is_none_or_is_gone_is_a_defect() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity.rs");
    assert_eq!(defect("a_test_that_is_none_or_is_gone_is_a_defect", &here), None);
    for (name, file) in [
        ("a_test_that_was_renamed", here.clone()),
        ("links", here.clone()),
        ("links", here.with_file_name("gone.rs")),
    ] {
        assert!(defect(name, &file).is_some(), "{name}");
    }
    let (rows, without) =
        rows("| a | test |\n|---|---|\n| b | [`c`](d.rs) |\n\n| e |\n|---|\n| f |\n");
    assert_eq!((rows.len(), without), (1, vec![5]));
    assert_eq!(links(&rows[0].cells[1]), [("c".to_owned(), "d.rs".to_owned())]);
}
