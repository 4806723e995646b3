#!/usr/bin/env bash
# Each crate alone: with none of its features, with each of them, and with those it has by default,
# without a warning. And it brings nothing that a user did not ask for.
set -euo pipefail
# shellcheck source=.ci/common.sh
source .ci/common.sh

# Fails if the crate $1 with the options after `--` brings one of the crates before it.
tree_lacks() {
  local picked=$1 unwanted=() tree crate
  shift
  while [[ $1 != -- ]]; do
    unwanted+=("$1")
    shift
  done
  shift
  tree=$(cargo tree -p "$picked" --edges normal --target x86_64-unknown-linux-gnu --prefix none --format '{p}' "$@" | sed 's: (.*::' | sort -u)
  for crate in "${unwanted[@]}"; do
    if grep -q "^$crate v" <<<"$tree"; then
      printf '%s\n' "$tree"
      fail "$picked $* brings $crate"
    fi
  done
  printf '%s %s: %s crates, none of: %s\n' "$picked" "$*" "$(wc -l <<<"$tree")" "${unwanted[*]}"
}

# Fails if the crate $2 with the options after it brings more than $1 crates, itself included.
tree_holds() {
  local bound=$1 picked=$2 count
  shift 2
  count=$(cargo tree -p "$picked" --edges normal --target x86_64-unknown-linux-gnu --prefix none --format '{p}' "$@" | sed 's: (.*::' | sort -u | wc -l)
  printf '%s %s: %s crates, at most %s\n' "$picked" "$*" "$count" "$bound"
  [[ "$count" -le "$bound" ]] || fail "$picked $* brings $count crates, at most $bound are allowed"
}

# What a user compiles only goes up when someone decides it.
tree_holds 71 acr-registry
tree_holds 45 acr-registry --no-default-features
tree_holds 60 acr-testkit --no-default-features
tree_lacks acr-testkit clap redb rcgen rustls hyper -- --no-default-features
tree_lacks acr-client azure_core async-trait --
tree_lacks acr-auth azure_core async-trait --

for picked in "${crates[@]}"; do
  mapfile -t features < <(features_of "$picked")
  [[ ${#features[@]} -gt 0 ]] || fail "$picked has no features"
  run cargo clippy --quiet -p "$picked" --lib -- -D warnings
  run cargo clippy --quiet -p "$picked" --lib --no-default-features -- -D warnings
  for feature in "${features[@]}"; do
    run cargo clippy --quiet -p "$picked" --lib --no-default-features --features "$feature" -- -D warnings
  done

  for option in --no-default-features --all-features; do
    tree_lacks "$picked" openssl-sys native-tls -- "$option"
    case "$picked" in
      acr-core | acr-registry | acr-blob) tree_lacks "$picked" acr-auth acr-testkit -- "$option" ;;
      acr-auth) tree_lacks "$picked" acr-registry acr-blob acr-testkit -- "$option" ;;
    esac
  done
  case "$picked" in
    acr-core | acr-registry | acr-blob)
      tree_lacks "$picked" rustls tokio-rustls hyper hyper-util aws-lc-rs ring -- --no-default-features
      ;;
  esac
done
