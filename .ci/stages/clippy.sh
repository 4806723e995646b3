#!/usr/bin/env bash
# No warning in anything: libraries, programs, tests, examples and benches, with all features.
# The stage `features` looks at what only fewer features compile.
set -euo pipefail
# shellcheck source=.ci/common.sh
source .ci/common.sh

run cargo clippy --workspace --all-targets --all-features -- -D warnings
