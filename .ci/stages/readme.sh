#!/usr/bin/env bash
# The two commands that the README gives work as written.
set -euo pipefail
# shellcheck source=.ci/common.sh
source .ci/common.sh

try() {
  grep -qF -- "$*" README.md || fail "the README does not name: $*"
  run "$@"
}

try cargo run --example tour
try cargo test --workspace
