# shellcheck shell=bash
# shellcheck disable=SC2154
version=$(pinned github.com/regclient/regclient)
regctl_try() { try regctl "$version" "$@"; }

login() { regctl registry login "$host" -u tester -p secret; }
wrong() { DOCKER_CONFIG="$suite_folder/nobody" REGCTL_CONFIG="$suite_folder/nobody.json" refuses unauthorized regctl image digest "$ref:v1"; }
push() { regctl image copy "ocidir://$layout:v1" "$ref:v1"; }
digest() { equal "$(regctl image digest "$ref:v1")" "$IMAGE_DIGEST"; }
manifest() { regctl manifest get --format raw-body "$ref:v1" >"$suite_folder/manifest" && cmp "$suite_folder/manifest" "$IMAGE_FILE"; }
blob_of() { regctl blob get "$ref" "sha256:$1" | cmp - "$layout/blobs/sha256/$1"; }
blobs() { for file in "$layout"/blobs/sha256/*; do [[ "$file" == "$IMAGE_FILE" ]] || blob_of "$(basename "$file")"; done; }
pull() { regctl image copy "$ref:v1" "ocidir://$suite_folder/regctl-pulled:v1" && same_blobs "$layout" "$suite_folder/regctl-pulled"; }
tag() { regctl image copy "$ref:v1" "$ref:v2" && equal "$(regctl image digest "$ref:v2")" "$IMAGE_DIGEST"; }
tags() { equal "$(regctl tag ls "$ref" | sort)" $'v1\nv2'; }
catalog() { regctl repo ls "$host" | grep -x tools/regctl >/dev/null; }
copy() { regctl image copy "$ref:v1" "$ref-copy:v1" && equal "$(regctl image digest "$ref-copy:v1")" "$IMAGE_DIGEST"; }
artifact() {
  printf 'a file' | regctl artifact put --artifact-type application/vnd.example "$ref:artifact"
  equal "$(regctl artifact get "$ref:artifact")" "a file"
}
referrers() {
  printf 'a note' | regctl artifact put --artifact-type application/vnd.example.note --subject "$ref:v1"
  equal "$(regctl artifact list --format '{{range .Descriptors}}{{.ArtifactType}}{{end}}' "$ref:v1")" application/vnd.example.note
}
delete_tag() {
  # 405 by name, and then a way round: a manifest of its own under the tag is deleted by digest.
  regctl tag delete "$ref:v2"
  equal "$(regctl tag ls "$ref" | sort)" $'artifact\nv1'
}
delete() { regctl manifest delete "$ref@$IMAGE_DIGEST" && refuses "not found" regctl manifest head "$ref@$IMAGE_DIGEST"; }

regctl_try "log in" login
regctl_try "push an image" push
regctl_try "refuse who is not logged in" wrong
regctl_try "read the digest of a tag" digest
regctl_try "read a manifest, byte for byte" manifest
regctl_try "read a blob, byte for byte" blobs
regctl_try "pull an image" pull
regctl_try "tag an image" tag
regctl_try "list tags" tags
regctl_try "list repositories" catalog
regctl_try "copy to another repository" copy
regctl_try "push and pull an artifact" artifact
regctl_try "attach and list referrers" referrers
regctl_try "delete a tag, by a way round the 405" delete_tag
regctl_try "delete a manifest" delete
