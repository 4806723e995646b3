#!/usr/bin/env bash
# The libraries' tests on Windows: built with mingw, run by Wine. What needs the systems' own
# programs (interop, examples' processes) is tested on Linux alone.
set -euo pipefail
# shellcheck source=.ci/common.sh
source .ci/common.sh

target=x86_64-pc-windows-gnu
if ! rustup target list --installed | grep -x "$target" >/dev/null; then
  run rustup target add "$target" || fail "Rust's libraries for $target cannot be installed"
fi

wine=/usr/lib/wine/wine64
folder="$(target_dir)/windows"
mkdir -p "$folder/lib"
run x86_64-w64-mingw32-gcc -shared -O1 -o "$folder/lib/bcryptprimitives.dll" .ci/windows/bcryptprimitives.c -ladvapi32

export CARGO_TARGET_DIR="$folder"
export CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER="$wine"
export WINEPREFIX="$folder/prefix" WINEDEBUG=-all WINEARCH=win64 WINEPATH="$folder/lib"
# No window asks to install what .NET programs and browsers want.
export WINEDLLOVERRIDES="mscoree=;mshtml="

# Wine has no store of authorities, so what builds the default transport is left out, and its
# sockets are slow: of the tests that open many, those of transfers are enough.
packages=()
for picked in "${crates[@]}"; do packages+=(-p "$picked"); done
tests=(credentials entra builders transfer downloads resumable operations)
limit=1500 # seconds, of which most compiles
run timeout --kill-after=10 "$limit" cargo test --no-fail-fast --target "$target" "${packages[@]}" \
  --lib "${tests[@]/#/--test=}" -- --skip c10_a_registrys_bare_name
