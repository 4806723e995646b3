#!/usr/bin/env bash
# Real software: what the stage `tools` installs. A missing program fails its tests.
set -euo pipefail
# shellcheck source=.ci/common.sh
source .ci/common.sh

run cargo test --no-fail-fast -p acr-interop --features servers
# Everyone else's clients and servers; what they do must be what docs/interop.md says.
run bash interop/run
