#!/usr/bin/env bash
# What `cargo test --workspace` cannot have: the other TLS provider, which is used only where the
# first is not there.
set -euo pipefail
# shellcheck source=.ci/common.sh
source .ci/common.sh

run_tests cargo test --no-fail-fast -p acr-core --no-default-features --features ring,http2 \
  --test tls --test proxy --test http2
