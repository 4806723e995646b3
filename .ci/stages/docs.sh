#!/usr/bin/env bash
# The documentation builds without a warning: as users see it, and with private items.
set -euo pipefail
# shellcheck source=.ci/common.sh
source .ci/common.sh

export RUSTDOCFLAGS="-D warnings"
run cargo doc --workspace --no-deps
run cargo doc --workspace --no-deps --all-features
run cargo doc --workspace --no-deps --all-features --document-private-items
