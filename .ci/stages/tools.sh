#!/usr/bin/env bash
# Installs what the stages need beyond a Rust toolchain. Something that cannot be
# installed makes CI red.
set -euo pipefail
# shellcheck source=.ci/common.sh
source .ci/common.sh

run rustc --version
run cargo --version
run cargo fmt --version || fail "the toolchain lacks rustfmt"
run cargo clippy --version || fail "the toolchain lacks clippy"

missing=()
# Program, then the packages that bring it.
while read -r program packages; do
  # shellcheck disable=SC2206
  command -v "$program" >/dev/null || missing+=($packages)
done <<'PROGRAMS'
cc gcc libc6-dev
update-ca-certificates ca-certificates
docker-registry docker-registry
skopeo skopeo
umoci umoci
tinyproxy tinyproxy
curl curl
busybox busybox-static
python3 python3
node nodejs
npm npm
mvn maven
java default-jdk-headless
keytool default-jre-headless
nginx nginx-light
haproxy haproxy
x86_64-w64-mingw32-gcc gcc-mingw-w64-x86-64
/usr/lib/wine/wine64 wine64
PROGRAMS
python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)

if [[ ${#missing[@]} -gt 0 ]]; then
  export DEBIAN_FRONTEND=noninteractive
  run apt-get update -qq || fail "apt-get update"
  run apt-get install -qq -y --no-install-recommends "${missing[@]}" ||
    fail "these packages cannot be installed: ${missing[*]}"
fi
run docker-registry --version
run skopeo --version
run umoci --version
run node --version
run java -version
run mvn --version
run nginx -v
run haproxy -v

# A language's toolchain, as Rust's: the modules of interop/go name the oldest that will do.
need_go=$(sed -n 's/^go //p' interop/go/go.mod)
run go version || fail "needs Go $need_go"
have_go=$(go env GOVERSION | sed 's/^go//; s/[^0-9.].*//')
[[ "$(printf '%s\n' "$need_go" "$have_go" | sort -V | head -n 1)" == "$need_go" ]] ||
  fail "needs Go $need_go, this is $have_go"

# Takes about seven minutes on two cores when it is not there.
if ! cargo deny --version >/dev/null 2>&1; then
  run cargo install --locked --quiet cargo-deny --version 0.20.2 || fail "cargo-deny cannot be installed"
fi
run cargo deny --version
if ! cargo public-api --version >/dev/null 2>&1; then
  run cargo install --locked --quiet --debug cargo-public-api --version 0.52.0 || fail "cargo-public-api cannot be installed"
fi
run cargo public-api --version
