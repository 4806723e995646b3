#!/usr/bin/env bash
# The two commands that the README gives work as written.
set -euo pipefail
# shellcheck source=.ci/common.sh
source .ci/common.sh

try() {
  grep -qF -- "$*" README.md || fail "the README does not name: $*"
  run "$@"
}

compared="$(target_dir)/tmp/fidelity.md"
rm -f "$compared"
try cargo run --example tour
try cargo test --workspace

# Where recordings of registries lie beside the clone (or where ACR_RECORDINGS says), the emulator was
# asked every recorded request; what was compared:
cat "$compared"
