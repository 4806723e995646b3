#!/usr/bin/env bash
# The documentation builds without a warning: as docs.rs builds it, with private items, and of a
# crate that is alone.
set -euo pipefail
# shellcheck source=.ci/common.sh
source .ci/common.sh

# Of this crate most links lead to what only its features have.
RUSTDOCFLAGS="-D warnings" run cargo doc --no-deps -p acr-testkit

# With the features that the stage `clippy` has, so that nothing is compiled for this alone.
export RUSTDOC="$PWD/.ci/rustdoc"
RUSTDOCFLAGS="-D warnings --cfg docsrs" run cargo doc --workspace --no-deps --all-features
packages=()
for picked in "${crates[@]}"; do packages+=(-p "$picked"); done
RUSTDOCFLAGS="-D warnings" run cargo doc --no-deps --all-features --document-private-items "${packages[@]}"
