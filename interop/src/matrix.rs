//! What agreed with what: rows that suites write, and the tables made of them.
//!
//! A suite appends one line of JSON for each operation that it tried with a foreign program to the
//! file that `INTEROP_ROWS` names. Suites in other languages write the same lines:
//!
//! ```json
//! {"suite":"tools","peer":"crane","version":"0.22.1","operation":"push","result":"pass","evidence":""}
//! ```
//!
//! The program `interop-matrix` turns them into the tables of `docs/interop.md`.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fmt,
    fs::OpenOptions,
    io::Write as _,
};

use serde::{Deserialize, Serialize};

use crate::error::{Attempt as _, Error, Result};

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(clippy::exhaustive_enums, reason = "test infrastructure; a match must be complete")]
pub enum Outcome {
    /// Both sides agreed, and the values were checked.
    Pass,
    /// The other side is wrong; the evidence says how that is known.
    Defect,
    /// The other side does not have the operation; the evidence says how that is known.
    Unsupported,
    /// Anything else.
    Fail,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "pass",
            Self::Defect => "defect",
            Self::Unsupported => "unsupported",
            Self::Fail => "FAIL",
        })
    }
}

/// One operation tried with one peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(clippy::exhaustive_structs, reason = "test infrastructure; suites fill in every field")]
pub struct Row {
    /// The folder or test program that tried it, such as `python`.
    pub suite: String,
    /// The foreign program or library, such as `crane`.
    pub peer: String,
    /// The version it tells of itself or is pinned at, without a distributor's suffix.
    pub version: String,
    /// What was done, in a few words.
    pub operation: String,
    /// How it ended.
    pub result: Outcome,
    /// Why it did not pass: a source that a reader can look up.
    #[serde(default)]
    pub evidence: String,
}

impl Row {
    /// Appends the row to the file that `INTEROP_ROWS` names; without the variable nothing is kept.
    ///
    /// # Errors
    ///
    /// When the file cannot be written, or an outcome other than a pass lacks its evidence.
    pub fn record(&self) -> Result<()> {
        self.check()?;
        let Some(path) = env::var_os("INTEROP_ROWS") else { return Ok(()) };
        let mut line = serde_json::to_vec(self).attempt(|| "write a row")?;
        line.push(b'\n');
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let mut file = file.attempt(|| "open the file that INTEROP_ROWS names")?;
        file.write_all(&line).attempt(|| "append a row")
    }

    /// Reads rows, one a line.
    ///
    /// # Errors
    ///
    /// When a line is not a row, or an outcome other than a pass lacks its evidence.
    pub fn read_all(text: &str) -> Result<Vec<Self>> {
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        lines
            .map(|line| {
                let row: Self = serde_json::from_str(line).attempt(|| format!("read `{line}`"))?;
                row.check()?;
                Ok(row)
            })
            .collect()
    }

    fn check(&self) -> Result<()> {
        let Self { peer, operation, result, .. } = self;
        let explained = !self.evidence.trim().is_empty();
        match result {
            Outcome::Pass | Outcome::Fail => Ok(()),
            Outcome::Defect | Outcome::Unsupported if explained => Ok(()),
            _ => Err(Error::new(format!("{peer}, {operation}: {result} needs evidence"))),
        }
    }
}

/// Which rows are no pass although nothing explains them.
pub fn failures(rows: &[Row]) -> impl Iterator<Item = &Row> {
    rows.iter().filter(|row| row.result == Outcome::Fail)
}

/// One table for a suite: operations down, peers across, notes below.
///
/// # Errors
///
/// When an operation of a peer is there twice with different results, for the table has one place.
pub fn table(rows: &[Row]) -> Result<String> {
    let peers: BTreeSet<(&str, &str)> =
        rows.iter().map(|row| (row.peer.as_str(), row.version.as_str())).collect();
    let mut cells: BTreeMap<&str, BTreeMap<(&str, &str), &Row>> = BTreeMap::new();
    for row in rows {
        let line = cells.entry(&row.operation).or_default();
        let before = line.insert((&row.peer, &row.version), row);
        if before.is_some_and(|before| before != row) {
            let Row { peer, operation, .. } = row;
            return Err(Error::new(format!("{peer} has two results for `{operation}`")));
        }
    }

    let mut notes: Vec<&str> = Vec::new();
    let mut text = String::from("| operation |");
    for (peer, version) in &peers {
        text += &format!(" {} {} |", escape(peer), escape(version));
    }
    text += "\n|---|";
    text += &"---|".repeat(peers.len());
    for (operation, line) in &cells {
        text += &format!("\n| {} |", escape(operation));
        for peer in &peers {
            let Some(row) = line.get(peer) else {
                text += " |";
                continue;
            };
            text += &format!(" {}", row.result);
            if !row.evidence.trim().is_empty() {
                let known = notes.iter().position(|note| *note == row.evidence);
                let number = known.unwrap_or_else(|| {
                    notes.push(&row.evidence);
                    notes.len() - 1
                });
                text += &format!(" ({})", number + 1);
            }
            text += " |";
        }
    }
    text += "\n";
    for (number, note) in notes.iter().enumerate() {
        text += &format!("\n{}. {}", number + 1, note.trim());
    }
    if !notes.is_empty() {
        text += "\n";
    }
    Ok(text)
}

fn escape(text: &str) -> String {
    text.replace('|', "\\|")
}

/// Puts a suite's table between its two marks in a document.
///
/// # Errors
///
/// When the document lacks the marks.
pub fn replace_section(document: &str, suite: &str, table: &str) -> Result<String> {
    let (open, close) = (format!("<!-- suite: {suite} -->\n"), format!("<!-- end: {suite} -->"));
    let missing = || Error::new(format!("the document lacks `{}` or its end", open.trim()));
    let (head, rest) = document.split_once(&open).ok_or_else(missing)?;
    let (_, tail) = rest.split_once(&close).ok_or_else(missing)?;
    Ok(format!("{head}{open}\n{table}\n{close}{tail}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(peer: &str, operation: &str, result: Outcome, evidence: &str) -> Row {
        Row {
            suite: "tools".into(),
            peer: peer.into(),
            version: "1".into(),
            operation: operation.into(),
            result,
            evidence: evidence.into(),
        }
    }

    #[test]
    fn table_has_a_column_for_each_peer_and_notes_once() {
        let rows = [
            row("b", "push", Outcome::Pass, ""),
            row("a", "push", Outcome::Defect, "issue 1"),
            row("a", "delete", Outcome::Defect, "issue 1"),
        ];
        let text = table(&rows).unwrap();
        assert_eq!(
            text,
            "| operation | a 1 | b 1 |\n|---|---|---|\n| delete | defect (1) | |\n\
             | push | defect (1) | pass |\n\n1. issue 1\n"
        );
    }

    #[test]
    fn contradiction_is_an_error() {
        let rows = [row("a", "push", Outcome::Pass, ""), row("a", "push", Outcome::Fail, "")];
        let text = table(&rows).unwrap_err().to_string();
        assert!(text.contains("a has two results for `push`"), "{text}");
    }

    #[test]
    fn defect_without_evidence_is_refused() {
        let line = serde_json::to_string(&row("a", "push", Outcome::Defect, " ")).unwrap();
        let text = Row::read_all(&line).unwrap_err().to_string();
        assert!(text.contains("a, push: defect needs evidence"), "{text}");
    }

    #[test]
    fn section_is_replaced_between_its_marks_only() {
        let document = "head\n<!-- suite: tools -->\nold\n<!-- end: tools -->\nfoot\n";
        let new = replace_section(document, "tools", "table\n").unwrap();
        assert_eq!(new, "head\n<!-- suite: tools -->\n\ntable\n\n<!-- end: tools -->\nfoot\n");
        assert_eq!(replace_section(&new, "tools", "table\n").unwrap(), new);
        assert!(replace_section(document, "other", "").is_err());
    }
}
