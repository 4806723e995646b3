//! Finds a secret in a text that repeats it: encoded, reversed, or in parts.

use std::collections::HashSet;

use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

/// The parts of a secret that are no accident in a text: all runs of a few characters,
/// forwards and backwards.
pub(super) struct Parts(Vec<(usize, HashSet<Vec<u8>>)>);

impl Parts {
    pub(super) fn of(secret: &str) -> Self {
        let parts = FOLDS.iter().filter_map(|fold| {
            let mut folded = fold(secret.as_bytes());
            let length = match folded.len() {
                0 => return None,
                few @ 1..=4 => few,
                more => (more / 4).clamp(SHORTEST_PART, LONGEST_PART),
            };
            let mut parts: HashSet<Vec<u8>> = folded.windows(length).map(<[u8]>::to_vec).collect();
            folded.reverse();
            parts.extend(folded.windows(length).map(<[u8]>::to_vec));
            Some((length, parts))
        });
        Self(parts.collect())
    }

    pub(super) fn are_in(&self, views: &[Vec<u8>]) -> bool {
        views.iter().any(|view| {
            let folded = FOLDS.map(|fold| fold(view));
            self.0.iter().any(|(length, parts)| {
                folded.iter().any(|text| text.windows(*length).any(|run| parts.contains(run)))
            })
        })
    }
}

/// The text, and what comes out of it by the usual decodings, of which two may be nested.
pub(super) fn views(text: &[u8]) -> Vec<Vec<u8>> {
    let mut views = vec![text.to_vec(), text.iter().rev().copied().collect()];
    let mut seen: HashSet<Vec<u8>> = views.iter().cloned().collect();
    let mut next = 0;
    for _ in 0..DEPTH {
        let level: Vec<_> = views.iter().skip(next).cloned().collect();
        next = views.len();
        for view in level.iter().flat_map(|view| decoded(view)) {
            if !view.is_empty() && seen.insert(view.clone()) {
                views.push(view);
            }
        }
    }
    views
}

fn decoded(text: &[u8]) -> Vec<Vec<u8>> {
    let mut views = vec![percent(text), backslash(text), entities(text)];
    // A run may begin with characters that do not belong to it.
    views.extend((0..4).map(|skip| base64(text, skip)));
    let blankless: Vec<u8> = text.iter().copied().filter(|b| !is_blank(*b)).collect();
    views.extend((0..2).map(|skip| hex(&blankless, skip)));
    views
}

fn percent(text: &[u8]) -> Vec<u8> {
    percent_encoding::percent_decode(text).collect()
}

/// `\u0041`, `\x41`, and what only has a backslash before it.
fn backslash(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        if first != b'\\' {
            out.push(first);
            continue;
        }
        let digits = match tail.first() {
            Some(b'u') => 4,
            Some(b'x') => 2,
            _ => continue,
        };
        let code = tail.get(1..=digits).and_then(|digits| number(digits, 16));
        if let (Some(code), Some(tail)) = (code, tail.get(1 + digits..)) {
            out.extend(u8::try_from(code).ok());
            rest = tail;
        }
    }
    out
}

/// `&#65;`, `&#x41;` and the names of signs, such as `&lt;`.
fn entities(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        let end = tail.iter().take(9).position(|b| *b == b';').filter(|_| first == b'&');
        let Some((entity, after)) = end.and_then(|end| tail.split_at_checked(end)) else {
            out.push(first);
            continue;
        };
        let code = match entity {
            [b'#', b'x' | b'X', digits @ ..] => number(digits, 16),
            [b'#', digits @ ..] => number(digits, 10),
            name => NAMED.iter().find(|(known, _)| *known == name).map(|(_, sign)| (*sign).into()),
        };
        match code.map(u8::try_from) {
            Some(byte) => out.extend(byte.ok()),
            None if entity.starts_with(b"#") => {}
            // None of a sign: text like any other.
            None => {
                out.push(first);
                continue;
            }
        }
        rest = after.get(1..).unwrap_or_default();
    }
    out
}

/// What every library escapes.
const NAMED: [(&[u8], u8); 5] =
    [(b"amp", b'&'), (b"lt", b'<'), (b"gt", b'>'), (b"quot", b'"'), (b"apos", b'\'')];

fn number(digits: &[u8], radix: u32) -> Option<u32> {
    u32::from_str_radix(str::from_utf8(digits).ok()?, radix).ok()
}

/// Everything in the text that can be read as base64, of either alphabet.
fn base64(text: &[u8], skip: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let is_digit = |b: &u8| b.is_ascii_alphanumeric() || b"+/-_".contains(b);
    for run in text.split(|b| !is_digit(b)) {
        let run: Vec<u8> = run
            .iter()
            .skip(skip)
            .map(|b| match b {
                b'-' => b'+',
                b'_' => b'/',
                other => *other,
            })
            .collect();
        // One digit too many holds no byte.
        let whole = run.len() - usize::from(run.len() % 4 == 1);
        if whole >= 2
            && let Some(run) = run.get(..whole)
            && let Ok(bytes) = BASE64.decode(run)
        {
            out.extend(bytes);
        }
    }
    out
}

fn hex(text: &[u8], skip: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for run in text.split(|b| !b.is_ascii_hexdigit()) {
        let pairs = run.get(skip..).unwrap_or_default().chunks_exact(2);
        out.extend(pairs.filter_map(|pair| u8::try_from(number(pair, 16)?).ok()));
    }
    out
}

type Fold = fn(&[u8]) -> Vec<u8>;

/// Two ways to compare: letters and digits only, which sees through separators, and all but
/// blanks, for secrets of signs.
const FOLDS: [Fold; 2] = [
    |text| text.iter().filter(|b| b.is_ascii_alphanumeric()).map(u8::to_ascii_lowercase).collect(),
    |text| text.iter().filter(|b| !is_blank(**b)).map(u8::to_ascii_lowercase).collect(),
];

fn is_blank(b: u8) -> bool {
    b.is_ascii_whitespace()
}

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Two levels: base64 in percent escapes, escapes in escapes.
const DEPTH: usize = 2;

/// In a text of a few hundred characters four in a row are seldom an accident, and eight are
/// none.
const SHORTEST_PART: usize = 4;
const LONGEST_PART: usize = 8;
