#!/usr/bin/env bash
# The tour moves a folder with 200 small files and one of 1 GiB and needs little memory for it.
set -euo pipefail
# shellcheck source=.ci/common.sh
source .ci/common.sh

bound=96   # MiB
limit=1200 # seconds

mkdir -p "$(target_dir)"
folder=$(mktemp -d "$(target_dir)/tour-memory.XXXXXX")
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/small" "$folder/tmp"
for number in $(seq 200); do
  # Random, so that nothing on the way can compress or share it.
  head -c $((number * 251)) /dev/urandom >"$folder/small/$number.bin"
done
mkdir "$folder/tour"
mv "$folder/small" "$folder/tour/small"
head -c $((1024 * 1024 * 1024)) /dev/urandom >"$folder/tour/large.bin"

run cargo build "${workspace[@]}" --example tour
# What the tour writes goes to the same disk: a temporary folder in memory is not its fault.
export TMPDIR="$folder/tmp"
run timeout --kill-after=5 "$limit" \
  "$(target_dir)/debug/examples/tour" "$folder/tour" | tee "$folder/output"

peak=$(sed -n 's/.*peak memory: *\([0-9][0-9]*\).*/\1/p' "$folder/output" | tail -n 1)
[[ -n "$peak" ]] || fail "the tour did not print its peak memory"
printf 'peak memory of the tour: %s MiB, allowed: less than %s MiB\n' "$peak" "$bound"
[[ "$peak" -lt "$bound" ]] || fail "the tour needed $peak MiB"
