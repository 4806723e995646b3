//! The tables of docs/from-python.md and docs/from-go.md: every public name of the two
//! SDKs has a row, and every row a test that exists.
//!
//! The names are in `parity/`, one a line, as the packages themselves list them
//! (Python: `__all__` and the members and keywords of each class; Go: `go doc -all`, the same
//! for 0.2.2 and 0.2.3).
//!
//! A member counts only as the member of its type. In the first cell of a row it stands
//!
//! - with its type: `Type.member`; and `Type.method(keyword=)` names the keyword too;
//! - in brackets after the type: `Type` (`one`, `two`);
//! - after a colon, to the next semicolon or the end: `Type`, `Other`: `one`, `two`.
//!
//! Words outside of code are prose and name nothing.
//!
//! The samples of both are listed too (Python's files, the functions of Go's
//! `example_*_test.go`), and each has an example here.

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

/// The types (`Type`) and members (`Type.member`) that a cell names.
fn named(cell: &str) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    // Whose members follow, what was named last, and whether a bracket or a colon is open.
    let (mut owners, mut last) = (Vec::<String>::new(), Vec::<String>::new());
    let (mut in_brackets, mut after_colon) = (false, false);
    for (at, part) in cell.split('`').enumerate() {
        if at % 2 == 0 {
            for sign in part.chars() {
                match sign {
                    '(' => {
                        in_brackets = true;
                        owners = last.last().cloned().into_iter().collect();
                    }
                    ':' => {
                        after_colon = true;
                        owners.clone_from(&last);
                    }
                    ')' | ';' => {
                        (in_brackets, after_colon) = (false, false);
                        last.clear();
                    }
                    _ => {}
                }
            }
            continue;
        }
        let (name, keywords) = part.split_once('(').unwrap_or((part, ""));
        let name = name.trim_end_matches('=');
        if in_brackets || after_colon {
            named.extend(owners.iter().map(|owner| format!("{owner}.{name}")));
            // Go's constants have names of their own, which begin with that of their type.
            if owners.iter().any(|owner| name.starts_with(owner)) {
                named.insert(name.to_owned());
            }
            continue;
        }
        named.insert(name.to_owned());
        last.push(name.to_owned());
        let owner = name.rsplit_once('.').map_or(name, |(owner, _)| owner);
        let keywords = keywords.split(|c: char| !(c.is_alphanumeric() || c == '_'));
        named
            .extend(keywords.filter(|word| !word.is_empty()).map(|word| format!("{owner}.{word}")));
    }
    named
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
    let said: BTreeSet<String> = rows.iter().flat_map(|row| named(&row.cells[0])).collect();
    let names =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity").join(names))
            .unwrap();
    let mut count = 0;
    for name in names.lines().map(str::trim).filter(|line| !line.is_empty()) {
        count += 1;
        if !said.contains(name) {
            defects.push(format!("`{name}` has no row"));
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
    check("from-go.md", "go-0.2.2.txt");
}

/// Why an example does not stand for a sample of the other packages: CI compares what it prints, and
/// its source says where it does what the sample does.
fn sample_defect(sample: &str, example: &str, source: &Path) -> Option<String> {
    let examples = docs().join("../examples");
    let Ok(text) = fs::read_to_string(source) else {
        return Some(format!("{} is not there", source.display()));
    };
    let known = fs::read_to_string(examples.join("Cargo.toml")).unwrap();
    if !known.contains(&format!("[[example]]\nname = \"{example}\"\npath = \"{example}.rs\"")) {
        return Some(format!("`{example}` is no example"));
    }
    let first_word = |path: &Path| {
        let text = fs::read_to_string(path).unwrap_or_default();
        text.split_whitespace().next().unwrap_or_default().to_owned()
    };
    let mut expected = fs::read_dir(examples.join("expected")).unwrap();
    if !expected.any(|file| first_word(&file.unwrap().path()) == example) {
        return Some(format!("nobody knows what `{example}` prints"));
    }
    // `Example_whole` is a program, `ExampleType_Method_variant` a call, `ExampleNew` a function.
    // What begins otherwise is a file of Python's.
    let said = match sample.strip_prefix("Example").and_then(|rest| rest.split_once('_')) {
        None => sample.trim_start_matches("Example"),
        Some(("", _)) => sample,
        Some((_, method)) => method.split('_').next().unwrap(),
    };
    let is_said =
        text.split(|sign: char| !(sign.is_alphanumeric() || sign == '_')).any(|word| word == said);
    (!is_said).then(|| format!("`{example}` does not say where it does `{said}`"))
}

/// Each of these samples has a row, and each row an example.
fn check_samples(document: &str, names: &str, prefix: &str) {
    let text = fs::read_to_string(docs().join(document)).unwrap();
    let names = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity").join(names);
    let names = fs::read_to_string(names).unwrap();
    let (mut said, mut defects) = (Vec::new(), Vec::new());
    for row in rows(&text).0.iter().filter(|row| row.cells[0].starts_with(prefix)) {
        let sample = row.cells[0].trim_matches('`');
        said.push(sample.to_owned());
        let found = links(&row.cells[1]);
        if found.is_empty() {
            defects.push(format!("line {}: no example", row.line));
        }
        for (example, file) in found {
            let found = sample_defect(sample, &example, &docs().join(file));
            defects.extend(found.map(|defect| format!("line {}: {defect}", row.line)));
        }
    }
    said.sort_unstable();
    assert_eq!(said, names.lines().collect::<Vec<_>>(), "{document}");
    assert!(defects.is_empty(), "{document}:\n{}", defects.join("\n"));
}

#[test]
fn g11_every_sample_of_the_go_module_is_an_example_whose_output_is_compared() {
    check_samples("from-go.md", "go-samples-0.2.3.txt", "`Example");
}

#[test]
fn g11_every_sample_of_the_python_package_is_an_example_whose_output_is_compared() {
    check_samples("from-python.md", "python-samples-1.2.0.txt", "`sample_");
}

#[test]
fn every_decision_of_the_emulator_has_a_test() {
    let text = fs::read_to_string(docs().join("emulator.md")).unwrap();
    let (rows, _) = rows(&text);
    assert!(rows.len() >= 22, "{} rows", rows.len());
    for row in rows {
        let tests = links(row.cells.last().unwrap());
        assert!(!tests.is_empty(), "line {}: no test", row.line);
        for (name, file) in tests {
            assert_eq!(defect(&name, &docs().join(file)), None, "line {}", row.line);
        }
    }
}

#[test]
fn every_finding_has_a_row_and_tests_that_exist() {
    let text = fs::read_to_string(docs().join("findings.md")).unwrap();
    let (rows, without) = rows(&text);
    assert!(without.is_empty(), "tables without tests in lines {without:?}");
    let sections = [('A', 11), ('B', 11), ('C', 12), ('D', 4), ('E', 8), ('F', 4), ('G', 13)];
    let entries: Vec<String> = sections
        .iter()
        .flat_map(|(section, count)| (1..=*count).map(move |n| format!("{section}{n}")))
        .collect();
    let said: Vec<&str> = rows.iter().map(|row| row.cells[0].as_str()).collect();
    assert_eq!(said, entries);
    let mut defects = Vec::new();
    for row in &rows {
        let tests = links(row.cells.last().unwrap());
        if tests.is_empty() || row.cells.iter().any(String::is_empty) {
            defects.push(format!("line {}: an empty cell, or no test", row.line));
        }
        for (name, file) in tests {
            let found = defect(&name, &docs().join(file));
            defects.extend(found.map(|defect| format!("line {}: {defect}", row.line)));
        }
    }
    assert!(defects.is_empty(), "{}", defects.join("\n"));
}

#[test]
fn g13_the_documents_name_the_refusal_of_tokens_for_azures_manager() {
    let text = fs::read_to_string(docs().join("errors.md")).unwrap();
    let row = text.lines().find(|line| line.contains("arm aad token disallowed")).unwrap();
    assert!(row.contains("https://containerregistry.azure.net/.default"), "the remedy");
}

#[test]
fn g12_a_member_counts_only_as_the_member_of_its_type() {
    let all = |cell: &str| named(cell).into_iter().collect::<Vec<_>>().join(" ");
    assert_eq!(all("`A.b(c, d=)`"), "A.b A.c A.d");
    assert_eq!(all("`A` (`b`, `c`), `D`: `e`"), "A A.b A.c D D.e");
    assert_eq!(all("`A`, `B`: `c`, `d`; `E`"), "A A.c A.d B B.c B.d E");
    assert_eq!(all("`New(a)`, `A` (`b`)"), "A A.b New New.a");
    assert_eq!(all("`A`: `AOne`"), "A A.AOne AOne");
    // A type in one row and a member in another, or in words, are no member of it.
    for cell in ["`A`", "`b`", "A.b", "`A`, `b`", "`B`: `b`; `A`", "`B` (`b`), `A`", "A: `b`"] {
        assert!(!named(cell).contains("A.b"), "{cell}");
    }
}

#[test]
fn g11_an_example_that_is_gone_or_does_something_else_is_a_defect() {
    let of = |sample, example| {
        sample_defect(sample, example, &docs().join(format!("../examples/{example}.rs")))
    };
    assert_eq!(of("ExampleClient_DeleteTag", "tidy_repository"), None);
    assert_eq!(of("ExampleClient_DeleteTag_again", "tidy_repository"), None);
    for (sample, example) in [
        ("ExampleClient_DeleteTag", "blob_steps"),
        ("ExampleClient_DeleteTags", "tidy_repository"),
        ("Example_deleteImages", "tidy_repository"),
        ("ExampleNewClient", "blob_steps"),
        ("ExampleClient_DeleteTag", "gone"),
        // Not compared with anything.
        ("ExampleClient_NewClient", "bring_your_own_layers"),
    ] {
        assert!(of(sample, example).is_some(), "{sample} {example}");
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
