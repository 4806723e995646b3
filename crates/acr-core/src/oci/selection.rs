//! Which of several images runs on a platform, and which of those is the best.
//!
//! The order is that of containerd: the variant that was asked for, then the highest one
//! below it, then what the processor runs besides (386 on amd64, arm on arm64); of equals the
//! one that uses most features.

use std::cmp::Reverse;

use super::{Architecture, OperatingSystem, Platform};

/// How well an image suits; less is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    steps_down: u32,
    /// Of what runs, what uses most of what there is.
    features: Reverse<usize>,
    version: VersionRank,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum VersionRank {
    /// As asked, or nothing was asked.
    AsAsked,
    /// How far below what was asked.
    Below(u32),
    Unknown,
}

/// How well an image for `offered` runs on `wanted`; `None` if it does not run.
pub(super) fn rank(offered: &Platform, wanted: &Platform) -> Option<Rank> {
    let (offered_os, wanted_os) = (system(offered), system(wanted));
    // Where no system is named, it is the one at hand.
    if !offered_os.is_empty() && !wanted_os.is_empty() && offered_os != wanted_os {
        return None;
    }
    let is_windows = wanted_os == "windows";
    let steps_down = steps_down(&Processor::of(offered), &Processor::of(wanted))?;
    let lacks = |feature: &String| {
        // Windows has it everywhere.
        !wanted.os_features.contains(feature) && (!is_windows || feature != "win32k")
    };
    if offered.os_features.iter().any(lacks) {
        return None;
    }
    let version = match (text(&offered.os_version), text(&wanted.os_version)) {
        (_, "") => VersionRank::AsAsked,
        ("", _) => VersionRank::Unknown,
        (offered, wanted) if is_windows => windows_rank(offered, wanted)?,
        (offered, wanted) if is_part(wanted, offered) => VersionRank::AsAsked,
        _ => return None,
    };
    Some(Rank { steps_down, features: Reverse(offered.os_features.len()), version })
}

/// Architecture and variant, one name for each.
struct Processor {
    architecture: String,
    variant: String,
}

impl Processor {
    fn of(platform: &Platform) -> Self {
        let lower = |text: Option<&str>| text.unwrap_or_default().to_ascii_lowercase();
        let architecture = lower(platform.architecture.as_ref().map(Architecture::as_str));
        let variant = lower(platform.variant.as_deref());
        let (architecture, variant) = match (architecture.as_str(), variant.as_str()) {
            ("i386", _) => ("386", ""),
            ("x86_64" | "x86-64" | "amd64", "" | "v1") => ("amd64", ""),
            ("x86_64" | "x86-64", _) => ("amd64", variant.as_str()),
            ("aarch64" | "arm64", "8" | "v8" | "v8.0") => ("arm64", ""),
            ("aarch64" | "arm64", "v9.0") => ("arm64", "v9"),
            ("aarch64", _) => ("arm64", variant.as_str()),
            ("armhf", _) | ("arm", "" | "7") => ("arm", "v7"),
            ("armel", _) | ("arm", "6") => ("arm", "v6"),
            ("arm", "5") => ("arm", "v5"),
            ("arm", "8") => ("arm", "v8"),
            (architecture, variant) => (architecture, variant),
        };
        Self { architecture: architecture.to_owned(), variant: variant.to_owned() }
    }
}

/// How many steps of containerd's order lie between the two; `None` if it has none.
fn steps_down(offered: &Processor, wanted: &Processor) -> Option<u32> {
    let same = offered.architecture == wanted.architecture;
    if wanted.architecture.is_empty() || offered.architecture.is_empty() {
        return None;
    }
    if same && offered.variant == wanted.variant {
        return Some(0);
    }
    match (wanted.architecture.as_str(), offered.architecture.as_str()) {
        ("amd64", "amd64") => below(level(&offered.variant, 1)?, level(&wanted.variant, 1)?),
        ("amd64", "386") => offered.variant.is_empty().then_some(OTHER_PROCESSOR),
        ("arm", "arm") => arm_steps(offered, level(&wanted.variant, 7)?),
        ("arm64", "arm64") => arm64_steps(&offered.variant, &wanted.variant),
        ("arm64", "arm") => {
            let _known = arm64_level(&wanted.variant)?;
            arm_steps(offered, 8).map(|steps| OTHER_PROCESSOR.saturating_add(steps))
        }
        _ => None,
    }
}

fn arm_steps(offered: &Processor, wanted: u32) -> Option<u32> {
    let offered = level(&offered.variant, 7)?;
    // Below v5 nothing is known to run on anything else.
    if offered < 5 { None } else { below(offered, wanted) }
}

/// Armv9.x has everything that Armv8.(x+5) has.
fn arm64_steps(offered: &str, wanted: &str) -> Option<u32> {
    let ((offered_major, offered_minor), (major, minor)) =
        (arm64_level(offered)?, arm64_level(wanted)?);
    match (major, offered_major) {
        (8, 8) | (9, 9) => below(offered_minor, minor),
        (9, 8) => {
            let highest = minor.saturating_add(5).min(9);
            let steps = below(offered_minor, highest)?;
            Some(steps.saturating_add(minor).saturating_add(1))
        }
        _ => None,
    }
}

fn arm64_level(variant: &str) -> Option<(u32, u32)> {
    if variant.is_empty() {
        return Some((8, 0));
    }
    let number = variant.strip_prefix('v')?;
    let (major, minor) = number.split_once('.').unwrap_or((number, "0"));
    match (digits(major)?, digits(minor)?) {
        (8, minor) if minor <= 9 => Some((8, minor)),
        (9, minor) if minor <= 7 => Some((9, minor)),
        _ => None,
    }
}

/// The number of `v3`.
fn level(variant: &str, without: u32) -> Option<u32> {
    if variant.is_empty() { Some(without) } else { digits(variant.strip_prefix('v')?) }
}

fn below(offered: u32, wanted: u32) -> Option<u32> {
    wanted.checked_sub(offered)
}

/// A number as it is written: without sign or leading zeros.
fn digits(text: &str) -> Option<u32> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let is_plain = is_plain && (text == "0" || !text.starts_with('0'));
    is_plain.then(|| text.parse().ok()).flatten()
}

/// A host runs images of its own build; from Windows Server 2022 on also those of older
/// builds, as far back as the last release with long-term support before its own.
fn windows_rank(offered: &str, wanted: &str) -> Option<VersionRank> {
    let Some((major, minor, build)) = windows_build(wanted) else {
        return is_part(wanted, offered).then_some(VersionRank::AsAsked);
    };
    let (offered_major, offered_minor, offered_build) = windows_build(offered)?;
    if (major, minor) != (offered_major, offered_minor) {
        return None;
    }
    if build == offered_build {
        return Some(VersionRank::AsAsked);
    }
    let floor = if build < SERVER_2022 { build } else { SERVER_2022 };
    let runs = (floor..=build).contains(&offered_build);
    runs.then(|| VersionRank::Below(build.saturating_sub(offered_build)))
}

fn windows_build(version: &str) -> Option<(u32, u32, u32)> {
    let mut parts = version.split('.').map(digits);
    Some((parts.next()??, parts.next()??, parts.next()??))
}

/// Version numbers part by part, so that `10.0.1` is no part of `10.0.17`.
fn is_part(part: &str, whole: &str) -> bool {
    whole.strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn system(platform: &Platform) -> String {
    let name = platform.os.as_ref().map(OperatingSystem::as_str).unwrap_or_default();
    let name = name.to_ascii_lowercase();
    if name == "macos" { "darwin".to_owned() } else { name }
}

fn text(field: &Option<String>) -> &str {
    field.as_deref().unwrap_or_default()
}

/// After all variants of the processor itself.
const OTHER_PROCESSOR: u32 = 1 << 16;

/// Its build, the floor of every later host; Windows Server 2025 runs no older ones either.
const SERVER_2022: u32 = 20348;

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(offered: &str, wanted: &str) -> Option<u32> {
        let platform = |text: &str| {
            let mut parts = text.split('/');
            let platform = Platform::new("linux", parts.next().unwrap());
            parts.next().map_or(platform.clone(), |variant| platform.variant(variant))
        };
        rank(&platform(offered), &platform(wanted)).map(|rank| rank.steps_down)
    }

    #[test]
    fn f3_what_runs_is_at_most_what_was_asked_for() {
        for (offered, wanted, expected) in [
            ("amd64", "amd64", Some(0)),
            ("amd64/v1", "amd64", Some(0)),
            ("x86_64", "amd64", Some(0)),
            ("amd64/v3", "amd64", None),
            ("amd64/v2", "amd64/v3", Some(1)),
            ("amd64", "amd64/v3", Some(2)),
            ("386", "amd64", Some(OTHER_PROCESSOR)),
            ("amd64", "386", None),
            ("arm", "arm/v7", Some(0)),
            ("arm/v6", "arm/v7", Some(1)),
            ("arm/v6", "arm", Some(1)),
            ("arm/v7", "arm/v6", None),
            ("arm/v8", "arm", None),
            ("arm/v4", "arm", None),
            ("arm/v4", "arm/v4", Some(0)),
            ("arm64/v8", "arm64", Some(0)),
            ("arm64/v8.2", "arm64", None),
            ("arm64", "arm64/v8.2", Some(2)),
            ("arm64/v8.6", "arm64/v9.1", Some(2)),
            ("arm64/v8.7", "arm64/v9.1", None),
            ("arm64/v9", "arm64/v8.9", None),
            ("arm/v7", "arm64", Some(OTHER_PROCESSOR + 1)),
            ("arm64", "arm", None),
            ("arm/v4294967296", "arm", None),
            ("amd64/v03", "amd64/v4", None),
            ("riscv64", "riscv64", Some(0)),
            ("riscv64/rva22u64", "riscv64", None),
        ] {
            assert_eq!(steps(offered, wanted), expected, "{offered} on {wanted}");
        }
    }

    #[test]
    fn f3_windows_runs_its_own_build_and_newer_hosts_older_ones() {
        let windows = |version: &str| Platform::new("windows", "amd64").os_version(version);
        for (offered, wanted, runs) in [
            ("10.0.17763.1", "10.0.17763.5", true),
            ("10.0.17763.1", "10.0.17763", true),
            ("10.0.17763.1", "10.0.20348.2", false),
            ("10.0.20348.2", "10.0.26100.1", true),
            ("10.0.26100.1", "10.0.20348.2", false),
            ("10.0.17763.1", "10.0", true),
            ("10.1.20348.1", "10.0.20348", false),
            ("rubbish", "10.0.20348", false),
            ("", "10.0.20348", true),
        ] {
            let runs_here = rank(&windows(offered), &windows(wanted)).is_some();
            assert_eq!(runs_here, runs, "{offered} on {wanted}");
        }
        let needs = Platform::new("windows", "amd64").os_feature("win32k");
        assert!(rank(&needs, &windows("10.0.20348")).is_some());
        let needs = Platform::new("linux", "amd64").os_feature("sse4");
        assert!(rank(&needs, &Platform::new("linux", "amd64")).is_none());
        assert!(rank(&needs, &needs).is_some());
    }
}
