# shellcheck shell=bash
# shellcheck disable=SC2154
version=$(skopeo --version | sed 's/.* \([0-9][0-9.]*\).*/\1/')
skopeo_try() { try skopeo "$version" "$@"; }
s() { skopeo --insecure-policy "$@"; }

login() { s login -u tester -p secret "$host"; }
wrong() { refuses unauthorized s inspect --no-creds "docker://$ref:v1"; }
push() { s copy --preserve-digests "oci:$layout:v1" "docker://$ref:v1"; }
digest() { equal "$(s inspect --format '{{.Digest}}' "docker://$ref:v1")" "$IMAGE_DIGEST"; }
manifest() { s inspect --raw "docker://$ref:v1" >"$suite_folder/manifest" && cmp "$suite_folder/manifest" "$IMAGE_FILE"; }
pull() { s copy --preserve-digests "docker://$ref:v1" "oci:$suite_folder/skopeo-pulled:v1" && same_blobs "$layout" "$suite_folder/skopeo-pulled"; }
tag() { s copy --preserve-digests "docker://$ref:v1" "docker://$ref:v2" && equal "$(s inspect --format '{{.Digest}}' "docker://$ref:v2")" "$IMAGE_DIGEST"; }
tags() { equal "$(s list-tags "docker://$ref" | grep -o '"v[0-9]"' | sort)" $'"v1"\n"v2"'; }
copy() { s copy --preserve-digests "docker://$ref:v1" "docker://$ref-copy:v1" && equal "$(s inspect --format '{{.Digest}}' "docker://$ref-copy:v1")" "$IMAGE_DIGEST"; }
delete() { s delete "docker://$ref:v1" && refuses "manifest" s inspect "docker://$ref@$IMAGE_DIGEST"; }

skopeo_try "log in" login
skopeo_try "push an image" push
skopeo_try "refuse who is not logged in" wrong
skopeo_try "read the digest of a tag" digest
skopeo_try "read a manifest, byte for byte" manifest
skopeo_try "pull an image" pull
skopeo_try "tag an image" tag
skopeo_try "list tags" tags
skopeo_try "copy to another repository" copy
skopeo_try "delete a manifest" delete
row skopeo "$version" "list repositories" unsupported "has no command for the catalog (skopeo --help)"
row skopeo "$version" "delete a tag: 405" unsupported "resolves the tag and deletes the manifest (skopeo delete --help)"
row skopeo "$version" "attach and list referrers" unsupported "has no command for referrers (skopeo --help)"
