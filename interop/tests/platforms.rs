//! Which manifest of an index suits a platform: containerd's choice and ours, over
//! generated lists. `interop/platforms` asks containerd's package.
#![cfg(feature = "servers")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop at the first surprise"
)]

use std::{
    fmt::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use acr_registry::{Descriptor, ImageIndex, MediaType, Platform};
use serde_json::json;
use tempfile::TempDir;

#[test]
fn f3_we_choose_what_containerd_chooses() {
    let mut random = fastrand::Rng::with_seed(7);
    let mut lists: Vec<_> = (0..LISTS).map(|_| generate(&mut random)).collect();
    lists.extend(windows());
    let chosen = containerd(&lists);
    assert_eq!(chosen.len(), lists.len());
    let mut some = 0;
    for ((wanted, offered), theirs) in lists.iter().zip(chosen) {
        let ours = choose(wanted, offered);
        assert_eq!(ours, theirs, "{} of {}", json!(wanted), json!(offered));
        some += usize::from(ours.is_some());
    }
    // Neither "nothing runs" nor "the first one" would do.
    assert!(some > LISTS / 3 && some < LISTS, "{some} of {LISTS} lists had an answer");
}

type List = (Platform, Vec<Option<Platform>>);

fn choose(wanted: &Platform, offered: &[Option<Platform>]) -> Option<usize> {
    let entries = offered.iter().enumerate().map(|(place, platform)| {
        let entry =
            Descriptor::of(MediaType::OCI_MANIFEST, b"{}").annotation("n", place.to_string());
        platform.iter().fold(entry, |entry, platform| entry.platform(platform.clone()))
    });
    let index = entries.fold(ImageIndex::new(), ImageIndex::manifest);
    index.select(wanted).map(|entry| entry.annotations["n"].parse().unwrap())
}

fn generate(random: &mut fastrand::Rng) -> List {
    let wanted = platform(random, &WANTED);
    let count = random.usize(0..6);
    let one =
        |random: &mut fastrand::Rng| (random.u8(0..8) > 0).then(|| platform(random, &OFFERED));
    (wanted, (0..count).map(|_| one(random)).collect())
}

fn platform(random: &mut fastrand::Rng, names: &[(&str, &[&str])]) -> Platform {
    let (architecture, variants) = names[random.usize(0..names.len())];
    let os = if random.u8(0..8) == 0 { "darwin" } else { "linux" };
    let mut platform = Platform::new(os, architecture);
    let variant = variants[random.usize(0..variants.len())];
    if !variant.is_empty() {
        platform = platform.variant(variant);
    }
    for feature in ["sse4", "aes"] {
        if random.u8(0..10) == 0 {
            platform = platform.os_feature(feature);
        }
    }
    platform
}

/// Whether a version of Windows runs on another; which one of several is better,
/// containerd does not say.
fn windows() -> Vec<List> {
    let builds =
        ["10.0.14393.1", "10.0.17763.5", "10.0.20348.2", "10.0.25398.1", "10.0.26100.9", ""];
    let platform = |version: &str| {
        let platform = Platform::new("windows", "amd64");
        if version.is_empty() { platform } else { platform.os_version(version) }
    };
    let pairs = builds.iter().flat_map(|host| builds.iter().map(move |image| (host, image)));
    pairs.map(|(host, image)| (platform(host), vec![Some(platform(image))])).collect()
}

fn containerd(lists: &[List]) -> Vec<Option<usize>> {
    let folder = TempDir::new().unwrap();
    let program = folder.path().join("platforms");
    let built = Command::new("go")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("platforms"))
        .env("CGO_ENABLED", "0")
        .args(["build", "-mod=readonly", "-o"])
        .arg(&program)
        .status();
    assert!(built.unwrap().success(), "interop/platforms does not build");
    let questions = lists.iter().fold(String::new(), |mut text, (wanted, offered)| {
        writeln!(text, "{}", json!({ "wanted": wanted, "offered": offered })).unwrap();
        text
    });
    let asked = folder.path().join("questions");
    std::fs::write(&asked, questions).unwrap();
    let output = Command::new(&program)
        .stdin(std::fs::File::open(&asked).unwrap())
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success());
    let answers = String::from_utf8(output.stdout).unwrap();
    answers.lines().map(|line| usize::try_from(line.parse::<i64>().unwrap()).ok()).collect()
}

const WANTED: [(&str, &[&str]); 6] = [
    ("amd64", &["", "v1", "v2", "v3", "v4"]),
    ("arm", &["", "v5", "v6", "v7", "v8", "7", "v4"]),
    ("arm64", &["", "v8", "v8.2", "v9", "v9.3"]),
    ("386", &[""]),
    ("x86_64", &[""]),
    ("riscv64", &["", "rva22u64"]),
];

const OFFERED: [(&str, &[&str]); 9] = [
    ("amd64", &["", "v1", "v2", "v3", "v4", "odd"]),
    ("arm", &["", "v4", "v5", "v6", "v7", "v8", "6", "armv7"]),
    ("arm64", &["", "v8", "8", "v8.1", "v8.6", "v9", "v9.2", "armv8"]),
    ("386", &["", "sse2"]),
    ("aarch64", &[""]),
    ("armhf", &[""]),
    ("AMD64", &["V2"]),
    ("riscv64", &["", "rva22u64"]),
    ("unknown", &[""]),
];

const LISTS: usize = 3000;
