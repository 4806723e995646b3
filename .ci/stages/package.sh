#!/usr/bin/env bash
# Each crate compiles from its own package, as a user of the registry gets it.
set -euo pipefail
# shellcheck source=.ci/common.sh
source .ci/common.sh

# Not verified by cargo: it unpacks what depends on one another into its home and takes what lies
# there for current, by version alone, so a second run on a machine compiles the first one's files.
run cargo package --locked --allow-dirty --no-verify --workspace \
  --exclude acr-bench --exclude acr-examples --exclude acr-interop

packages="$(target_dir)/package"
unpacked="$packages/unpacked"
version=$(cargo metadata --no-deps --format-version 1 | python3 -c '
import json, sys
print(*{each["version"] for each in json.load(sys.stdin)["packages"] if each["name"] == "acr-core"})
')
rm -rf "$unpacked"
mkdir "$unpacked"
for name in "${crates[@]}" acr-emulator; do
  # `-m`: the times in packages are always the same, and cargo goes by times.
  run tar -xzmf "$packages/$name-$version.crate" -C "$unpacked"
  # What is not published yet is beside it.
  sed -i -E "s#^\[.*dependencies\.(acr-[a-z]+)\]\$#&\npath = \"../\1-$version\"#" \
    "$unpacked/$name-$version/Cargo.toml"
done
{
  printf '[workspace]\nresolver = "3"\nmembers = ["*-%s"]\n\n' "$version"
  sed -n '/^\[profile/,$p' Cargo.toml
} >"$unpacked/Cargo.toml"
cp Cargo.lock "$unpacked"

# In the folder and with the profiles of this workspace, so that what other stages checked is not
# compiled again. Not `--locked`: what only this workspace has is taken out of the lockfile.
CARGO_TARGET_DIR=$(target_dir)
export CARGO_TARGET_DIR
run cargo check --manifest-path "$unpacked/Cargo.toml" --workspace
# Its features would be those of all together; the libraries are compiled alone by the stage `features`.
run cargo check --manifest-path "$unpacked/Cargo.toml" -p acr-emulator
