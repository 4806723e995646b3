//! What a document links to, and which places it has: as GitHub reads it.

use std::collections::HashMap;

/// A link of a document, and the line it stands in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) line: usize,
    pub(crate) target: String,
}

/// The links of a document that leave no code: `[text](target)` and `[name]: target`.
pub(crate) fn links(text: &str) -> Vec<Link> {
    let mut links = Vec::new();
    for (at, line) in prose(text) {
        let line_without_code = without_code(line);
        let mut rest = line_without_code.as_str();
        while let Some((_, after)) = rest.split_once("](") {
            // A target in brackets may have blanks; a title may follow.
            let target = match after.strip_prefix('<') {
                Some(bracketed) => bracketed.split('>').next(),
                None => after.split([')', ' ']).next(),
            };
            links.push(Link { line: at, target: target.unwrap_or_default().to_owned() });
            rest = after;
        }
        let definition = line.strip_prefix('[').and_then(|line| line.split_once("]: "));
        if let Some((_, target)) = definition {
            let target = target.split_whitespace().next().unwrap_or_default();
            links.push(Link { line: at, target: target.to_owned() });
        }
    }
    links
}

/// The places of a document that a link can name: one for each heading, numbered where a heading
/// comes twice.
pub(crate) fn anchors(text: &str) -> Vec<String> {
    let mut seen = HashMap::<String, usize>::new();
    let mut anchors = Vec::new();
    for (_, line) in prose(text) {
        let level = line.bytes().take_while(|sign| *sign == b'#').count();
        let Some(heading) = line.get(level..).and_then(|rest| rest.strip_prefix(' ')) else {
            continue;
        };
        if !(1..=6).contains(&level) {
            continue;
        }
        let name = anchor(heading);
        let count = seen.entry(name.clone()).or_default();
        anchors.push(if *count == 0 { name } else { format!("{name}-{count}") });
        *count += 1;
    }
    anchors
}

/// A heading in small letters, without signs, with `-` for each blank.
fn anchor(heading: &str) -> String {
    let text = heading.trim().trim_end_matches('#').trim_end();
    let mut name = String::new();
    let mut rest = text;
    // Of a link its text counts.
    while let Some((before, after)) = rest.split_once("](") {
        name.push_str(before);
        rest = after.split_once(')').map_or("", |(_, after)| after);
    }
    name.push_str(rest);
    let kept = name.chars().filter(|sign| sign.is_alphanumeric() || " -_".contains(*sign));
    kept.flat_map(char::to_lowercase).map(|sign| if sign == ' ' { '-' } else { sign }).collect()
}

/// The lines outside of blocks of code, numbered from 1.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fence: Option<String> = None;
    text.lines().enumerate().filter_map(move |(at, line)| {
        let start = line.trim_start();
        let ticks: String = start.chars().take_while(|sign| *sign == '`').collect();
        match &fence {
            Some(open) => {
                if ticks.len() >= open.len() && start.trim_end() == ticks {
                    fence = None;
                }
                None
            }
            None if ticks.len() >= 3 => {
                fence = Some(ticks);
                None
            }
            None => Some((at + 1, line)),
        }
    })
}

/// A line without what stands between backticks.
fn without_code(line: &str) -> String {
    let parts: Vec<&str> = line.split('`').collect();
    // An odd backtick at the end opens nothing.
    let open = if parts.len().is_multiple_of(2) { parts.len() - 1 } else { parts.len() };
    let is_prose = |at: &usize| at.is_multiple_of(2) || *at >= open;
    (0..parts.len()).filter(is_prose).map(|at| parts[at]).collect()
}
