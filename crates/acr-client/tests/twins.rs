//! Every operation has a twin without async. Read from the committed listings of the public
//! interfaces (`docs/api`), so that a new operation without one is noticed whoever adds it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may stop at the first surprise")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// Types that wait, by name, and where their twins are: `acr_client::blocking` has them under the
/// same names.
const TWINS: [&str; 14] = [
    "BlobReader",
    "Download",
    "DownloadRange",
    "GetManifest",
    "ListPager",
    "Pages",
    "PartialReader",
    "PutManifest",
    "Registry",
    "Repository",
    "RestoreManifest",
    "TagManifest",
    "Upload",
    "UploadSession",
];

/// Methods that are called otherwise there: what is awaited is run, what is streamed is iterated.
const RENAMED: [(&str, &str); 4] =
    [("into_future", "run"), ("try_next", "next"), ("poll_next", "next"), ("poll_read", "read")];

/// What has no twin, and why.
const WITHOUT: [(&str, &str); 15] = [
    // One builder for both; it ends with `build_blocking`.
    ("Registry", "builder"),
    // They hand out the async clients, all of whose operations `blocking::Repository` has itself.
    ("Registry", "metadata"),
    ("Repository", "metadata"),
    ("Repository", "blobs"),
    // For requests of one's own, which are awaited: `acr_client::Registry` has it.
    ("Registry", "pipeline"),
    // The readers and pages of one piece are iterators and `Read`s there.
    ("BlobReader", "poll_next"),
    ("PartialReader", "poll_next"),
    // A file is given to `upload` by its path, and a `Stream` is async.
    ("Content", "file"),
    ("Content", "stream"),
    ("Content", "sized_stream"),
    // They do not wait.
    ("Content", "from"),
    ("Content", "len"),
    ("Content", "is_empty"),
    // What every value has.
    ("*", "clone"),
    ("*", "fmt"),
];

/// Functions of `acr_client::blocking` that stand for methods of types which do not wait otherwise.
const FUNCTIONS: [(&str, &str, &str); 3] = [
    ("Content", "reader", "reader"),
    ("Content", "sized_reader", "sized_reader"),
    ("DownloadCheckpoint", "reopen", "reopen"),
];

/// Types of the front door that wait and have no twin, and why.
const ASYNC_ONLY: [&str; 8] = [
    // The clients below: `Registry` and `Repository` have their operations.
    "BlobClient",
    "RegistryClient",
    "RepositoryClient",
    // What they do, a function does.
    "Content",
    "DownloadCheckpoint",
    // What it finds is asked for by `Credential::docker_config`.
    "DockerConfig",
    // Stacks of layers are async.
    "Pipeline",
    "Transport",
];

/// Methods whose twins take something else on purpose.
const OTHERWISE: [(&str, &str); 1] = [
    // Of the async one, which has the pipeline.
    ("Registry", "new"),
];

/// The methods of each type, by the type's last name, with what each takes beside `self`; and
/// which types wait.
#[derive(Default)]
struct Interface {
    methods: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
    waits: BTreeSet<String>,
}

impl Interface {
    /// Reads the lines `pub fn krate::Type<T>::method(…) -> …` that `is_meant` picks by their path.
    fn read(listing: &str, is_meant: impl Fn(&str) -> bool) -> Self {
        let mut found = Self::default();
        for line in listing.lines() {
            let Some((before, rest)) = line.split_once("fn ") else { continue };
            if !before.starts_with("pub ")
                || !before.trim_end().chars().all(|c| c.is_alphanumeric() || c == ' ')
            {
                continue;
            }
            let path = without_generics(rest);
            let path = path.split('(').next().unwrap_or_default();
            if !is_meant(path) {
                continue;
            }
            let mut names = path.rsplit("::");
            let (Some(method), Some(name)) = (names.next(), names.next()) else { continue };
            if !name.starts_with(char::is_uppercase) {
                continue;
            }
            if before.contains("async") || method == "into_future" {
                found.waits.insert(name.to_owned());
            }
            let methods = found.methods.entry(name.to_owned()).or_default();
            methods.entry(method.to_owned()).or_default().insert(parameters(rest));
        }
        found
    }
}

/// What a method takes beside `self`, as a caller sees it: without the modules of its types, which
/// differ by who lists them, and without what only a future needs.
fn parameters(signature: &str) -> String {
    let mut depth = 0usize;
    let mut arrow = false;
    // The parenthesis that no `<` is open around: `Fn(u8)` may stand in front of it.
    let open = signature.char_indices().position(|(_, c)| {
        let is_arrow = arrow && c == '>';
        arrow = c == '-';
        match c {
            '<' => depth += 1,
            '>' if !is_arrow => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == '(' && depth == 0
    });
    let mut depth = 0usize;
    let mut inside = String::new();
    for c in signature.chars().skip(open.unwrap_or(signature.len())) {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        inside.push(c);
        if depth == 0 {
            break;
        }
    }
    let inside = inside.strip_prefix('(').and_then(|text| text.strip_suffix(')'));
    let mut last = String::new();
    let mut plain = String::new();
    for c in inside.unwrap_or_default().chars() {
        if c.is_alphanumeric() || c == '_' || c == ':' {
            last.push(c);
        } else {
            plain.push_str(last.rsplit("::").next().unwrap_or_default());
            last.clear();
            plain.push(c);
        }
    }
    plain.push_str(last.rsplit("::").next().unwrap_or_default());
    let plain = plain.replace(" + Send", "");
    let rest = ["&mut self", "&self", "self"].iter().find_map(|own| plain.strip_prefix(own));
    rest.unwrap_or(&plain).trim_start_matches(", ").to_owned()
}

fn without_generics(text: &str) -> String {
    let mut depth = 0usize;
    let mut arrow = false;
    text.chars()
        .filter(|&c| {
            let is_arrow = arrow && c == '>';
            arrow = c == '-';
            match c {
                '<' => depth += 1,
                '>' if !is_arrow => {
                    depth = depth.saturating_sub(1);
                    return false;
                }
                _ => {}
            }
            depth == 0
        })
        .collect()
}

/// What is missing, in words. `below` are the listings of the crates whose types the front door
/// hands on.
fn missing(front: &str, below: &str) -> Vec<String> {
    let blocking = Interface::read(front, |path| path.starts_with("acr_client::blocking::"));
    let mut with_async = Interface::read(front, |path| !path.starts_with("acr_client::blocking::"));
    let handed_on: BTreeSet<_> = front
        .lines()
        .filter_map(|line| line.strip_prefix("pub use acr_client::"))
        .map(|name| name.trim_matches(|c| c == '<' || c == '>'))
        .collect();
    let below = Interface::read(below, |_| true);
    for (name, methods) in below.methods {
        if handed_on.contains(name.as_str()) {
            if below.waits.contains(&name) {
                with_async.waits.insert(name.clone());
            }
            let known = with_async.methods.entry(name).or_default();
            for (method, takes) in methods {
                known.entry(method).or_default().extend(takes);
            }
        }
    }

    let mut problems = Vec::new();
    for name in &with_async.waits {
        if !TWINS.contains(&name.as_str()) && !ASYNC_ONLY.contains(&name.as_str()) {
            problems.push(format!("`{name}` waits and is neither a twin nor without one"));
        }
    }
    problems.extend(without_function(&with_async, front));
    for name in TWINS {
        let Some(methods) = with_async.methods.get(name) else {
            problems.push(format!("`{name}` is in no listing"));
            continue;
        };
        let nothing = BTreeMap::new();
        let twins = blocking.methods.get(name).unwrap_or(&nothing);
        for (method, takes) in methods {
            let renamed = RENAMED.iter().find(|(was, _)| was == method).map(|(_, is)| *is);
            let is_there =
                twins.contains_key(method) || renamed.is_some_and(|is| twins.contains_key(is));
            let is_excused = is_excused(name, method);
            if !is_there && !is_excused {
                problems.push(format!("`blocking::{name}` has no `{method}`"));
            }
            if !is_excused {
                problems
                    .extend(twins.get(method).and_then(|twin| differs(name, method, takes, twin)));
            }
        }
    }
    problems
}

/// The functions that stand for methods, and the ways to make content.
fn without_function(with_async: &Interface, front: &str) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, method, function) in FUNCTIONS {
        let is_there =
            with_async.methods.get(name).is_some_and(|methods| methods.contains_key(method));
        let is_twin = front.contains(&format!("pub fn acr_client::blocking::{function}("));
        if !is_there || !is_twin {
            problems.push(format!("`{name}::{method}` has no function `blocking::{function}`"));
        }
    }
    for method in with_async.methods.get("Content").into_iter().flat_map(BTreeMap::keys) {
        let is_function = FUNCTIONS.iter().any(|(of, is, _)| *of == "Content" && is == method);
        if !is_function && !is_excused("Content", method) {
            problems.push(format!("no function of `blocking` is told for `Content::{method}`"));
        }
    }
    problems
}

fn is_excused(name: &str, method: &str) -> bool {
    WITHOUT.iter().any(|(of, which)| (*of == name || *of == "*") && *which == method)
}

/// In words, that a twin takes something else.
fn differs(
    name: &str,
    method: &str,
    takes: &BTreeSet<String>,
    twin: &BTreeSet<String>,
) -> Option<String> {
    let is_meant = OTHERWISE.iter().any(|(of, which)| *of == name && *which == method);
    (twin != takes && !is_meant).then(|| {
        format!("`blocking::{name}::{method}` takes {twin:?}, and with async it takes {takes:?}")
    })
}

fn listings() -> (String, String) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/api");
    let read = |name: &str| {
        let path = folder.join(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let below = ["acr-auth.txt", "acr-blob.txt", "acr-core.txt", "acr-registry.txt"];
    (read("acr-client.txt"), below.map(read).concat())
}

#[test]
fn every_operation_has_a_twin_without_async() {
    let (front, below) = listings();
    assert_eq!(missing(&front, &below), [""; 0]);
}

#[test]
fn a_missing_twin_is_noticed() {
    let (front, below) = listings();
    let without = |front: &str, words: &str| {
        let lines = front.lines().filter(|line| !line.contains(words));
        lines.map(|line| format!("{line}\n")).collect::<String>()
    };
    for (words, expected) in [
        ("acr_client::blocking::reader(", "`Content::reader` has no function `blocking::reader`"),
        (
            "acr_client::blocking::Registry::list_repositories(",
            "`blocking::Registry` has no `list_repositories`",
        ),
        ("acr_client::blocking::Repository::exists(", "`blocking::Repository` has no `exists`"),
        (
            "acr_client::blocking::GetManifest::platform(",
            "`blocking::GetManifest` has no `platform`",
        ),
        ("acr_client::blocking::Upload::run(", "`blocking::Upload` has no `into_future`"),
        (
            "acr_client::blocking::UploadSession::status(",
            "`blocking::UploadSession` has no `status`",
        ),
    ] {
        let doctored = without(&front, words);
        assert_ne!(doctored, front, "{words} is in the listing");
        assert!(missing(&doctored, &below).contains(&expected.to_owned()), "{expected}");
    }
    // A twin that takes less.
    let was = "acr_client::blocking::Upload::digest(self, impl core::convert::TryInto<acr_core::value::digest::Digest, Errorcore::convert::Into<acr_core::http::error::Error>>)";
    let is = "acr_client::blocking::Upload::digest(self, acr_core::value::digest::Digest)";
    let problems = missing(&front.replace(was, is), &below);
    let words = "`blocking::Upload::digest` takes {\"Digest\"}, and with async it takes";
    assert!(matches!(&problems[..], [problem] if problem.starts_with(words)), "{problems:?}");
    let new = "pub async fn acr_client::Repository::pull(&self) -> acr_core::Result<()>\n";
    let problems = missing(&format!("{front}{new}"), &below);
    assert_eq!(problems, ["`blocking::Repository` has no `pull`"]);
    let new = "pub fn acr_blob::Content::pipe(impl std::io::Read) -> Self\n";
    let problems = missing(&front, &format!("{below}{new}"));
    assert_eq!(problems, ["no function of `blocking` is told for `Content::pipe`"]);
    let new = "pub async fn acr_client::Copier::go(&self) -> acr_core::Result<()>\n";
    let problems = missing(&format!("{front}{new}"), &below);
    assert_eq!(problems, ["`Copier` waits and is neither a twin nor without one"]);
}

#[test]
fn lines_of_a_listing_are_read() {
    let text = "pub async fn a::b::One::wait<T: Into<Vec<u8>> + Fn(u8) -> u8>(&self, t: T) -> u8\n\
                pub fn a::Two<T>::try_next(&mut self)\n\
                pub const fn a::Two<T>::new() -> Self\n\
                pub fn a::free(x: u8)\n\
                impl core::fmt::Debug for a::Two\n\
                pub type a::Two::Item = fn (u8)\n";
    let read = Interface::read(text, |_| true);
    let names = |name: &str| read.methods[name].keys().cloned().collect::<Vec<_>>();
    assert!(read.methods["One"]["wait"].contains("t: T"));
    assert!(read.methods["Two"]["try_next"].contains(""));
    let text = "a::One::go(&self, impl core::Fn(&b::c::Two, u8) -> d::Three + core::Send + 'static, &e::F) -> g::H";
    assert_eq!(parameters(text), "impl Fn(&Two, u8) -> Three + 'static, &F");
    assert_eq!(names("One"), ["wait"]);
    assert_eq!(names("Two"), ["new", "try_next"]);
    assert_eq!(read.methods.len(), 2);
    assert_eq!(read.waits.iter().collect::<Vec<_>>(), ["One"]);
}
