//! The house as a visitor finds it: every link of every document leads somewhere, and every crate
//! has what crates.io and docs.rs show of it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop at the first surprise"
)]

#[path = "house/cargo_add.rs"]
mod cargo_add;
#[path = "house/markdown.rs"]
mod markdown;
#[path = "house/public.rs"]
mod public;
#[path = "house/shown.rs"]
mod shown;

use std::{
    fs,
    path::{Component, Path, PathBuf},
};

use markdown::{anchors, links};
use public::Public;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The files below a folder whose names end so; neither what is built nor what is hidden.
fn below(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') && !["target", "node_modules"].contains(&&*name)
        {
            below(&path, extension, found);
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
}

/// What is wrong with a link in a document at `from`, whose text is `text`.
fn link_defect(root: &Path, from: &Path, text: &str, target: &str) -> Option<String> {
    let is_elsewhere = ["http://", "https://", "mailto:"].iter().any(|way| target.starts_with(way));
    if is_elsewhere {
        return None;
    }
    let (file, anchor) = match target.split_once('#') {
        Some((file, anchor)) => (file, Some(anchor)),
        None => (target, None),
    };
    let mut place = from.parent().unwrap().to_owned();
    if file.starts_with('/') {
        return Some(format!("`{target}` begins at the root"));
    }
    for part in Path::new(file).components() {
        match part {
            Component::ParentDir => drop(place.pop()),
            Component::Normal(name) => place.push(name),
            _ => {}
        }
        if !place.starts_with(root) {
            return Some(format!("`{target}` leaves the repository"));
        }
    }
    let read = |path: &Path| fs::read_to_string(path).ok();
    let document = if file.is_empty() { Some(text.to_owned()) } else { read(&place) };
    if document.is_none() && !place.is_dir() {
        return Some(format!("`{target}` is not there"));
    }
    let anchor = anchor?;
    let has_it = document.is_some_and(|text| anchors(&text).iter().any(|name| name == anchor));
    (!has_it).then(|| format!("`{target}` has no such heading"))
}

#[test]
fn every_link_of_every_document_leads_to_a_file_and_a_heading_that_exist() {
    let root = root();
    let mut found = Vec::new();
    below(&root, "md", &mut found);
    let (mut count, mut defects) = (0, Vec::new());
    for path in &found {
        let text = fs::read_to_string(path).unwrap();
        for link in links(&text) {
            count += 1;
            let defect = link_defect(&root, path, &text, &link.target);
            let place = path.strip_prefix(&root).unwrap().display();
            defects.extend(defect.map(|defect| format!("{place}:{}: {defect}", link.line)));
        }
    }
    assert!(found.len() >= 20 && count > 300, "{} documents, {count} links", found.len());
    assert!(defects.is_empty(), "{}", defects.join("\n"));
}

#[test]
fn a_link_to_nowhere_is_a_defect() {
    let root = root();
    let from = root.join("docs/errors.md");
    let text = "# Errors\n\n## Who is it?\n";
    let of = |target| link_defect(&root, &from, text, target);
    for good in [
        "design.md",
        "../README.md",
        "../crates/acr-core",
        "#who-is-it",
        "../docs/architecture.md#invariants",
        "https://docs.rs/tower#nothing",
    ] {
        assert_eq!(of(good), None, "{good}");
    }
    for bad in [
        "gone.md",
        "README.md",
        "../crates/acr-cor",
        "#who-is-it?",
        "#Who-is-it",
        "design.md#no-such-question",
        "../crates/acr-core#features",
        "../../elsewhere.md",
        "/docs/design.md",
    ] {
        assert!(of(bad).is_some(), "{bad}");
    }
}

#[test]
fn links_are_read_where_they_are_links_and_headings_are_named_as_github_does() {
    let targets = |text| -> Vec<(usize, String)> {
        links(text).into_iter().map(|link| (link.line, link.target)).collect()
    };
    let one = |line, target: &str| (line, target.to_owned());
    assert_eq!(targets("a [b](c.md), [`d`](e.md#f)\n"), [one(1, "c.md"), one(1, "e.md#f")]);
    assert_eq!(
        targets("![a](b.png \"title\")\n[c]: d.md \"e\"\n"),
        [one(1, "b.png"), one(2, "d.md")]
    );
    assert_eq!(targets("[a](<b c.md>) and ` odd [d](e)\n"), [one(1, "b c.md"), one(1, "e")]);
    assert_eq!(targets("`[a](b)`\n\n```md\n[c](d)\n```\n\n````\n```\n[e](f)\n````\n"), []);
    let text = "# A `b` & C's \"d\": 1.2?\n## A-b_c\n```\n# no\n```\n## [x](y.md) z\n## Same\n## Same ##\n#tag\n";
    assert_eq!(anchors(text), ["a-b--cs-d-12", "a-b_c", "x-z", "same", "same-1"]);
}

/// The documents, and the front page of each crate, without what is kept of older versions.
fn texts(root: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    below(root, "md", &mut found);
    found.retain(|path| path.file_name().is_none_or(|name| name != "CHANGELOG.md"));
    let mut texts: Vec<_> =
        found.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect();
    for folder in fs::read_dir(root.join("crates")).unwrap() {
        let path = folder.unwrap().path().join("src/lib.rs");
        let code = fs::read_to_string(&path).unwrap_or_default();
        let page = code.lines().map_while(|line| line.strip_prefix("//!"));
        let page: String =
            page.map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line))).collect();
        texts.push((path, page));
    }
    texts
}

/// The files of examples that a document links and that are no programs by themselves: whoever
/// follows the link copies them.
fn taken_over(root: &Path, from: &Path, text: &str) -> Vec<(usize, PathBuf)> {
    let examples = root.join("examples").canonicalize().unwrap();
    let mut found = Vec::new();
    for link in links(text).into_iter().filter(|link| link.target.ends_with(".rs")) {
        let Ok(file) = from.parent().unwrap().join(&link.target).canonicalize() else { continue };
        let folder = file.parent().unwrap();
        let is_part = folder.parent() == Some(&examples) && !folder.ends_with("tests");
        if is_part {
            found.push((link.line, file));
        }
    }
    found
}

#[test]
fn the_crates_that_a_program_names_are_those_that_its_document_adds() {
    let root = root();
    let mut defects = Vec::new();
    for (path, text) in texts(&root) {
        let place = path.strip_prefix(&root).unwrap().display();
        let missing = cargo_add::missing(&text).into_iter();
        defects
            .extend(missing.map(|(line, name)| format!("{place}:{line}: no `cargo add {name}`")));
        for (line, file) in taken_over(&root, &path, &text) {
            let code = fs::read_to_string(&file).unwrap();
            let missing = cargo_add::missing_of(&text, &code).into_iter();
            defects.extend(missing.map(|name| {
                format!("{place}:{line}: no `cargo add {name}`, which {} needs", file.display())
            }));
        }
    }
    let page = root.join("docs/embed.md");
    assert_eq!(taken_over(&root, &page, &fs::read_to_string(&page).unwrap()).len(), 1);
    assert!(defects.is_empty(), "{}", defects.join("\n"));
}

/// The comments of documentation in a file of code, line by line.
fn comments(code: &str) -> String {
    let comment = |line: &str| {
        let line = line.trim_start();
        let text = ["//! ", "/// "].iter().find_map(|sign| line.strip_prefix(sign));
        format!("{}\n", text.unwrap_or_default())
    };
    code.lines().map(comment).collect()
}

#[test]
fn what_documents_call_public_is_public() {
    let root = root();
    let public = Public::read(&root);
    let mut defects = Vec::new();
    let mut tell = |path: &Path, gone: &mut dyn Iterator<Item = (usize, String)>| {
        let place = path.strip_prefix(&root).unwrap().display();
        defects.extend(gone.map(|(line, name)| format!("{place}:{line}: no `{name}` in docs/api")));
    };
    for (path, text) in texts(&root) {
        tell(&path, &mut public.gone(&text).into_iter());
    }
    let mut files = Vec::new();
    below(&root.join("crates"), "rs", &mut files);
    for path in files {
        let gone = public.gone(&comments(&fs::read_to_string(&path).unwrap())).into_iter();
        // Links rustdoc checks, and a type without its crate may be a private one.
        tell(&path, &mut gone.filter(|(_, name)| name.starts_with("acr_")));
    }
    assert!(defects.is_empty(), "{}", defects.join("\n"));
}

/// What is missing in the folder of a crate that is to be published.
fn crate_defects(root: &Path, folder: &Path) -> Vec<String> {
    let read = |path: &str| fs::read_to_string(folder.join(path)).unwrap_or_default();
    let manifest = read("Cargo.toml");
    let mut missing = Vec::new();
    for key in ["description", "license", "repository", "readme", "categories", "keywords"] {
        let is_there = |line: &str| {
            line.starts_with(&format!("{key} = ")) || line == format!("{key}.workspace = true")
        };
        if !manifest.lines().any(is_there) {
            missing.push(format!("`{key}`"));
        }
    }
    let docs_rs = "[package.metadata.docs.rs]\nall-features = true\n";
    if !manifest.contains(docs_rs) {
        missing.push("`package.metadata.docs.rs`".to_owned());
    }
    for licence in ["LICENSE-MIT", "LICENSE-APACHE"] {
        if read(licence) != fs::read_to_string(root.join(licence)).unwrap() {
            missing.push(format!("the {licence} of the workspace"));
        }
    }
    if !read("README.md").contains("\n## Licence\n") {
        missing.push("a README.md with a licence".to_owned());
    }
    let front = read("src/lib.rs");
    if !front.is_empty() {
        // docs.rs sets `docsrs`, which does not compile without the feature.
        if !front.contains("\n#![cfg_attr(docsrs, feature(doc_cfg))]\n") {
            missing.push("`feature(doc_cfg)`".to_owned());
        }
        for part in ["//! cargo add ", "//! # Features", "//! # Where to go next"] {
            if !front.contains(part) {
                missing.push(format!("`{part}` on its front page"));
            }
        }
    }
    missing
}

#[test]
fn every_crate_has_what_crates_io_and_docs_rs_show_of_it() {
    let root = root();
    let mut defects = Vec::new();
    let folders = fs::read_dir(root.join("crates")).unwrap().map(|entry| entry.unwrap().path());
    let folders: Vec<PathBuf> = folders.filter(|path| path.join("Cargo.toml").exists()).collect();
    assert!(folders.len() >= 6, "{folders:?}");
    for folder in folders {
        for defect in crate_defects(&root, &folder) {
            defects.push(format!("{}: no {defect}", folder.file_name().unwrap().display()));
        }
    }
    assert!(defects.is_empty(), "{}", defects.join("\n"));
}

#[test]
fn a_crate_that_lacks_something_is_told() {
    let root = root();
    // The examples are not published, and have none of it but a description and a licence.
    let defects = crate_defects(&root, &root.join("examples"));
    for missing in ["`readme`", "`keywords`", "LICENSE-MIT", "docs.rs", "doc_cfg", "cargo add"] {
        assert!(defects.iter().any(|defect| defect.contains(missing)), "{missing}: {defects:?}");
    }
}
