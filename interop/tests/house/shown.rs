//! Which public functions no example shows: none of their own, and none at their type that calls them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use super::{below, public::path};

/// Types whose functions need no example, and functions of modules; each with its reason.
const NEED_NONE: [(&str, &str); 5] = [
    (
        "AttemptEnded CallEnded CallStarted Connected Observed Throttled TokenCallEnded Transferred Waited",
        "made by layers, and by hand in tests only: the example of `Observer` makes and reads them",
    ),
    (
        "BodyEnd Connection Direction Ending RedirectDigest RequestId Target",
        "one word for a log or a counter, where the example of what gives it shows it",
    ),
    (
        "Listed UnknownFields Unreadable",
        "made by clients of what a registry said; the examples of their operations read them",
    ),
    (
        "headers link response url_policy Challenge ContentRange Effect Framing MissingRights Recoveries SyncBody \
         Told UploadRange",
        "for authors of clients and of layers that sign in: single steps of an exchange, of which the program of \
         `crates/acr-core/README.md` is one",
    ),
    ("Digester::restore", "for checkpoints, whose text only the type that keeps it knows"),
];

/// A function as its file has it.
struct Function {
    /// The type, or the module of a function by itself.
    owner: String,
    name: String,
    line: usize,
    is_shown: bool,
}

/// The functions of a file that are `pub`, and what the examples of its types say.
fn read(module: &str, text: &str, examples: &mut BTreeMap<String, String>) -> Vec<Function> {
    let (mut functions, mut owner, mut comment) = (Vec::new(), None, Vec::new());
    for (line, text) in text.lines().enumerate() {
        let code = text.trim_start();
        if text.starts_with("impl") {
            owner = implemented(text);
        } else if text.starts_with('}') {
            owner = None;
        }
        if let Some(words) = code.strip_prefix("///") {
            comment.push(words);
            continue;
        }
        // Between a comment and what it is about stand attributes, some of several lines.
        if ["#[", "clippy::", "reason = ", ")]"].iter().any(|start| code.starts_with(start)) {
            continue;
        }
        let example = example(&comment);
        comment.clear();
        let Some(public) = code.strip_prefix("pub ") else { continue };
        let public =
            ["const ", "async "].iter().fold(public, |rest, word| rest.trim_start_matches(word));
        let name = |rest: &str| -> String {
            rest.chars().take_while(|sign| sign.is_alphanumeric() || *sign == '_').collect()
        };
        let is_type =
            ["struct ", "enum ", "trait "].into_iter().find_map(|word| public.strip_prefix(word));
        if let Some(rest) = is_type {
            examples.entry(name(rest)).or_default().push_str(&example);
        } else if let Some(rest) = public.strip_prefix("fn ") {
            let is_method = text.starts_with("    ");
            let owner = if is_method { owner.clone() } else { Some(module.to_owned()) };
            let found = owner.map(|owner| Function {
                owner,
                name: name(rest),
                line: line + 1,
                is_shown: !example.is_empty(),
            });
            functions.extend(found);
        }
    }
    functions
}

/// The type of an `impl` that is of no trait.
fn implemented(line: &str) -> Option<String> {
    if line.contains(" for ") {
        return None;
    }
    let name = path(without_parameters(line.strip_prefix("impl")?).trim_start());
    (!name.is_empty()).then_some(name)
}

/// What follows the parameters that text begins with.
fn without_parameters(text: &str) -> &str {
    let mut depth = 0_u32;
    for (at, sign) in text.char_indices() {
        match sign {
            '<' => depth += 1,
            '>' if depth > 0 => depth -= 1,
            _ if depth == 0 => return &text[at..],
            _ => {}
        }
    }
    ""
}

/// The code in a comment.
fn example(comment: &[&str]) -> String {
    let (mut code, mut is_code) = (String::new(), false);
    for words in comment {
        if words.trim_start().starts_with("```") {
            is_code = !is_code;
        } else if is_code {
            code.push_str(words);
            code.push('\n');
        }
    }
    code
}

/// Whether code calls a function of this name.
fn calls(code: &str, name: &str) -> bool {
    let ends = |rest: &str| !rest.starts_with(|sign: char| sign.is_alphanumeric() || sign == '_');
    [".", "::"].iter().any(|before| {
        let call = format!("{before}{name}");
        code.match_indices(&call).any(|(at, _)| ends(&code[at + call.len()..]))
    })
}

/// The public functions of a crate that no example shows.
pub(crate) fn unshown(root: &Path, krate: &str) -> (usize, Vec<(String, String)>) {
    let listing = fs::read_to_string(root.join(format!("docs/api/{krate}.txt"))).unwrap();
    let public: BTreeSet<String> = listing.lines().filter_map(listed).collect();
    let mut files = Vec::new();
    below(&root.join("crates").join(krate).join("src"), "rs", &mut files);
    let (mut functions, mut examples) = (Vec::new(), BTreeMap::new());
    for file in files {
        let module = file.file_stem().unwrap().to_string_lossy().into_owned();
        let found = read(&module, &fs::read_to_string(&file).unwrap(), &mut examples);
        let place = file.strip_prefix(root).unwrap().display().to_string();
        functions.extend(found.into_iter().map(|function| (place.clone(), function)));
    }
    let is_public = |(_, function): &(String, Function)| {
        let is_type = function.owner.starts_with(char::is_uppercase);
        let whole = format!("{}::{}", function.owner, function.name);
        // A function by itself may be handed on from its module.
        public.contains(&whole) || !is_type && public.contains(&function.name)
    };
    functions.retain(is_public);
    let count = functions.len();
    let is_shown = |function: &Function| {
        function.is_shown
            || examples.get(&function.owner).is_some_and(|code| calls(code, &function.name))
    };
    let unshown = functions.into_iter().filter(|(_, function)| !is_shown(function));
    let unshown = unshown.map(|(place, function)| {
        let at = format!("{place}:{}", function.line);
        (at, format!("{}::{}", function.owner, function.name))
    });
    (count, unshown.collect())
}

/// What a line of a listing calls a function: its type and its name; one of a module by its name too.
fn listed(line: &str) -> Option<String> {
    let (before, rest) = line.split_once("fn ")?;
    let is_plain = before.starts_with("pub ")
        && before.chars().all(|sign| sign.is_alphanumeric() || sign == ' ');
    let path = is_plain.then(|| path(rest))?;
    let (before, name) = path.rsplit_once("::")?;
    let owner = before.rsplit("::").next()?;
    let is_type = owner.starts_with(char::is_uppercase);
    Some(if is_type { format!("{owner}::{name}") } else { name.to_owned() })
}

/// Whether it stands in the list of what needs none.
fn needs_none(function: &str) -> bool {
    let owner = function.split("::").next().unwrap_or_default();
    NEED_NONE
        .iter()
        .any(|(names, _)| names.split(' ').any(|name| name == owner || name == function))
}

#[test]
fn every_public_function_has_an_example_or_a_reason_for_none() {
    let root = super::root();
    let (mut count, mut defects, mut excused) = (0, Vec::new(), BTreeSet::new());
    for krate in ["acr-core", "acr-auth", "acr-registry", "acr-blob", "acr-client"] {
        let (found, unshown) = unshown(&root, krate);
        count += found;
        for (place, function) in unshown {
            if needs_none(&function) {
                excused.insert(function);
            } else {
                defects.push(format!("{place}: no example shows `{function}`"));
            }
        }
    }
    assert!(count > 650, "{count} functions");
    assert!(defects.is_empty(), "{}", defects.join("\n"));
    let is_idle =
        |name: &&str| !excused.iter().any(|it| it == name || it.split("::").next() == Some(name));
    let idle: Vec<&str> =
        NEED_NONE.iter().flat_map(|(names, _)| names.split(' ')).filter(is_idle).collect();
    assert!(idle.is_empty(), "excused, though examples show all of it: {idle:?}");
}

#[test]
fn a_function_is_shown_by_its_own_example_or_by_one_of_its_type_that_calls_it() {
    let text = "/// A.\n///\n/// ```\n/// let a = A::new();\n/// a.one();\n/// ```\n#[derive(Debug)]\npub struct A<T>(T);\n\n\
        impl<T: Into<Vec<u8>>> A<T> {\n    /// New.\n    pub fn new() -> Self {\n        A\n    }\n\n    /// One.\n    \
        #[must_use]\n    pub const fn one(&self) {}\n\n    /// Two: no `one_more`.\n    pub async fn one_more(&self) {}\n\n    \
        /// ```\n    /// two();\n    /// ```\n    #[expect(\n        clippy::x,\n        reason = \"y\"\n    )]\n    pub fn two() {}\n\n    \
        pub(crate) fn three() {}\n}\n\nimpl Clone for A<u8> {\n    fn clone(&self) {}\n}\n\n/// Four.\npub fn four() {}\n";
    let mut examples = BTreeMap::new();
    let found = read("m", text, &mut examples);
    let seen: Vec<_> = found
        .iter()
        .map(|it| {
            let at_type = examples.get(&it.owner).is_some_and(|code| calls(code, &it.name));
            (format!("{}::{}", it.owner, it.name), it.is_shown || at_type)
        })
        .collect();
    let expected = [
        ("A::new", true),
        ("A::one", true),
        ("A::one_more", false),
        ("A::two", true),
        ("m::four", false),
    ];
    assert_eq!(seen, expected.map(|(name, is_shown)| (name.to_owned(), is_shown)));

    for (line, name) in [
        ("pub async fn acr_a::b::A<T>::one(&self) -> acr_a::C", Some("A::one")),
        ("pub fn acr_a::b::four(u8)", Some("four")),
        ("impl<T: Fn(u8)> acr_a::A<T>", None),
        ("pub struct acr_a::A", None),
    ] {
        assert_eq!(listed(line).as_deref(), name, "{line}");
    }
}
