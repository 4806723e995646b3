#!/usr/bin/env bash
# The benches compile and run once. Their figures are for a quiet machine, so they are no gate.
set -euo pipefail
# shellcheck source=.ci/common.sh
source .ci/common.sh

run cargo bench -p acr-bench --bench overhead -- --test
run cargo bench -p acr-bench --bench transfer -- --test
# A gate: a list of any length takes one request a page and the same memory.
run cargo bench -p acr-bench --bench listing
