#!/usr/bin/env bash
# The code is formatted.
set -euo pipefail
# shellcheck source=.ci/common.sh
source .ci/common.sh

run cargo fmt --all --check
