# shellcheck shell=bash
# shellcheck disable=SC2154
version=$(pinned github.com/google/go-containerregistry)
# By its address, for it follows no redirect from a name to an address of the machine (its "SSRF protection").
host=${host/localhost/127.0.0.1}
ref="$host/tools/crane"
crane_try() { try crane "$version" "$@"; }

login() { crane auth login "$host" -u tester -p secret; }
wrong() { DOCKER_CONFIG="$suite_folder/nobody" REGISTRY_AUTH_FILE="$suite_folder/nobody.json" refuses UNAUTHORIZED crane digest "$ref:v1"; }
push() { crane push "$layout" "$ref:v1"; }
digest() { equal "$(crane digest "$ref:v1")" "$IMAGE_DIGEST"; }
manifest() { crane manifest "$ref:v1" >"$suite_folder/manifest" && cmp "$suite_folder/manifest" "$IMAGE_FILE"; }
pull() { crane pull --format=oci "$ref:v1" "$suite_folder/crane-pulled" && same_blobs "$layout" "$suite_folder/crane-pulled"; }
blob_of() { local d=$1; crane blob "$ref@sha256:$d" | cmp - "$layout/blobs/sha256/$d"; }
blobs() { for file in "$layout"/blobs/sha256/*; do [[ "$file" == "$IMAGE_FILE" ]] || blob_of "$(basename "$file")"; done; }
tag() { crane tag "$ref:v1" v2 && equal "$(crane digest "$ref:v2")" "$IMAGE_DIGEST"; }
tags() { equal "$(crane ls "$ref" | sort)" $'v1\nv2'; }
# `grep -q` would end at the first match, and the tool would be killed for writing on.
catalog() { crane catalog "$host" | grep -x tools/crane >/dev/null; }
copy() { crane copy "$ref:v1" "$ref-copy:v1" && equal "$(crane digest "$ref-copy:v1")" "$IMAGE_DIGEST"; }
delete_tag() { refuses UNSUPPORTED crane delete "$ref:v2"; }
delete() { crane delete "$ref@$IMAGE_DIGEST" && refuses MANIFEST_UNKNOWN crane digest "$ref@$IMAGE_DIGEST"; }

crane_try "log in" login
crane_try "push an image" push
crane_try "refuse who is not logged in" wrong
crane_try "read the digest of a tag" digest
crane_try "read a manifest, byte for byte" manifest
crane_try "read a blob, byte for byte" blobs
crane_try "pull an image" pull
crane_try "tag an image" tag
crane_try "list tags" tags
crane_try "list repositories" catalog
crane_try "copy to another repository" copy
crane_try "delete a tag: 405" delete_tag
crane_try "delete a manifest" delete
row crane "$version" "attach and list referrers" unsupported "has no command for referrers (crane --help)"
