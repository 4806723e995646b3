#!/usr/bin/env bash
# The programs that the README begins with compile in a project of their own, as a new user has it,
# and cost no more than we decided: lines, crates, time of a first build, size.
set -euo pipefail
# shellcheck source=.ci/common.sh
source .ci/common.sh

lines=12
programs=2
crates=85 # with tokio, and the program itself: 81
# Seconds of processors, all together, and the size without symbols: as `cargo run` builds it (229 s
# beside other work, 13,428 KiB), or as it is shipped (401 s, 7,479 KiB).
profile=${PROFILE:-dev}
case "$profile" in
  dev) seconds=350 kibibytes=15000 folder=debug ;;
  release) seconds=700 kibibytes=8000 folder=release ;;
  *) fail "no bounds for the profile $profile" ;;
esac

grep -qF 'cargo add acr-client`, `cargo add tokio --features macros,rt-multi-thread`' README.md ||
  fail "the README names other dependencies than this project has"

project="$(target_dir)/first-program/project"
rm -rf "$(target_dir)/first-program"
mkdir -p "$project/src/bin"
cp Cargo.lock "$project"
cat >"$project/Cargo.toml" <<PROJECT
[package]
name = "first-program"
version = "0.0.0"
edition = "2024"

[dependencies]
acr-client.path = "$PWD/crates/acr-client"
tokio = { version = "1", features = ["macros", "rt-multi-thread"] }

[profile.$profile]
strip = true

[workspace]
PROJECT

# The blocks of Rust at the head of the README that have a `main`.
python3 - "$project/src/bin" "$programs" "$lines" <<'BLOCKS'
import pathlib, re, sys

folder, programs, lines = pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
head = pathlib.Path("README.md").read_text().split("## The two commands")[0]
blocks = [each for each in re.findall(r"```rust[^\n]*\n(.*?)```", head, re.S) if "fn main()" in each]
if len(blocks) != programs:
    sys.exit(f"FAILED: the README begins with {len(blocks)} programs, not {programs}")
for number, block in enumerate(blocks):
    if (length := len(block.splitlines())) > lines:
        sys.exit(f"FAILED: program {number} of the README has {length} lines, at most {lines}")
    (folder / f"program{number}.rs").write_text(block)
BLOCKS

export CARGO_TARGET_DIR="$project/target"
times="$project/times"
TIMEFORMAT='%U %S'
{ time run cargo build --quiet --profile "$profile" --manifest-path "$project/Cargo.toml" 2>&1; } 2>"$times"
used=$(awk '{ print int($1 + $2) }' <(tail -n 1 "$times"))
count=$(cargo tree --manifest-path "$project/Cargo.toml" --edges normal --target x86_64-unknown-linux-gnu --prefix none --format '{p}' | sed 's: (.*::' | sort -u | wc -l)
size=$(($(stat -c %s "$project/target/$folder/program0") / 1024))

printf 'first program: %s crates (at most %s), %s seconds of processors (at most %s), %s KiB (at most %s)\n' \
  "$count" "$crates" "$used" "$seconds" "$size" "$kibibytes"
[[ "$count" -le "$crates" ]] || fail "a first program brings $count crates"
[[ "$used" -le "$seconds" ]] || fail "a first program takes $used seconds of processors to build"
[[ "$size" -le "$kibibytes" ]] || fail "a first program has $size KiB"
