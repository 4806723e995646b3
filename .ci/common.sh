# shellcheck shell=bash
# What the stages share. Sourced, with the repository's root as working directory.

export CARGO_TERM_COLOR=never
# A machine that builds once has no use for incremental state.
export CARGO_INCREMENTAL=0

# The libraries that are for users; each must stand alone.
# shellcheck disable=SC2034
crates=(acr-core acr-auth acr-registry acr-blob acr-client acr-testkit)

# What is built beside `cargo test --workspace`: with the same features, so that nothing is compiled
# twice. Cargo chooses others for a single crate, and for programs without a test or an example.
# shellcheck disable=SC2034
workspace=(--workspace --features acr-interop/suites)

# Prints a command, then runs it.
run() {
  printf '+ %s\n' "$*"
  "$@"
}

# Runs a command that runs tests; if it ran none (a name that nothing has any more), it is red.
run_tests() {
  local output ran code=0
  output=$(mktemp)
  run "$@" 2>&1 | tee "$output" || code=$?
  ran=$(awk '/^running [0-9]+ tests?$/ { ran += $2 } END { print ran + 0 }' "$output")
  rm -f "$output"
  [[ $ran -gt 0 ]] || fail "no test was run by: $*"
  return "$code"
}

# Prints why a stage is red and ends it.
fail() {
  printf 'FAILED: %s\n' "$*" >&2
  exit 1
}

# The folder that cargo builds into.
target_dir() {
  printf '%s' "${CARGO_TARGET_DIR:-$PWD/target}"
}

# The features of a crate, one a line, without `default` and those that are hidden.
features_of() {
  cargo metadata --no-deps --format-version 1 | python3 -c '
import json, sys
for package in json.load(sys.stdin)["packages"]:
    if package["name"] == sys.argv[1]:
        print(*sorted(name for name in package["features"] if name != "default" and name[0] != "_"), sep="\n")
' "$1"
}
