//! Items of a list that cannot be read, and how a list tells of them.

use std::fmt;

use crate::http::{
    error::{Error, ErrorKind},
    redact::printable_up_to,
};

/// An item of a list that could not be read, and was therefore not given.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unreadable {
    /// The item as the server wrote it, its beginning if it is long, made printable.
    pub text: String,
    /// What it lacks.
    pub reason: String,
}

impl Unreadable {
    /// An item, from the server's text of it.
    pub fn new(text: &str, reason: impl Into<String>) -> Self {
        let text = printable_up_to(text, MAX_TEXT).to_string();
        Self { text, reason: reason.into() }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.text, self.reason)
    }
}

/// What a list could not read so far: how many, and the first of them.
#[derive(Debug, Default)]
pub(crate) struct Skipped {
    count: usize,
    first: Vec<Unreadable>,
}

impl Skipped {
    pub(crate) fn add(&mut self, items: &[Unreadable]) {
        self.count = self.count.saturating_add(items.len());
        let room = MAX_KEPT.saturating_sub(self.first.len());
        self.first.extend(items.iter().take(room).cloned());
    }

    pub(crate) fn first(&self) -> &[Unreadable] {
        &self.first
    }

    /// The end of a list that is not whole.
    pub(crate) fn error(&self) -> Option<Error> {
        if self.count == 0 {
            return None;
        }
        let shown: Vec<String> =
            self.first.iter().take(MAX_SHOWN).map(ToString::to_string).collect();
        let more = if self.count > shown.len() { "; …" } else { "" };
        // The remedy first: a long error is cut.
        let text = format!(
            "the list is given but for what cannot be read of it, {} in all \
             (`skip_unreadable` goes on without): {}{more}",
            self.count,
            shown.join("; "),
        );
        Some(Error::new(ErrorKind::Protocol, text))
    }
}

/// What is kept of an item, in characters: its name and digest are at its beginning.
const MAX_TEXT: usize = 256;

/// How many items are kept; a server can send any number.
const MAX_KEPT: usize = 16;

/// How many an error shows.
const MAX_SHOWN: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_items_makes_a_short_error_and_little_memory() {
        let mut skipped = Skipped::default();
        assert!(skipped.error().is_none());
        for n in 0..10_000 {
            skipped.add(&[Unreadable::new(&format!("{n}\n{}", "x".repeat(9_999)), "no `name`")]);
        }
        assert_eq!(skipped.first().len(), MAX_KEPT);
        let text = skipped.error().unwrap().to_string();
        assert!(text.len() < 2_048 && !text.contains('\n'), "{}", text.len());
        assert!(
            text.contains("10000 in all (`skip_unreadable` goes on") && text.contains(": `0\\nxxx")
        );
    }
}
