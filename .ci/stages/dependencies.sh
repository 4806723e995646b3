#!/usr/bin/env bash
# Cargo.lock fits the manifests, and everything it names can be had.
set -euo pipefail
# shellcheck source=.ci/common.sh
source .ci/common.sh

run cargo fetch --locked
