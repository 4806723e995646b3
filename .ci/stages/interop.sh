#!/usr/bin/env bash
# Real software: what the stage `tools` installs. A missing program fails its tests.
set -euo pipefail
# shellcheck source=.ci/common.sh
source .ci/common.sh

# The others ran without foreign software.
mapfile -t tests < <(grep -lF '#![cfg(feature = "servers")]' interop/tests/*.rs | xargs -n 1 basename -s .rs)
[[ ${#tests[@]} -gt 0 ]] || fail "no test needs foreign software"
run cargo test --no-fail-fast "${workspace[@]}" "${tests[@]/#/--test=}"
# Everyone else's clients and servers; what they do must be what docs/interop.md says.
run bash interop/run
