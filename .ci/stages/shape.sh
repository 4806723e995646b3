#!/usr/bin/env bash
# No long files and functions, and no circles of files.
set -euo pipefail
# shellcheck source=.ci/common.sh
source .ci/common.sh

run .ci/lengths
run .ci/circles
