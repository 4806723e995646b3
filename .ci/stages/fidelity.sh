#!/usr/bin/env bash
# Asks every recorded request again and prints what was compared. The recordings lie beside
# the clone, or where ACR_RECORDINGS says.
set -euo pipefail
# shellcheck source=.ci/common.sh
source .ci/common.sh

run cargo test "${workspace[@]}" --test fidelity -- --nocapture
