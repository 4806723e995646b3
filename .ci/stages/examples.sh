#!/usr/bin/env bash
# Every example of acr-examples runs to its end by itself, in bounded time. Those with files in
# examples/expected print what these say: the first line has the arguments, each further one is an
# extended regular expression for one line of the output.
set -euo pipefail
# shellcheck source=.ci/common.sh
source .ci/common.sh

limit=300 # seconds, for the example alone: it is built before

# Runs an example with arguments, its output shown and kept.
example() {
  run timeout --kill-after=5 "$limit" \
    "$(target_dir)/debug/examples/$1" "${@:2}" | tee "$output" ||
    fail "example $*"
}

# Compares the output that was kept, without the line that says what ran.
compare() {
  local -a wanted got
  mapfile -t wanted < <(tail -n +2 "$1")
  mapfile -t got < <(tail -n +2 "$output")
  [[ ${#wanted[@]} -gt 0 ]] || fail "$1 expects nothing"
  [[ ${#got[@]} -eq ${#wanted[@]} ]] || fail "$1: ${#got[@]} lines instead of ${#wanted[@]}"
  local at
  for at in "${!wanted[@]}"; do
    [[ ${got[at]} =~ ^${wanted[at]}$ ]] || fail "$1: \`${got[at]}\` is not \`${wanted[at]}\`"
  done
}

output=$(mktemp)
trap 'rm -f "$output"' EXIT

mapfile -t names < <(cargo metadata --no-deps --format-version 1 | python3 -c '
import json, sys
packages = json.load(sys.stdin)["packages"]
for target in next(each["targets"] for each in packages if each["name"] == "acr-examples"):
    if target["kind"] == ["example"] and not target.get("required-features"):
        print(target["name"])
')
[[ ${#names[@]} -gt 0 ]] || fail "acr-examples has no example"
run cargo build "${workspace[@]}" --examples
checked=0
for name in "${names[@]}"; do
  is_expected=false
  for file in examples/expected/*.txt; do
    read -r -a command <"$file"
    [[ ${command[0]} == "$name" ]] || continue
    example "${command[@]}"
    compare "$file"
    is_expected=true
    checked=$((checked + 1))
  done
  [[ $is_expected == true ]] || example "$name"
done
files=(examples/expected/*.txt)
[[ $checked -eq ${#files[@]} ]] || fail "examples/expected has a file for an example that is none"
printf '%s examples, %s outputs as expected\n' "${#names[@]}" "$checked"
