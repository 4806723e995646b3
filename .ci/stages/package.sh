#!/usr/bin/env bash
# Each crate builds from its own package, as a user of the registry gets it.
set -euo pipefail
# shellcheck source=.ci/common.sh
source .ci/common.sh

run cargo package --locked --allow-dirty --workspace \
  --exclude acr-bench --exclude acr-examples --exclude acr-interop
