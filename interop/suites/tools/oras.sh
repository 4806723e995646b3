# shellcheck shell=bash
# shellcheck disable=SC2154
version=$(pinned oras.land/oras)
# Without this it talks plain HTTP to whatever is called localhost.
tls=--plain-http=false
oras_try() { try oras "$version" "$@"; }

login() { oras login "$tls" "$host" -u tester -p secret; }
wrong() { DOCKER_CONFIG="$suite_folder/nobody" refuses unauthorized oras resolve "$tls" "$ref:v1"; }
push() { oras cp --to-plain-http=false --from-oci-layout "$layout:v1" "$ref:v1"; }
digest() { equal "$(oras resolve "$tls" "$ref:v1")" "$IMAGE_DIGEST"; }
manifest() { oras manifest fetch "$tls" --output "$suite_folder/manifest" "$ref:v1" && cmp "$suite_folder/manifest" "$IMAGE_FILE"; }
blob_of() { oras blob fetch "$tls" --output "$suite_folder/one" "$ref@sha256:$1" && cmp "$suite_folder/one" "$layout/blobs/sha256/$1"; }
blobs() { for file in "$layout"/blobs/sha256/*; do [[ "$file" == "$IMAGE_FILE" ]] || blob_of "$(basename "$file")"; done; }
pull() { oras cp --from-plain-http=false --to-oci-layout "$ref:v1" "$suite_folder/oras-pulled:v1" && same_blobs "$layout" "$suite_folder/oras-pulled"; }
tag() { oras tag "$tls" "$ref:v1" v2 && equal "$(oras resolve "$tls" "$ref:v2")" "$IMAGE_DIGEST"; }
tags() { equal "$(oras repo tags "$tls" "$ref" | sort)" $'v1\nv2'; }
catalog() { oras repo ls "$tls" "$host" | grep -x tools/oras >/dev/null; }
copy() { oras cp --from-plain-http=false --to-plain-http=false "$ref:v1" "$ref-copy:v1" && equal "$(oras resolve "$tls" "$ref-copy:v1")" "$IMAGE_DIGEST"; }
artifact() {
  mkdir -p "$suite_folder/files" "$suite_folder/got"
  printf 'a file' >"$suite_folder/files/file.txt"
  (cd "$suite_folder/files" && oras push "$tls" --artifact-type application/vnd.example "$ref:artifact" file.txt:text/plain)
  (cd "$suite_folder/got" && oras pull "$tls" "$ref:artifact") && cmp "$suite_folder/files/file.txt" "$suite_folder/got/file.txt"
}
referrers() {
  (cd "$suite_folder/files" && oras attach "$tls" --artifact-type application/vnd.example.note "$ref:v1" file.txt:text/plain)
  equal "$(oras discover "$tls" --format json "$ref:v1" | grep -c '"artifactType": "application/vnd.example.note"')" 1
}
delete() { oras manifest delete "$tls" --force "$ref@$IMAGE_DIGEST" && refuses "not found" oras resolve "$tls" "$ref@$IMAGE_DIGEST"; }
delete_blob() {
  local d
  d=$(printf 'to be deleted' | digest_of)
  printf 'to be deleted' | oras blob push "$tls" --size 13 "$ref@$d" -
  oras blob delete "$tls" --force "$ref@$d" && refuses "not found" oras blob fetch "$tls" --descriptor "$ref@$d"
}

oras_try "log in" login
oras_try "push an image" push
oras_try "refuse who is not logged in" wrong
oras_try "read the digest of a tag" digest
oras_try "read a manifest, byte for byte" manifest
oras_try "read a blob, byte for byte" blobs
oras_try "pull an image" pull
oras_try "tag an image" tag
oras_try "list tags" tags
oras_try "list repositories" catalog
oras_try "copy to another repository" copy
oras_try "push and pull an artifact" artifact
oras_try "attach and list referrers" referrers
oras_try "delete a manifest" delete
oras_try "delete a blob" delete_blob
