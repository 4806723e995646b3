#!/usr/bin/env bash
# What `cargo test --workspace` leaves out because it needs further crates: the credentials of the
# Azure SDK, and the other TLS provider, which is used only where the first is not there.
set -euo pipefail
# shellcheck source=.ci/common.sh
source .ci/common.sh

azure=(--workspace --features acr-interop/suites,acr-examples/azure-identity)
run cargo test --no-fail-fast "${azure[@]}" --test azure_identity
run cargo test --no-fail-fast "${azure[@]}" --test flow -- azure_sdk
run cargo test --no-fail-fast "${azure[@]}" --doc azure_core
run cargo run --quiet --features acr-interop/suites,acr-examples/azure-identity --example azure_identity

run cargo test --no-fail-fast -p acr-core --no-default-features --features ring,http2 \
  --lib --test tls --test proxy --test http2
