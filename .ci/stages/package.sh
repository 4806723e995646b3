#!/usr/bin/env bash
# The foundation builds from its own package, as a user of the registry gets it. The
# other crates can follow once it is published: their packages depend on it by version.
set -euo pipefail
# shellcheck source=.ci/common.sh
source .ci/common.sh

run cargo package --locked --allow-dirty -p acr-core
