package main

import (
	"bytes"
	"context"
	"fmt"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/containers/azcontainerregistry"
)

const public = "go/public"

var publicLayer = []byte("for everybody")

func anonymousLists(r, anonymous registry) {
	digest, _ := r.push(public, "v1", publicLayer)
	names, _ := anonymous.repositories(public, nil)
	same(fmt.Sprint(names), "[go/public]", "repository among all")
	tags, _ := anonymous.tags(public, &azcontainerregistry.ClientListTagsOptions{MaxNum: to.Ptr(int32(2))})
	same(tags, "[v1]", "tags")
	manifests, _ := anonymous.manifests(public, nil)
	same(fmt.Sprint(manifests), fmt.Sprint([]string{digest}), "manifests")
}

func anonymousReads(r, anonymous registry) {
	digest, manifest := r.push(public, "v1", publicLayer)
	ctx := context.Background()
	same(*get(anonymous.GetRepositoryProperties(ctx, public, nil)).TagCount, int32(1), "tags")
	same(*get(anonymous.GetTagProperties(ctx, public, "v1", nil)).Tag.Digest, digest, "digest")
	same(*get(anonymous.GetManifestProperties(ctx, public, digest, nil)).Manifest.Tags[0], "v1", "tag")
	content, told := anonymous.read(public, "v1", accepting(ociManifest))
	same(content+told, string(manifest)+digest, "manifest")
	layer := digestOf(publicLayer)
	same(*get(anonymous.blobs.CheckBlobExists(ctx, public, layer, nil)).ContentLength, int64(len(publicLayer)), "length")
	same(string(anonymous.download(public, layer)), string(publicLayer), "layer")
	piece, _ := anonymous.part(public, layer, "bytes=4-12")
	same(string(piece), "everybody", "part of the layer")
}

// writes tries everything that changes something, which must be refused with 401.
func writes(r, refusing registry) {
	digest, manifest := r.push(public, "v1", publicLayer)
	ctx, session := context.Background(), r.start(public)
	shut := to.Ptr(false)
	stranger := *session
	stranger.registry = refusing
	for name, err := range map[string]error{
		"DeleteTag":        failure(refusing.DeleteTag(ctx, public, "v1", nil)),
		"DeleteManifest":   failure(refusing.DeleteManifest(ctx, public, digest, nil)),
		"DeleteRepository": failure(refusing.DeleteRepository(ctx, public, nil)),
		"DeleteBlob":       failure(refusing.blobs.DeleteBlob(ctx, public, digestOf(publicLayer), nil)),
		"UpdateTagProperties": failure(refusing.UpdateTagProperties(ctx, public, "v1", &azcontainerregistry.ClientUpdateTagPropertiesOptions{
			Value: &azcontainerregistry.TagWriteableProperties{CanDelete: shut},
		})),
		"UpdateManifestProperties": failure(refusing.UpdateManifestProperties(ctx, public, digest, &azcontainerregistry.ClientUpdateManifestPropertiesOptions{
			Value: &azcontainerregistry.ManifestWriteableProperties{CanDelete: shut},
		})),
		"UpdateRepositoryProperties": failure(refusing.UpdateRepositoryProperties(ctx, public, &azcontainerregistry.ClientUpdateRepositoryPropertiesOptions{
			Value: &azcontainerregistry.RepositoryWriteableProperties{CanDelete: shut},
		})),
		"UploadManifest": failure(refusing.tryPut(public, "v2", ociManifest, manifest)),
		"StartUpload":    failure(refusing.blobs.StartUpload(ctx, public, nil)),
		"MountBlob":      failure(refusing.blobs.MountBlob(ctx, public, "go/content", digestOf(publicLayer), nil)),
		"UploadChunk":    failure(stranger.try([]byte("from a stranger"), 0)),
		"CompleteUpload": failure(refusing.blobs.CompleteUpload(ctx, session.location, session.calculator, nil)),
		"CancelUpload":   failure(refusing.blobs.CancelUpload(ctx, session.location, nil)),
	} {
		if err == nil {
			panic(name + " was not refused")
		}
		refusedForRights(err)
	}
	found := get(r.GetRepositoryProperties(ctx, public, nil))
	same(flags(found.ChangeableAttributes)+fmt.Sprint(*found.TagCount), open+"1", "repository")
	tag := get(r.GetTagProperties(ctx, public, "v1", nil)).Tag
	same(flags(tag.ChangeableAttributes)+*tag.Digest, open+digest, "tag")
	same(*get(r.blobs.GetUploadStatus(ctx, session.location, nil)).Range, "0-0", "range")
	get(r.blobs.CancelUpload(ctx, session.location, nil))
}

// refusedForRights takes the registry's answer, or that of the exchange, which has no body.
func refusedForRights(err error) {
	code := "UNAUTHORIZED"
	if bytes.Contains([]byte(err.Error()), []byte("/oauth2/exchange")) {
		code = ""
	}
	refused(err, 401, code)
}

func wrongToken(r, impostor registry) {
	writes(r, impostor)
	ctx := context.Background()
	for _, err := range []error{
		failure(impostor.GetRepositoryProperties(ctx, public, nil)),
		failure(impostor.GetManifest(ctx, public, "v1", nil)),
		failure(impostor.blobs.GetBlob(ctx, public, digestOf(publicLayer), nil)),
		failure(impostor.NewListRepositoriesPager(nil).NextPage(ctx)),
	} {
		says(refused(err, 401, ""), "/oauth2/exchange")
	}
}

// privately asks a registry without anonymous access.
func privately(anonymous registry) {
	ctx := context.Background()
	for _, err := range []error{
		failure(anonymous.NewListRepositoriesPager(nil).NextPage(ctx)),
		failure(anonymous.GetRepositoryProperties(ctx, public, nil)),
		failure(anonymous.GetManifest(ctx, public, "v1", nil)),
		failure(anonymous.blobs.GetBlob(ctx, public, digestOf(publicLayer), nil)),
	} {
		refused(err, 401, "UNAUTHORIZED")
	}
}
