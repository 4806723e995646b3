#!/usr/bin/env bash
# Licences, sources and forbidden crates; known vulnerabilities when their list can be had.
set -euo pipefail
# shellcheck source=.ci/common.sh
source .ci/common.sh

run cargo deny --all-features check bans licenses sources
# What users get: no dev-dependencies, default features, and no edge between our crates but to acr-core.
run cargo deny --config deny-shipped.toml --exclude acr-examples --exclude acr-interop check bans

# The list of vulnerabilities lives outside this repository and changes without it:
# what it says is printed and is no gate.
if ! run timeout --kill-after=5 180 cargo deny fetch db; then
  printf 'advisories: not run (the database cannot be fetched)\n'
elif run cargo deny --all-features check --disable-fetch advisories; then
  printf 'advisories: none\n'
else
  printf 'advisories: FOUND, see above (reported, not a gate)\n'
fi
