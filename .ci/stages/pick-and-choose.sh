#!/usr/bin/env bash
# Each crate builds alone in an empty project, with and without its default features,
# and brings nothing a user did not ask for.
set -euo pipefail
# shellcheck source=.ci/common.sh
source .ci/common.sh

root=$PWD
project=$(mktemp -d)
trap 'rm -rf "$project"' EXIT
CARGO_TARGET_DIR="$(target_dir)/pick-and-choose"
export CARGO_TARGET_DIR

# Makes the project depend on one crate: $1, with default features or not: $2.
depend_on() {
  rm -rf "${project:?}"/*
  mkdir "$project/src"
  printf 'use %s as _;\n\nfn main() {}\n' "${1//-/_}" >"$project/src/main.rs"
  cat >"$project/Cargo.toml" <<MANIFEST
[package]
name = "picked"
version = "0.0.0"
edition = "2024"

[workspace]

[dependencies]
$1 = { path = "$root/crates/$1", default-features = $2 }
MANIFEST
  # The versions we test, and no question to the registry.
  cp "$root/Cargo.lock" "$project/Cargo.lock"
}

# Fails if the project's tree holds one of these crates.
tree_lacks() {
  local tree crate
  tree=$(cargo tree --manifest-path "$project/Cargo.toml" --edges normal --prefix none --format '{p}')
  for crate in "$@"; do
    if grep -q "^$crate v" <<<"$tree"; then
      printf '%s\n' "$tree"
      fail "$picked (default-features = $default) brings $crate"
    fi
  done
  printf 'crates in the tree: %s; none of: %s\n' "$(sort -u <<<"$tree" | wc -l)" "$*"
}

for picked in "${crates[@]}"; do
  for default in true false; do
    printf '\n%s, default-features = %s\n' "$picked" "$default"
    depend_on "$picked" "$default"
    run cargo check --quiet --manifest-path "$project/Cargo.toml"
    tree_lacks openssl-sys native-tls
    case "$picked" in
      acr-core | acr-registry | acr-blob) tree_lacks acr-auth acr-testkit ;;
      acr-auth) tree_lacks acr-registry acr-blob acr-testkit ;;
    esac
    if [[ "$default" == false ]]; then
      case "$picked" in
        acr-core | acr-registry | acr-blob)
          tree_lacks acr-auth rustls tokio-rustls hyper hyper-util aws-lc-rs ring
          ;;
      esac
    fi
  done
done
