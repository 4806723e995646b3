#!/usr/bin/env bash
# No warning: default features, no features, all features, and the other TLS provider.
set -euo pipefail
# shellcheck source=.ci/common.sh
source .ci/common.sh

run cargo clippy --workspace --all-targets -- -D warnings
for crate in "${crates[@]}"; do
  run cargo clippy -p "$crate" --no-default-features -- -D warnings
done
run cargo clippy --workspace --all-targets --all-features -- -D warnings
run cargo clippy -p acr-core --no-default-features --features ring --all-targets -- -D warnings
