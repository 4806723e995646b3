#!/usr/bin/env bash
# The documentation builds without a warning: as users see it, as docs.rs builds it, with private
# items, and of a crate that is alone.
set -euo pipefail
# shellcheck source=.ci/common.sh
source .ci/common.sh

export RUSTDOCFLAGS="-D warnings"
run cargo doc --workspace --no-deps
run cargo doc --no-deps -p acr-testkit

# docs.rs opens the compiler's gates and names itself. What is built so is built anew for others,
# hence a folder of its own; the stage `api` uses it too.
CARGO_TARGET_DIR="$(target_dir)/docsrs"
export CARGO_TARGET_DIR RUSTC_BOOTSTRAP=1
packages=()
for picked in "${crates[@]}"; do packages+=(-p "$picked"); done
RUSTDOCFLAGS="-D warnings --cfg docsrs" run cargo doc --no-deps --all-features "${packages[@]}"
run cargo doc --no-deps --all-features --document-private-items "${packages[@]}"
