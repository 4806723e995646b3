//! Names in documents, and whether the committed listings of what is public have them.

use std::{collections::BTreeSet, fs, path::Path};

use super::markdown::spans;

/// Every path of every listing in `docs/api`.
pub(crate) struct Public {
    paths: BTreeSet<String>,
    /// Those that stand for what another crate defines, and lists.
    handed_on: BTreeSet<String>,
}

impl Public {
    pub(crate) fn read(root: &Path) -> Self {
        let mut lines = String::new();
        for entry in fs::read_dir(root.join("docs/api")).unwrap() {
            lines.push_str(&fs::read_to_string(entry.unwrap().path()).unwrap());
        }
        Self::of(&lines)
    }

    fn of(listing: &str) -> Self {
        let (mut paths, mut handed_on) = (BTreeSet::new(), BTreeSet::new());
        for line in listing.lines().filter(|line| !line.starts_with("impl")) {
            let Some(at) = line.find("acr_") else { continue };
            let path = path(&line[at..]);
            if line.starts_with("pub use ") {
                handed_on.insert(path.clone());
            }
            paths.insert(path);
        }
        Self { paths, handed_on }
    }

    /// Whether there is such a path; one without a crate begins with a type.
    fn has(&self, path: &str) -> bool {
        let ends = |end: &str| {
            let end = format!("::{end}");
            self.paths.iter().any(|path| path.ends_with(&end))
        };
        if !path.starts_with("acr_") {
            return ends(path);
        }
        // What is handed on is listed where it is defined.
        let mut handed_on = path.match_indices("::").skip(1).map(|(at, _)| &path[..at]);
        self.paths.contains(path)
            || handed_on.any(|before| {
                let from = before.rfind("::").map_or(0, |at| at + 2);
                self.handed_on.contains(before) && ends(&path[from..])
            })
    }

    fn is_type(&self, name: &str) -> bool {
        name.starts_with(|sign: char| sign.is_ascii_uppercase()) && self.has(name)
    }

    /// The paths between backticks that are no longer there, with the line of each: those that begin
    /// with one of our crates, or with one of our types.
    pub(crate) fn gone(&self, text: &str) -> Vec<(usize, String)> {
        let mut gone = Vec::new();
        for (line, span) in spans(text) {
            let named = named(&span);
            let is_gone = |path: &String| {
                let first = path.split("::").next().unwrap_or_default();
                let is_ours = first.starts_with("acr_") || self.is_type(first);
                is_ours && !self.has(path)
            };
            gone.extend(named.into_iter().filter(is_gone).map(|path| (line, path)));
        }
        gone
    }
}

/// The path that a text begins with, without what stands between `<` and `>`.
pub(crate) fn path(text: &str) -> String {
    let (mut path, mut depth) = (String::new(), 0_u32);
    for sign in text.chars() {
        match sign {
            '<' => depth += 1,
            '>' if depth > 0 => depth -= 1,
            _ if depth > 0 => {}
            _ if sign.is_alphanumeric() || sign == '_' || sign == ':' => path.push(sign),
            _ => break,
        }
    }
    path.trim_end_matches(':').to_owned()
}

/// The paths in a piece of code: `a::{b, c::d}` are two.
fn named(span: &str) -> Vec<String> {
    let mut paths = Vec::new();
    let mut rest = span;
    let is_part = |sign: char| sign.is_alphanumeric() || sign == '_';
    while let Some(start) = rest.find(is_part) {
        let begun = &rest[start..];
        let end = begun.find(|sign| !is_part(sign) && sign != ':').unwrap_or(begun.len());
        let found = begun[..end].trim_end_matches(':');
        rest = &begun[end..];
        let inner = rest.strip_prefix('{').and_then(|inner| inner.split_once('}'));
        if let (true, Some((inner, after))) = (begun[..end].ends_with("::"), inner) {
            paths.extend(inner.split(',').map(|part| format!("{found}::{}", part.trim())));
            rest = after;
        } else if found.contains("::") {
            paths.push(found.to_owned());
        }
    }
    paths
}

#[test]
fn a_path_that_is_not_listed_is_gone() {
    let public = Public::of(
        "pub mod acr_a\npub struct acr_a::Pager<T>\nimpl<T> acr_a::Pager<T>\n\
         pub async fn acr_a::Pager<T>::next(&mut self) -> Option<acr_b::Item>\n\
         pub acr_a::Kind::Odd\npub enum acr_a::Kind\npub use acr_c::Pager\n",
    );
    let text = "`acr_a::Pager::next`, `Pager::next()`, `acr_c::Pager::next`, `acr_a::{Pager, Kind::Odd}`,\n\
        `acr_a::{Pager, Page}`, `acr_b::Item`, `Kind::Even`, `Other::thing`, `acr_c::Pager::last(…)`\n\
        ```text\n`acr_a::Gone`\n```\n";
    let gone = ["acr_a::Page", "acr_b::Item", "Kind::Even", "acr_c::Pager::last"];
    assert_eq!(public.gone(text), gone.map(|path| (2, path.to_owned())));
}
