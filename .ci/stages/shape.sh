#!/usr/bin/env bash
# No long files and functions, and no circles of files but those that are left: the numbers only go down.
set -euo pipefail
# shellcheck source=.ci/common.sh
source .ci/common.sh

run .ci/lengths
run .ci/circles
