#!/usr/bin/env bash
# Every documented example compiles and holds, with all features.
set -euo pipefail
# shellcheck source=.ci/common.sh
source .ci/common.sh

run cargo test --no-fail-fast --workspace --all-features --doc
