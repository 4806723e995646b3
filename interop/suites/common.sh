# shellcheck shell=bash
# What the suites in other languages share. Sourced, with the repository's root as working directory;
# `interop/run` has built the emulator and named it in ACR_EMULATOR.

# shellcheck source=.ci/common.sh
source .ci/common.sh

: "${ACR_EMULATOR:?run suites through interop/run}"
: "${INTEROP_ROWS:?run suites through interop/run}"

suite_folder=$(mktemp -d)
emulators=()
export THEIRS_DIGEST="$suite_folder/theirs"
trap '[[ ${#emulators[@]} -eq 0 ]] || kill "${emulators[@]}" 2>/dev/null || true; rm -rf "$suite_folder"' EXIT

# Starts an emulator with these arguments, over TLS, on a port of its own. It ends with the suite. Sets
# ACR_ENDPOINT (https://localhost:PORT), ACR_STORAGE, ACR_CA (a file) and ACR_ENTRA_TOKEN.
start_emulator() {
  launch_emulator --listen 127.0.0.1:0 --tls --cert-dir "$(mktemp -d "$suite_folder/ca.XXXXXX")" "$@"
  ACR_ENDPOINT=${ACR_ENDPOINT/127.0.0.1/localhost}
}

# Starts an emulator with these arguments and no others, and sets the same to what it prints.
launch_emulator() {
  local folder line
  folder=$(mktemp -d "$suite_folder/emulator.XXXXXX")
  mkfifo "$folder/ready"
  "$ACR_EMULATOR" "$@" >"$folder/ready" &
  emulators+=($!)
  IFS= read -r -t 30 line <"$folder/ready" || fail "acr-emulator did not come up"
  value() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p" <<<"$line"; }
  ACR_ENDPOINT=$(value endpoint)
  ACR_STORAGE=$(value storage)
  ACR_CA=$(value ca)
  ACR_ENTRA_TOKEN=$(value entra_token)
  export ACR_ENDPOINT ACR_STORAGE ACR_CA ACR_ENTRA_TOKEN
}

# row PEER VERSION OPERATION RESULT [EVIDENCE]: what became of an operation of the suite that is run.
row() {
  local suite
  suite=$(basename "$INTEROP_ROWS" .jsonl)
  printf '{"suite":"%s","peer":"%s","version":"%s","operation":"%s","result":"%s","evidence":"%s"}\n' \
    "$suite" "$1" "$2" "$3" "$4" "${5:-}" >>"$INTEROP_ROWS"
}

failed=()

# try PEER VERSION OPERATION COMMAND…: passes if the command, often a function, ends well.
try() {
  local peer=$1 version=$2 operation=$3
  shift 3
  # Not in a condition, where `set -e` would be off within.
  local code
  set +e
  (set -e; "$@") >"$suite_folder/out" 2>&1
  code=$?
  set -e
  if [[ $code -eq 0 ]]; then
    row "$peer" "$version" "$operation" pass
    return
  fi
  printf '%s, %s: exit code %s\n' "$peer" "$operation" "$code"
  tail -c 2000 "$suite_folder/out"
  failed+=("$peer: $operation")
  row "$peer" "$version" "$operation" fail "see the log"
}

# changed_answers REPOSITORY…: faults that let the registry tell another digest of what is read in
# REPOSITORY/read and of what is written in REPOSITORY/stored, and give other bytes for the blob
# `changed on the way` wherever it is read.
changed_answers() {
  local other repository blob
  other="sha256:$(printf '0%.0s' {1..64})"
  blob=$(printf 'changed on the way' | sha256sum | cut -d ' ' -f 1)
  printf 'corrupt op=get_storage at=3 path=%s times=forever;' "$blob"
  for repository in "$@"; do
    printf 'set_header op=get_manifest name=docker-content-digest value=%s repo=%s/read times=forever;' \
      "$other" "$repository"
    printf 'set_header op=put_manifest name=docker-content-digest value=%s repo=%s/stored times=forever;' \
      "$other" "$repository"
    printf 'set_header op=complete_upload name=docker-content-digest value=%s repo=%s/stored times=forever;' \
      "$other" "$repository"
  done
}

# Pushes an image with our clients to the emulator that was started last, for the other side to read.
# Sets OURS_REPOSITORY (its tag is v1) and OURS_DIGEST.
push_ours() {
  run cargo build --quiet "${workspace[@]}" --example ours
  OURS_REPOSITORY=cross/ours
  OURS_DIGEST=$("$(target_dir)/debug/examples/ours" push "$OURS_REPOSITORY" v1)
  export OURS_REPOSITORY OURS_DIGEST
}

# read_theirs PEER VERSION REPOSITORY: reads v1 with our clients. The other side left the digest that it knows
# in the file THEIRS_DIGEST names.
read_theirs() {
  try "$1" "$2" "push an image that we read" \
    "$(target_dir)/debug/examples/ours" read "$3" v1 "$(<"$THEIRS_DIGEST")"
}

# Ends the suite, with an error if an operation failed.
finish() {
  if [[ ${#failed[@]} -gt 0 ]]; then
    printf 'failed: %s\n' "${failed[@]}"
    exit 1
  fi
}
