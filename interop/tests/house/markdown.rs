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

/// A block of code, and the line it begins in.
pub(crate) struct Block {
    pub(crate) line: usize,
    pub(crate) code: String,
    language: String,
}

impl Block {
    /// As rustdoc has it, where a block without a language is Rust.
    pub(crate) fn is_rust(&self) -> bool {
        let first = self.language.split(',').next().unwrap_or_default();
        ["", "rust", "no_run", "ignore", "should_panic", "compile_fail"].contains(&first)
    }
}

pub(crate) fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::<Block>::new();
    let mut is_open = false;
    for (line, place, content) in lines(text) {
        match place {
            Place::Prose => is_open = false,
            Place::Code if is_open => {
                if let Some(block) = blocks.last_mut() {
                    block.code.push_str(content);
                    block.code.push('\n');
                }
            }
            Place::Code => {}
            Place::Fence => {
                let language = content.trim_start().trim_start_matches('`').trim().to_owned();
                is_open = !is_open;
                if is_open {
                    blocks.push(Block { line, code: String::new(), language });
                }
            }
        }
    }
    blocks
}

/// What stands between backticks outside of blocks, and the line of each.
pub(crate) fn spans(text: &str) -> Vec<(usize, String)> {
    let of = |(at, line): (usize, &str)| -> Vec<(usize, String)> {
        let parts: Vec<&str> = line.split('`').collect();
        let inside = parts.iter().skip(1).step_by(2);
        // What an odd backtick opens at the end is no code.
        inside.take((parts.len() - 1) / 2).map(|part| (at, (*part).to_owned())).collect()
    };
    prose(text).flat_map(of).collect()
}

/// The lines outside of blocks of code, numbered from 1.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    lines(text).filter(|(_, place, _)| *place == Place::Prose).map(|(at, _, line)| (at, line))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Prose,
    /// The line that begins or ends a block.
    Fence,
    Code,
}

fn lines(text: &str) -> impl Iterator<Item = (usize, Place, &str)> {
    let mut fence: Option<String> = None;
    text.lines().enumerate().map(move |(at, line)| {
        let start = line.trim_start();
        let ticks: String = start.chars().take_while(|sign| *sign == '`').collect();
        let place = match &fence {
            Some(open) if ticks.len() >= open.len() && start.trim_end() == ticks => {
                fence = None;
                Place::Fence
            }
            Some(_) => Place::Code,
            None if ticks.len() >= 3 => {
                fence = Some(ticks);
                Place::Fence
            }
            None => Place::Prose,
        };
        (at + 1, place, line)
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
