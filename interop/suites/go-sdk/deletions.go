package main

import (
	"context"
	"fmt"
)

func deleteTag(r registry) {
	digest, manifest := r.push("go/deleted", "gone", []byte("layer"))
	r.put("go/deleted", "kept", ociManifest, manifest)
	ctx := context.Background()
	get(r.DeleteTag(ctx, "go/deleted", "gone", nil))
	refused(failure(r.GetTagProperties(ctx, "go/deleted", "gone", nil)), 404, "TAG_UNKNOWN")
	found := get(r.GetManifestProperties(ctx, "go/deleted", digest, nil)).Manifest
	same(fmt.Sprint(*found.Tags[0], len(found.Tags)), "kept1", "tags that are left")
	// The SDK takes a 404 for success.
	get(r.DeleteTag(ctx, "go/deleted", "gone", nil))
	get(r.DeleteTag(ctx, "go/absent", "gone", nil))
}

func deleteManifest(r registry) {
	digest, manifest := r.push("go/deleted", "first", []byte("gone"))
	r.put("go/deleted", "second", ociManifest, manifest)
	stays, _ := r.push("go/deleted", "stays", []byte("stays"))
	ctx := context.Background()
	get(r.DeleteManifest(ctx, "go/deleted", digest, nil))
	refused(failure(r.GetManifestProperties(ctx, "go/deleted", digest, nil)), 404, "MANIFEST_UNKNOWN")
	for _, tag := range []string{"first", "second"} {
		refused(failure(r.GetTagProperties(ctx, "go/deleted", tag, nil)), 404, "TAG_UNKNOWN")
	}
	same(r.digest("go/deleted", "stays"), stays, "another one")
	get(r.DeleteManifest(ctx, "go/deleted", digest, nil))
	get(r.DeleteManifest(ctx, "go/absent", digest, nil))
}

func deleteManifestByTag(r registry) {
	digest, _ := r.push("go/deleted", "by-tag", []byte("by tag"))
	ctx := context.Background()
	answer := refused(failure(r.DeleteManifest(ctx, "go/deleted", "by-tag", nil)), 405, "UNSUPPORTED")
	says(answer, "A manifest can only be deleted by digest.")
	same(r.digest("go/deleted", "by-tag"), digest, "digest")
}

func deleteRepository(r registry) {
	digest, _ := r.push("go/whole", "v1", []byte("layer"))
	ctx := context.Background()
	get(r.DeleteRepository(ctx, "go/whole", nil))
	refused(failure(r.GetRepositoryProperties(ctx, "go/whole", nil)), 404, "NAME_UNKNOWN")
	refused(failure(r.GetManifest(ctx, "go/whole", digest, nil)), 404, "MANIFEST_UNKNOWN")
	found, _ := r.repositories("go/whole", nil)
	same(len(found), 0, "repositories")
	get(r.DeleteRepository(ctx, "go/whole", nil))
}

func deleteBlob(r registry) {
	digest, ctx := r.upload("go/content", []byte("to be deleted")), context.Background()
	get(r.blobs.DeleteBlob(ctx, "go/content", digest, nil))
	refused(failure(r.blobs.CheckBlobExists(ctx, "go/content", digest, nil)), 404, "")
	refused(failure(r.blobs.GetBlob(ctx, "go/content", digest, nil)), 404, "BLOB_UNKNOWN")
	// Unlike the other SDKs this one tells of a blob that was not there.
	refused(failure(r.blobs.DeleteBlob(ctx, "go/content", digest, nil)), 404, "BLOB_UNKNOWN")
}
