#!/usr/bin/env bash
# Nothing public by accident: the public API of each library is as listed in docs/api.
set -euo pipefail
# shellcheck source=.ci/common.sh
source .ci/common.sh

run .ci/api
