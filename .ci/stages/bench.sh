#!/usr/bin/env bash
# The benches compile and run, and hold what they promise of memory and requests at a small size.
# `.ci/long` has the large ones, and is for speeds. Not optimised: nothing more is compiled.
set -euo pipefail
# shellcheck source=.ci/common.sh
source .ci/common.sh

bench() {
  run cargo bench "${workspace[@]}" --profile dev --bench "$@"
}
bench overhead -- --test
# 1 GiB up as a stream, up as a file, and down, each in at most 32 MiB.
bench transfer -- --mib 1024
# A list of any length takes one request a page and the same memory.
bench listing
# Ours beside the yardstick: whether both do all cases. What they take is for a quiet machine.
bench compare -- --mib 16 --count 20 --pairs 1
# Any answer but the expected one is an error.
bench load -- --seconds 10 --clients 200 --manifests 10000 --tags 1000
