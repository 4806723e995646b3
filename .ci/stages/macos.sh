#!/usr/bin/env bash
# The libraries compile for macOS. Only types are checked: neither a linker nor a C compiler for
# macOS can be had here, so the C of the cryptography libraries is left out.
set -euo pipefail
# shellcheck source=.ci/common.sh
source .ci/common.sh

target=aarch64-apple-darwin
if ! rustup target list --installed | grep -x "$target" >/dev/null; then
  run rustup target add "$target" || fail "Rust's libraries for $target cannot be installed"
fi

folder="$(target_dir)/macos"
mkdir -p "$folder/bin"
# Stands for the C compiler and the archiver: makes the file that it is asked for, empty.
cat >"$folder/bin/stand-in" <<'STAND_IN'
#!/bin/sh
# -o FILE for the compiler, FLAGS FILE … for the archiver
for at in "$@"; do
  [ "$last" = -o ] && : >"$at"
  case "$at" in *.a) : >"$at" ;; esac
  last=$at
done
exit 0
STAND_IN
chmod +x "$folder/bin/stand-in"
export CC_aarch64_apple_darwin="$folder/bin/stand-in" AR_aarch64_apple_darwin="$folder/bin/stand-in"
export CARGO_TARGET_DIR="$folder"

packages=()
for picked in "${crates[@]}"; do packages+=(-p "$picked"); done
run cargo check --target "$target" "${packages[@]}" --lib
