//! What a document tells to add, and what its programs need.

use std::collections::{BTreeMap, BTreeSet};

use super::markdown::blocks;

/// What the programs of a document need and none of its `cargo add` lines brings, each with the
/// line of its program.
pub(crate) fn missing(text: &str) -> Vec<(usize, String)> {
    let added = added(text);
    let mut missing = Vec::new();
    for block in blocks(text).into_iter().filter(|block| block.is_rust()) {
        missing.extend(lacking(&added, &block.code).map(|name| (block.line, name)));
    }
    missing
}

/// What the code of another file needs, which a document tells to take over.
pub(crate) fn missing_of(text: &str, code: &str) -> Vec<String> {
    lacking(&added(text), code).collect()
}

fn lacking<'a>(
    added: &'a BTreeMap<String, BTreeSet<String>>,
    code: &str,
) -> impl Iterator<Item = String> + use<'a> {
    let visible = |line: &&str| *line != "#" && !line.trim_start().starts_with("# ");
    let code: String = code.lines().filter(visible).map(|line| format!("{line}\n")).collect();
    let crates = named(&code).into_iter().filter(|name| !added.contains_key(name));
    let features = FEATURES.into_iter().filter(move |(sign, name, feature)| {
        let brings = added.get(*name).is_none_or(|features| features.contains(*feature));
        code.contains(sign) && !brings
    });
    let features = features.map(|(_, name, feature)| format!("{name} --features {feature}"));
    crates.chain(features).map(|name| name.replace('_', "-"))
}

/// What of a program asks for a feature, where its crate is added.
const FEATURES: [(&str, &str, &str); 10] = [
    ("#[tokio::main", "tokio", "macros"),
    ("#[tokio::main]", "tokio", "rt-multi-thread"),
    ("current_thread", "tokio", "rt"),
    ("start_paused", "tokio", "test-util"),
    ("strategy::", "acr_testkit", "proptest"),
    (".serve(", "acr_testkit", "serve"),
    ("DockerConfig", "acr_auth", "docker-config"),
    ("ServiceExt", "tower", "util"),
    ("service_fn", "tower", "util"),
    ("ConcurrencyLimitLayer", "tower", "limit"),
];

/// The crates that `cargo add` brings, named as in code, each with its features.
fn added(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut added = BTreeMap::<String, BTreeSet<String>>::new();
    for command in text.split("cargo add ").skip(1) {
        let end = command.find(['`', '\n', '#', ';', '&']).unwrap_or(command.len());
        let mut words = command.get(..end).unwrap_or_default().split_whitespace();
        let (mut names, mut features) = (Vec::new(), Vec::new());
        while let Some(word) = words.next() {
            match word {
                "--features" | "-F" => features.extend(words.next().unwrap_or_default().split(',')),
                _ if word.starts_with('-') => {}
                _ => names.push(word.replace('-', "_")),
            }
        }
        for name in names {
            added.entry(name).or_default().extend(features.iter().map(|name| (*name).to_owned()));
        }
    }
    added
}

/// The crates that code names: the first parts of its paths that nothing in it brings in.
fn named(code: &str) -> BTreeSet<String> {
    let code = without_text(code);
    let (mut found, mut local) = (BTreeSet::new(), BTreeSet::new());
    let mut rest = String::new();
    for statement in code.split_inclusive([';', '{', '}']) {
        rest.push_str(statement);
        let Some(at) = begins_use(&rest) else { continue };
        // A `use` has braces of its own; it ends at its semicolon.
        if !rest.ends_with(';') {
            continue;
        }
        let brought: Vec<(String, bool)> = parts(&rest[at + "use ".len()..]).collect();
        found.extend(brought.first().map(|(root, _)| root.clone()));
        local.extend(brought.into_iter().filter(|(_, leads)| !leads).map(|(name, _)| name));
        rest.truncate(at);
    }
    for (at, _) in rest.match_indices("::") {
        let before = &rest[..at];
        let start = before.rfind(|sign: char| !is_part(sign)).map_or(0, |at| at + 1);
        if !before[..start].ends_with("::") {
            found.insert(before[start..].to_owned());
        }
    }
    let is_crate = |name: &String| {
        name.starts_with(|sign: char| sign.is_ascii_lowercase())
            && !local.contains(name)
            && !OURS.contains(&name.as_str())
    };
    found.into_iter().filter(is_crate).collect()
}

/// First parts of paths that no crate has to bring.
const OURS: [&str; 14] = [
    "std", "core", "alloc", "crate", "self", "super", "str", "char", "u8", "u16", "u32", "u64",
    "usize", "f64",
];

/// Where the last `use` of code begins.
fn begins_use(code: &str) -> Option<usize> {
    let at = code.rfind("use ")?;
    let before = code[..at].trim_end();
    let is_start =
        before.is_empty() || before.ends_with([';', '}', '{', ']']) || before.ends_with("pub");
    is_start.then_some(at)
}

/// The names in a `use`, and of each whether a path goes on behind it.
fn parts(text: &str) -> impl Iterator<Item = (String, bool)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let start = rest.find(is_part)?;
        let part = &rest[start..];
        let end = part.find(|sign| !is_part(sign)).unwrap_or(part.len());
        rest = &part[end..];
        Some((part[..end].to_owned(), rest.starts_with("::")))
    })
}

fn is_part(sign: char) -> bool {
    sign.is_alphanumeric() || sign == '_'
}

/// Code without its comments and texts.
fn without_text(code: &str) -> String {
    let mut clean = String::new();
    let mut signs = code.chars().peekable();
    while let Some(sign) = signs.next() {
        match sign {
            '/' if signs.peek() == Some(&'/') => {
                while signs.next().is_some_and(|sign| sign != '\n') {}
                clean.push('\n');
            }
            '"' => {
                while let Some(sign) = signs.next() {
                    match sign {
                        '\\' => drop(signs.next()),
                        '"' => break,
                        _ => {}
                    }
                }
                clean.push('_');
            }
            _ => clean.push(sign),
        }
    }
    clean
}

#[test]
fn a_program_needs_what_it_names_and_a_line_brings_what_it_adds() {
    let named = |code: &str| named(code).into_iter().collect::<Vec<_>>().join(" ");
    assert_eq!(
        named("use std::io;\nuse acr_core::{Digest, http::Body};\nio::stdout();"),
        "acr_core"
    );
    assert_eq!(
        named("#[tokio::main]\nasync fn main() { acr_auth::connect(\"a::b\"); }"),
        "acr_auth tokio"
    );
    assert_eq!(named("// serde::Serialize\nlet a = u64::MAX + Digest::default();"), "");
    assert_eq!(
        named("use acr_core::layer;\nuse tower::{Service, util::ServiceExt as _};\nlayer::send();"),
        "acr_core tower"
    );
    assert_eq!(named("fn f() -> serde_json::Value { use a::b; b::c::d() }"), "a serde_json");

    let text = "```sh\ncargo add acr-core\ncargo add --dev tokio --features macros,rt # for tests\n```\n\n```rust\n#[tokio::main]\nasync fn main() { acr_auth::connect(); acr_core::x(); }\n# hidden::path();\n```\n";
    let expected = [(6, "acr-auth".to_owned()), (6, "tokio --features rt-multi-thread".to_owned())];
    assert_eq!(missing(text), expected);
    let code = "//! The transport.\nuse tower::service_fn;\nuse acr_core::Transport;\n";
    assert_eq!(missing_of(&format!("{text}`cargo add tower`"), code), ["tower --features util"]);
    assert_eq!(missing_of(text, code), ["tower"]);
}
