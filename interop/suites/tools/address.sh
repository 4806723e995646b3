# shellcheck shell=bash
# shellcheck disable=SC2154
# What the emulator prints is the address of the registry for whoever comes: by exactly that, each tool
# signs in, pushes, pulls and signs, and comes as nobody. Blobs lie behind a redirect to the storage,
# which must see nothing of the registry's credential (it answers 400 to one).

# The ways to start it, each of which prints an address of its own.
ways=("" "--listen localhost:0" "--tls" "--listen localhost:0 --tls")

# by_address TOOL VERSION: for each way an emulator; then what there is of the functions TOOL_login,
# TOOL_push and TOOL_pull, TOOL_sign and TOOL_verify. They get `host` (as printed), `plain` (true or false),
# `ref` and a layout of the image to push.
by_address() {
  local tool=$1 version=$2 way
  endpoints=() authorities=() journals=()
  for way in "${ways[@]}"; do
    journals+=("$(mktemp "$suite_folder/journal.XXXXXX")")
    # shellcheck disable=SC2086
    launch_emulator $way --user tester:secret --anonymous pull --journal "${journals[-1]}"
    endpoints+=("$ACR_ENDPOINT")
    authorities+=("$ACR_CA")
  done
  layout="$suite_folder/address-$tool"
  mkdir -p "$layout"
  make_image "$layout" "pushed to what is printed by $tool" v1
  if declare -F "${tool//-/_}_push" >/dev/null; then
    try "$tool" "$version" "by the printed address: push and pull" everywhere signed_in "$tool"
    try "$tool" "$version" "by the printed address: pull as nobody" everywhere as_nobody "$tool"
  fi
  if declare -F "${tool//-/_}_sign" >/dev/null; then
    try "$tool" "$version" "by the printed address: sign and verify" everywhere signed "$tool"
    try "$tool" "$version" "by the printed address: verify as nobody" everywhere verified "$tool"
  fi
  try "$tool" "$version" "by the printed address: no credential at the storage" nothing_at_the_storage
}

# everywhere COMMAND…: with each of the emulators.
everywhere() {
  local at
  for at in "${!endpoints[@]}"; do
    printf 'at %s\n' "${endpoints[at]}"
    host=${endpoints[at]#*://}
    ref="$host/address/app"
    plain=false
    [[ "${endpoints[at]}" == https:* ]] || plain=true
    # Plain HTTP has no authority.
    export SSL_CERT_FILE="${authorities[at]:-/dev/null}"
    "$@"
  done
}

# What each of them does with the functions of a tool.
signed_in() {
  local tool=${1//-/_} folder
  folder=$(mktemp -d "$suite_folder/pulled.XXXXXX")
  "${tool}_login"
  "${tool}_push"
  "${tool}_pull" "$folder"
  same_blobs "$layout" "$folder"
}
as_nobody() {
  local folder
  folder=$(mktemp -d "$suite_folder/pulled.XXXXXX")
  nobody "${1//-/_}_pull" "$folder"
  same_blobs "$layout" "$folder"
}
signed() {
  "${1//-/_}_sign"
  "${1//-/_}_verify"
}
verified() { nobody "${1//-/_}_verify"; }

# nobody COMMAND…: without any login.
nobody() {
  local -x DOCKER_CONFIG="$suite_folder/nobody" REGISTRY_AUTH_FILE="$suite_folder/nobody.json" \
    REGCTL_CONFIG="$suite_folder/nobody-regctl.json"
  "$@"
}

# Of all that the storages were asked, nothing carried a credential and nothing was refused.
nothing_at_the_storage() {
  local journal seen refused
  for journal in "${journals[@]}"; do
    seen=$(grep -c '"origin":"storage"' "$journal") || { printf 'nobody came to the storage\n'; return 1; }
    refused=$(grep '"origin":"storage"' "$journal" | grep -Evc '"status":20[06],.*"authorized":false') || true
    printf '%s requests at the storage, %s wrong\n' "$seen" "$refused"
    [[ "$refused" == 0 ]]
    # There was a credential to be kept from it.
    grep -q '"origin":"registry".*"authorized":true' "$journal"
  done
}

crane_login() { crane auth login "$host" -u tester -p secret; }
crane_push() { crane push "$layout" "$ref:v1"; }
crane_pull() { crane pull --format=oci "$ref:v1" "$1"; }

oras_login() { oras login --plain-http="$plain" "$host" -u tester -p secret; }
oras_push() { oras cp --to-plain-http="$plain" --from-oci-layout "$layout:v1" "$ref:v1"; }
oras_pull() { oras cp --from-plain-http="$plain" --to-oci-layout "$ref:v1" "$1:v1"; }
oras_sign() {
  printf 'a signature' >"$suite_folder/signature"
  (cd "$suite_folder" && oras attach --plain-http="$plain" --artifact-type application/vnd.example.signature "$ref:v1" signature:text/plain)
}
oras_verify() {
  local digest folder
  folder=$(mktemp -d "$suite_folder/verified.XXXXXX")
  digest=$(oras discover --plain-http="$plain" --format go-template='{{range .referrers}}{{.digest}}{{end}}' "$ref:v1")
  oras pull --plain-http="$plain" --output "$folder" "$ref@$digest"
  cmp "$suite_folder/signature" "$folder/signature"
}

regctl_tls() { regctl registry set --tls "$([[ $plain == true ]] && echo disabled || echo enabled)" "$host"; }
regctl_login() { regctl_tls && regctl registry login "$host" -u tester -p secret; }
regctl_push() { regctl image copy "ocidir://$layout:v1" "$ref:v1"; }
regctl_pull() { regctl_tls && regctl image copy "$ref:v1" "ocidir://$1:v1"; }

# Its name for plain HTTP, too: no verification.
verify() { [[ $plain == false ]] && echo true || echo false; }
skopeo_login() { skopeo login --tls-verify="$(verify)" -u tester -p secret "$host"; }
skopeo_push() { skopeo --insecure-policy copy --preserve-digests --dest-tls-verify="$(verify)" "oci:$layout:v1" "docker://$ref:v1"; }
skopeo_pull() { skopeo --insecure-policy copy --preserve-digests --src-tls-verify="$(verify)" "docker://$ref:v1" "oci:$1:v1"; }

# The program notation cannot be had as a module; the library that it signs and verifies with can.
# It knows the logins of others, and signs what they pushed.
notation() { notation-go --insecure-registry="$plain" "$1" "$suite_folder/keys" "$ref@$IMAGE_DIGEST"; }
notation_go_sign() {
  oras_login
  oras_push
  refuses "not associated with any signature\|no signature" notation verify
  notation sign
}
notation_go_verify() { notation verify; }
