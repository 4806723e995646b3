#!/usr/bin/env bash
# The benches compile and run. Speeds are for a quiet machine and no gate; errors and memory are one.
set -euo pipefail
# shellcheck source=.ci/common.sh
source .ci/common.sh

run cargo bench -p acr-bench --bench overhead -- --test
# 10 GiB up as a stream, up as a file, and down, each in at most 32 MiB.
run cargo bench -p acr-bench --bench transfer -- --mib 10240
# 1,000 clients of the emulator for a minute, with 10,000 tags and 100,000 manifests.
run cargo bench -p acr-bench --bench load
# A gate: a list of any length takes one request a page and the same memory.
run cargo bench -p acr-bench --bench listing
