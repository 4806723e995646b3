# shellcheck shell=bash
# An image as an OCI layout, made of nothing but this script. Sourced.

digest_of() {
  printf 'sha256:%s' "$(sha256sum | cut -d ' ' -f 1)"
}

# blob FOLDER: stores standard input in a layout and prints its digest and length.
blob() {
  local content digest
  content=$(mktemp "$suite_folder/blob.XXXXXX")
  cat >"$content"
  digest=$(digest_of <"$content")
  mkdir -p "$1/blobs/sha256"
  mv "$content" "$1/blobs/sha256/${digest#sha256:}"
  printf '%s %s' "$digest" "$(stat -c %s "$1/blobs/sha256/${digest#sha256:}")"
}

# make_image FOLDER TEXT TAG: a layout with one image whose layer has this text; sets IMAGE_DIGEST and IMAGE_FILE.
make_image() {
  local folder=$1 text=$2 tag=$3 digest length layer config manifest root
  root=$(mktemp -d "$suite_folder/root.XXXXXX")
  printf '%s' "$text" >"$root/text"
  tar --sort=name --owner=0 --group=0 --mtime=@0 -C "$root" -cf "$suite_folder/layer.tar" text
  local diff
  diff=$(digest_of <"$suite_folder/layer.tar")
  read -r digest length <<<"$(gzip -n <"$suite_folder/layer.tar" | blob "$folder")"
  layer="{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar+gzip\",\"digest\":\"$digest\",\"size\":$length}"
  read -r digest length <<<"$(printf '{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":["%s"]},"history":[{"created_by":"a script"}]}' "$diff" | blob "$folder")"
  config="{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\"$digest\",\"size\":$length}"
  manifest="{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"config\":$config,\"layers\":[$layer]}"
  read -r digest length <<<"$(printf '%s' "$manifest" | blob "$folder")"
  printf '{"imageLayoutVersion":"1.0.0"}' >"$folder/oci-layout"
  printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"%s","size":%s,"annotations":{"org.opencontainers.image.ref.name":"%s"}}]}' \
    "$digest" "$length" "$tag" >"$folder/index.json"
  IMAGE_DIGEST=$digest
  IMAGE_FILE="$folder/blobs/sha256/${digest#sha256:}"
}

# same_blobs LAYOUT OTHER: the other layout has every blob of the first, byte for byte.
same_blobs() {
  local file
  for file in "$1"/blobs/sha256/*; do
    cmp "$file" "$2/blobs/sha256/$(basename "$file")"
  done
}

# equal FOUND EXPECTED
equal() {
  [[ "$1" == "$2" ]] || { printf 'found:\n%s\nexpected:\n%s\n' "$1" "$2"; return 1; }
}

# refuses WORD COMMAND…: the command fails and says the word.
refuses() {
  local word=$1
  shift
  if "$@" >"$suite_folder/refusal" 2>&1; then
    printf 'it was not refused\n'
    return 1
  fi
  grep -qi -- "$word" "$suite_folder/refusal" || { cat "$suite_folder/refusal"; return 1; }
}
