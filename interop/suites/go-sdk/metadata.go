package main

import (
	"context"
	"fmt"
	"reflect"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/containers/azcontainerregistry"
)

// flags gives the four locks of anything: delete, list, read, write.
func flags(attributes any) string {
	var found []bool
	value := reflect.ValueOf(attributes).Elem()
	for _, name := range []string{"CanDelete", "CanList", "CanRead", "CanWrite"} {
		found = append(found, value.FieldByName(name).Elem().Bool())
	}
	return fmt.Sprint(found)
}

const open = "[true true true true]"

// eachFlag closes and opens each lock alone; `change` gives what the registry then tells.
func eachFlag(change func(canDelete, canList, canRead, canWrite *bool) string) {
	for index, closed := range []string{
		"[false true true true]", "[true false true true]", "[true true false true]", "[true true true false]",
	} {
		var arguments [4]*bool
		for allowed, expected := range []string{closed, open} {
			arguments[index] = to.Ptr(allowed == 1)
			same(change(arguments[0], arguments[1], arguments[2], arguments[3]), expected, "flags")
		}
	}
}

func repositoryProperties(r registry) {
	r.push("go/repository", "v1", []byte("layer"))
	ctx := context.Background()
	found := get(r.GetRepositoryProperties(ctx, "go/repository", nil))
	same(fmt.Sprintln(*found.Name, *found.ManifestCount, *found.TagCount), "go/repository 1 1\n", "counts")
	same(*found.RegistryLoginServer, ours.host(), "registry")
	same(flags(found.ChangeableAttributes), open, "flags")
	recent(found.CreatedOn)
	recent(found.LastUpdatedOn)
	eachFlag(func(canDelete, canList, canRead, canWrite *bool) string {
		value := azcontainerregistry.RepositoryWriteableProperties{CanDelete: canDelete, CanList: canList, CanRead: canRead, CanWrite: canWrite}
		changed := get(r.UpdateRepositoryProperties(ctx, "go/repository", &azcontainerregistry.ClientUpdateRepositoryPropertiesOptions{Value: &value}))
		same(*changed.Name, "go/repository", "name")
		told := get(r.GetRepositoryProperties(ctx, "go/repository", nil))
		same(flags(told.ChangeableAttributes), flags(changed.ChangeableAttributes), "flags that were kept")
		return flags(changed.ChangeableAttributes)
	})
}

func tagProperties(r registry) {
	digest, _ := r.push("go/properties", "v1", []byte("layer"))
	ctx := context.Background()
	before := get(r.GetTagProperties(ctx, "go/properties", "v1", nil))
	same(*before.Tag.Name+" "+*before.Tag.Digest, "v1 "+digest, "tag")
	same(*before.RegistryLoginServer+" "+*before.RepositoryName, ours.host()+" go/properties", "repository")
	same(flags(before.Tag.ChangeableAttributes), open, "flags")
	recent(before.Tag.CreatedOn)
	eachFlag(func(canDelete, canList, canRead, canWrite *bool) string {
		value := azcontainerregistry.TagWriteableProperties{CanDelete: canDelete, CanList: canList, CanRead: canRead, CanWrite: canWrite}
		changed := get(r.UpdateTagProperties(ctx, "go/properties", "v1", &azcontainerregistry.ClientUpdateTagPropertiesOptions{Value: &value}))
		same(*changed.Tag.Digest, digest, "digest")
		same(*changed.Tag.LastUpdatedOn, *before.Tag.LastUpdatedOn, "time, which no lock moves")
		return flags(changed.Tag.ChangeableAttributes)
	})
	lock := func(allowed bool) {
		r.lockTag("go/properties", "v1", azcontainerregistry.TagWriteableProperties{CanDelete: &allowed})
	}
	lock(false)
	refused(failure(r.DeleteTag(ctx, "go/properties", "v1", nil)), 405, "REGISTRY_DISALLOWED_OPERATION")
	same(*get(r.GetTagProperties(ctx, "go/properties", "v1", nil)).Tag.Digest, digest, "tag that stayed")
	lock(true)
	get(r.DeleteTag(ctx, "go/properties", "v1", nil))
}

func manifestProperties(r registry) {
	digest, manifest := r.push("go/properties", "v2", []byte("another layer"))
	r.put("go/properties", "v3", ociManifest, manifest)
	ctx := context.Background()
	before := get(r.GetManifestProperties(ctx, "go/properties", digest, nil))
	found := before.Manifest
	same(*before.RegistryLoginServer+" "+*before.RepositoryName, ours.host()+" go/properties", "repository")
	same(*found.Digest, digest, "digest")
	same(fmt.Sprint(*found.Tags[0], *found.Tags[1], len(found.Tags)), "v2v32", "tags")
	same(*found.Architecture, azcontainerregistry.ArtifactArchitectureAmd64, "architecture")
	same(*found.OperatingSystem, azcontainerregistry.ArtifactOperatingSystemLinux, "operating system")
	same(*found.MediaType+" "+*found.ConfigMediaType, ociManifest+" "+ociConfig, "media types")
	same(*found.Size, int64(len("another layer")+len(config)), "size")
	same(len(found.RelatedArtifacts), 0, "related artifacts")
	same(flags(found.ChangeableAttributes), open, "flags")
	recent(found.CreatedOn)
	eachFlag(func(canDelete, canList, canRead, canWrite *bool) string {
		value := azcontainerregistry.ManifestWriteableProperties{CanDelete: canDelete, CanList: canList, CanRead: canRead, CanWrite: canWrite}
		changed := get(r.UpdateManifestProperties(ctx, "go/properties", digest, &azcontainerregistry.ClientUpdateManifestPropertiesOptions{Value: &value}))
		same(*changed.Manifest.Digest, digest, "digest")
		same(*changed.Manifest.LastUpdatedOn, *found.LastUpdatedOn, "time, which no lock moves")
		return flags(changed.Manifest.ChangeableAttributes)
	})
}

// nothingToChange sends no body at all, or one that names no lock.
func nothingToChange(r registry) {
	digest, _ := r.push("go/unchanged", "v1", []byte("layer"))
	ctx := context.Background()
	r.lockRepository("go/unchanged", azcontainerregistry.RepositoryWriteableProperties{CanDelete: to.Ptr(false)})
	const kept = "[false true true true]"
	for _, options := range []*azcontainerregistry.ClientUpdateRepositoryPropertiesOptions{
		nil, {}, {Value: &azcontainerregistry.RepositoryWriteableProperties{}},
	} {
		same(flags(get(r.UpdateRepositoryProperties(ctx, "go/unchanged", options)).ChangeableAttributes), kept, "repository")
	}
	for _, options := range []*azcontainerregistry.ClientUpdateTagPropertiesOptions{
		nil, {}, {Value: &azcontainerregistry.TagWriteableProperties{}},
	} {
		same(flags(get(r.UpdateTagProperties(ctx, "go/unchanged", "v1", options)).Tag.ChangeableAttributes), open, "tag")
	}
	for _, options := range []*azcontainerregistry.ClientUpdateManifestPropertiesOptions{
		nil, {}, {Value: &azcontainerregistry.ManifestWriteableProperties{}},
	} {
		same(flags(get(r.UpdateManifestProperties(ctx, "go/unchanged", digest, options)).Manifest.ChangeableAttributes), open, "manifest")
	}
}

func absentProperties(r registry) {
	r.push("go/properties", "v2", []byte("another layer"))
	ctx, digest := context.Background(), digestOf([]byte("absent"))
	refused(failure(r.GetRepositoryProperties(ctx, "go/absent", nil)), 404, "NAME_UNKNOWN")
	refused(failure(r.UpdateRepositoryProperties(ctx, "go/absent", nil)), 404, "NAME_UNKNOWN")
	for _, repository := range []string{"go/absent", "go/properties"} {
		refused(failure(r.GetTagProperties(ctx, repository, "absent", nil)), 404, "TAG_UNKNOWN")
		refused(failure(r.UpdateTagProperties(ctx, repository, "absent", nil)), 404, "TAG_UNKNOWN")
		refused(failure(r.GetManifestProperties(ctx, repository, digest, nil)), 404, "MANIFEST_UNKNOWN")
		refused(failure(r.UpdateManifestProperties(ctx, repository, digest, nil)), 404, "MANIFEST_UNKNOWN")
	}
}

const notFound = "404 page not found\n"

// malformed names never reach a handler of the registry, which answers them with a line of text.
func malformed(r registry) {
	ctx := context.Background()
	for _, err := range []error{
		failure(r.GetRepositoryProperties(ctx, "go/Upper", nil)),
		failure(r.GetManifestProperties(ctx, "go/properties", "wrong-digest", nil)),
		failure(r.GetManifest(ctx, "go/Upper", "v1", nil)),
		failure(r.blobs.GetBlob(ctx, "go/properties", "sha256:short", nil)),
	} {
		same(payload(refused(err, 404, "")), notFound, "body")
	}
	// The SDK takes a 404 of a deletion for success.
	get(r.DeleteRepository(ctx, "go/Upper", nil))
}

// emptyArguments are refused before anything is sent.
func emptyArguments(r registry) {
	ctx, digest := context.Background(), digestOf(nil)
	for _, err := range []error{
		failure(r.DeleteManifest(ctx, "", digest, nil)),
		failure(r.DeleteRepository(ctx, "", nil)),
		failure(r.DeleteTag(ctx, "", "v1", nil)),
		failure(r.GetManifest(ctx, "", "v1", nil)),
		failure(r.GetManifestProperties(ctx, "", digest, nil)),
		failure(r.GetRepositoryProperties(ctx, "", nil)),
		failure(r.GetTagProperties(ctx, "", "v1", nil)),
		failure(r.NewListManifestsPager("", nil).NextPage(ctx)),
		failure(r.NewListTagsPager("", nil).NextPage(ctx)),
		failure(r.UpdateManifestProperties(ctx, "", digest, nil)),
		failure(r.UpdateRepositoryProperties(ctx, "", nil)),
		failure(r.UpdateTagProperties(ctx, "", "v1", nil)),
		failure(r.UploadManifest(ctx, "", "v1", ociManifest, nil, nil)),
		failure(r.blobs.CheckBlobExists(ctx, "", digest, nil)),
		failure(r.blobs.CheckChunkExists(ctx, "", digest, "bytes=0-1", nil)),
		failure(r.blobs.DeleteBlob(ctx, "", digest, nil)),
		failure(r.blobs.GetBlob(ctx, "", digest, nil)),
		failure(r.blobs.GetChunk(ctx, "", digest, "bytes=0-1", nil)),
		failure(r.blobs.MountBlob(ctx, "", "go/properties", digest, nil)),
		failure(r.blobs.StartUpload(ctx, "", nil)),
	} {
		says(err, "parameter name cannot be empty")
	}
	for _, err := range []error{
		failure(r.DeleteManifest(ctx, "go", "", nil)),
		failure(r.GetManifestProperties(ctx, "go", "", nil)),
		failure(r.UpdateManifestProperties(ctx, "go", "", nil)),
		failure(r.blobs.CheckBlobExists(ctx, "go", "", nil)),
		failure(r.blobs.CheckChunkExists(ctx, "go", "", "bytes=0-1", nil)),
		failure(r.blobs.DeleteBlob(ctx, "go", "", nil)),
		failure(r.blobs.GetBlob(ctx, "go", "", nil)),
		failure(r.blobs.GetChunk(ctx, "go", "", "bytes=0-1", nil)),
	} {
		says(err, "parameter digest cannot be empty")
	}
	for _, err := range []error{
		failure(r.DeleteTag(ctx, "go", "", nil)),
		failure(r.GetTagProperties(ctx, "go", "", nil)),
		failure(r.UpdateTagProperties(ctx, "go", "", nil)),
	} {
		says(err, "parameter tag cannot be empty")
	}
	for _, err := range []error{
		failure(r.GetManifest(ctx, "go", "", nil)),
		failure(r.UploadManifest(ctx, "go", "", ociManifest, nil, nil)),
	} {
		says(err, "parameter reference cannot be empty")
	}
}
