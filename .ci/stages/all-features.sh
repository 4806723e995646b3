#!/usr/bin/env bash
# Tests with all features, and acr-core's with the other TLS provider. The foreign
# servers have a stage of their own, and so have the documented examples.
set -euo pipefail
# shellcheck source=.ci/common.sh
source .ci/common.sh

run cargo test --no-fail-fast --workspace --exclude acr-interop --all-features --all-targets
run cargo test --no-fail-fast -p acr-core --no-default-features --features ring --all-targets
