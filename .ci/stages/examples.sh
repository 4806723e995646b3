#!/usr/bin/env bash
# Every example of acr-examples runs to its end by itself, in bounded time.
set -euo pipefail
# shellcheck source=.ci/common.sh
source .ci/common.sh

limit=300 # seconds, for the example alone: it is built before

# Without a name, cargo lists the names it knows, indented by four blanks.
mapfile -t names < <(cargo run -p acr-examples --all-features --example 2>&1 | sed -n 's/^    \([A-Za-z0-9_-]*\)$/\1/p')
[[ ${#names[@]} -gt 0 ]] || fail "acr-examples has no example"
for name in "${names[@]}"; do
  run cargo build -p acr-examples --all-features --example "$name"
  run timeout --kill-after=5 "$limit" cargo run -p acr-examples --all-features --example "$name" ||
    fail "example $name"
done
