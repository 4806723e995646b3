#!/usr/bin/env bash
# The libraries, the emulator and the examples compile with the oldest Rust that the README
# promises, with all features. What tests and benches need is not promised to anyone.
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
run rustup run "$version" cargo check --locked --workspace --exclude acr-bench --exclude acr-interop --all-features \
  --lib --bins --examples
