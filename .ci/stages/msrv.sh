#!/usr/bin/env bash
# Everything compiles with the oldest Rust that the README promises, the programs of
# its two commands included.
set -euo pipefail
# shellcheck source=.ci/common.sh
source .ci/common.sh

# A folder of its own: artefacts of two compilers do not mix, and evict each other.
CARGO_TARGET_DIR="$(target_dir)/msrv"
export CARGO_TARGET_DIR

version=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
[[ -n "$version" ]] || fail "Cargo.toml names no rust-version"
grep -qF "MSRV $version" README.md || fail "the README does not name MSRV $version"

if ! rustup run "$version" rustc --version >/dev/null 2>&1; then
  run rustup toolchain install "$version" --profile minimal --no-self-update ||
    fail "Rust $version cannot be installed"
fi
run rustup run "$version" rustc --version
run rustup run "$version" cargo check --locked --workspace --all-targets --all-features
