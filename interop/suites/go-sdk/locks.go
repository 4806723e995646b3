package main

import (
	"context"

	"github.com/Azure/azure-sdk-for-go/sdk/containers/azcontainerregistry"
)

const disallowed = "REGISTRY_DISALLOWED_OPERATION"

func (r registry) lockManifest(repository, digest string, value azcontainerregistry.ManifestWriteableProperties) {
	options := azcontainerregistry.ClientUpdateManifestPropertiesOptions{Value: &value}
	get(r.UpdateManifestProperties(context.Background(), repository, digest, &options))
}

func (r registry) lockTag(repository, tag string, value azcontainerregistry.TagWriteableProperties) {
	options := azcontainerregistry.ClientUpdateTagPropertiesOptions{Value: &value}
	get(r.UpdateTagProperties(context.Background(), repository, tag, &options))
}

func (r registry) lockRepository(repository string, value azcontainerregistry.RepositoryWriteableProperties) {
	options := azcontainerregistry.ClientUpdateRepositoryPropertiesOptions{Value: &value}
	get(r.UpdateRepositoryProperties(context.Background(), repository, &options))
}

func pushOverLockedTag(r registry) {
	digest, _ := r.push("go/locked", "kept", []byte("layer"))
	_, other := r.push("go/locked", "", []byte("another layer"))
	write := func(allowed bool) {
		r.lockTag("go/locked", "kept", azcontainerregistry.TagWriteableProperties{CanWrite: &allowed})
	}
	write(false)
	_, err := r.tryPut("go/locked", "kept", ociManifest, other)
	refused(err, 405, disallowed)
	same(r.digest("go/locked", "kept"), digest, "digest")
	write(true)
	r.put("go/locked", "kept", ociManifest, other)
	same(r.digest("go/locked", "kept"), digestOf(other), "digest")
}

func deleteLockedManifest(r registry) {
	digest, _ := r.push("go/locked", "v1", []byte("layer"))
	ctx := context.Background()
	for _, lock := range []func(*bool) azcontainerregistry.ManifestWriteableProperties{
		func(allowed *bool) azcontainerregistry.ManifestWriteableProperties {
			return azcontainerregistry.ManifestWriteableProperties{CanDelete: allowed}
		},
		func(allowed *bool) azcontainerregistry.ManifestWriteableProperties {
			return azcontainerregistry.ManifestWriteableProperties{CanWrite: allowed}
		},
	} {
		closed, opened := false, true
		r.lockManifest("go/locked", digest, lock(&closed))
		refused(failure(r.DeleteManifest(ctx, "go/locked", digest, nil)), 405, disallowed)
		same(r.digest("go/locked", "v1"), digest, "manifest that stayed")
		r.lockManifest("go/locked", digest, lock(&opened))
	}
	get(r.DeleteManifest(ctx, "go/locked", digest, nil))
	refused(failure(r.GetManifest(ctx, "go/locked", digest, nil)), 404, "MANIFEST_UNKNOWN")
}

func readLocked(r registry) {
	digest, _ := r.push("go/unread", "v1", []byte("layer"))
	ctx := context.Background()
	read := func(allowed bool) {
		r.lockManifest("go/unread", digest, azcontainerregistry.ManifestWriteableProperties{CanRead: &allowed})
	}
	read(false)
	for _, reference := range []string{"v1", digest} {
		refused(failure(r.GetManifest(ctx, "go/unread", reference, accepting(ociManifest))), 405, disallowed)
	}
	same(*get(r.GetTagProperties(ctx, "go/unread", "v1", nil)).Tag.Digest, digest, "digest, which can be read")
	read(true)
	same(r.digest("go/unread", "v1"), digest, "digest")
	closed := false
	r.lockRepository("go/unread", azcontainerregistry.RepositoryWriteableProperties{CanRead: &closed})
	refused(failure(r.blobs.GetBlob(ctx, "go/unread", digestOf([]byte("layer")), nil)), 405, disallowed)
}

func lockedRepository(r registry) {
	digest, manifest := r.push("go/closed", "v1", []byte("layer"))
	ctx, closed, opened := context.Background(), false, true
	r.lockRepository("go/closed", azcontainerregistry.RepositoryWriteableProperties{CanWrite: &closed})
	refused(failure(r.blobs.StartUpload(ctx, "go/closed", nil)), 405, disallowed)
	refused(failure(r.blobs.MountBlob(ctx, "go/closed", "go/locked", digestOf([]byte("layer")), nil)), 405, disallowed)
	_, err := r.tryPut("go/closed", "v2", ociManifest, manifest)
	refused(err, 405, disallowed)
	r.lockRepository("go/closed", azcontainerregistry.RepositoryWriteableProperties{CanWrite: &opened, CanDelete: &closed})
	r.put("go/closed", "v2", ociManifest, manifest)
	refused(failure(r.DeleteRepository(ctx, "go/closed", nil)), 405, disallowed)
	refused(failure(r.DeleteTag(ctx, "go/closed", "v1", nil)), 405, disallowed)
	refused(failure(r.DeleteManifest(ctx, "go/closed", digest, nil)), 405, disallowed)
	refused(failure(r.blobs.DeleteBlob(ctx, "go/closed", digestOf([]byte("layer")), nil)), 405, disallowed)
	found := get(r.GetRepositoryProperties(ctx, "go/closed", nil))
	same(*found.ManifestCount+*found.TagCount, 3, "manifests and tags")
	r.lockRepository("go/closed", azcontainerregistry.RepositoryWriteableProperties{CanDelete: &opened})
	get(r.DeleteRepository(ctx, "go/closed", nil))
}
