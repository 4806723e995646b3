#!/usr/bin/env bash
# Real software: Debian's docker-registry, skopeo and umoci. A missing program fails its tests.
set -euo pipefail
# shellcheck source=.ci/common.sh
source .ci/common.sh

run cargo test --no-fail-fast -p acr-interop --features servers
