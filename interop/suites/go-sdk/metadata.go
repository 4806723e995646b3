package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/containers/azcontainerregistry"
)

// pages gives what a pager has, page by page.
func pages[P, T any](pager *runtime.Pager[P], items func(P) []T) [][]T {
	var all [][]T
	for pager.More() {
		all = append(all, items(get(pager.NextPage(context.Background()))))
	}
	return all
}

func sizes[T any](pages [][]T) string {
	var found []int
	for _, page := range pages {
		found = append(found, len(page))
	}
	return fmt.Sprint(found)
}

func listRepositories(r registry) {
	for _, name := range []string{"a", "b", "c"} {
		r.push("go/listed-"+name, "v1", []byte("layer"))
	}
	pager := r.NewListRepositoriesPager(&azcontainerregistry.ClientListRepositoriesOptions{MaxNum: to.Ptr(int32(2))})
	found := pages(pager, func(page azcontainerregistry.ClientListRepositoriesResponse) []*string { return page.Names })
	if len(found) < 2 || slices.ContainsFunc(found, func(page []*string) bool { return len(page) > 2 }) {
		panic("pages of " + sizes(found))
	}
	var mine []string
	for _, name := range slices.Concat(found...) {
		if strings.HasPrefix(*name, "go/listed-") {
			mine = append(mine, *name)
		}
	}
	same(fmt.Sprint(mine), "[go/listed-a go/listed-b go/listed-c]", "repositories")
}

func listTags(r registry) {
	for _, tag := range []string{"one", "two", "three", "four", "five"} {
		r.push("go/tags", tag, []byte(tag))
	}
	list := func(options azcontainerregistry.ClientListTagsOptions) ([][]*azcontainerregistry.TagAttributes, string) {
		found := pages(r.NewListTagsPager("go/tags", &options),
			func(page azcontainerregistry.ClientListTagsResponse) []*azcontainerregistry.TagAttributes {
				return page.Tags
			})
		var names []string
		for _, tag := range slices.Concat(found...) {
			names = append(names, *tag.Name)
		}
		return found, fmt.Sprint(names)
	}
	found, names := list(azcontainerregistry.ClientListTagsOptions{MaxNum: to.Ptr(int32(2))})
	same(sizes(found), "[2 2 1]", "pages")
	same(names, "[five four one three two]", "tags by name")
	_, names = list(azcontainerregistry.ClientListTagsOptions{OrderBy: to.Ptr(azcontainerregistry.ArtifactTagOrderByLastUpdatedOnAscending)})
	same(names, "[one two three four five]", "tags by time")
	digest := *get(r.GetTagProperties(context.Background(), "go/tags", "two", nil)).Tag.Digest
	_, names = list(azcontainerregistry.ClientListTagsOptions{Digest: &digest})
	same(names, "[two]", "tags of a manifest")
}

func listManifests(r registry) {
	var digests []string
	for _, layer := range []string{"1", "2", "3", "4", "5"} {
		digest, _ := r.push("go/manifests", "", []byte(layer))
		digests = append(digests, digest)
	}
	pager := r.NewListManifestsPager("go/manifests", &azcontainerregistry.ClientListManifestsOptions{
		MaxNum: to.Ptr(int32(2)), OrderBy: to.Ptr(azcontainerregistry.ArtifactManifestOrderByLastUpdatedOnAscending),
	})
	found := pages(pager, func(page azcontainerregistry.ClientListManifestsResponse) []*azcontainerregistry.ManifestAttributes {
		return page.Manifests.Attributes
	})
	same(sizes(found), "[2 2 1]", "pages")
	var names []string
	for _, manifest := range slices.Concat(found...) {
		names = append(names, *manifest.Digest)
	}
	same(fmt.Sprint(names), fmt.Sprint(digests), "manifests by time")
}

func repositoryProperties(r registry) {
	r.push("go/properties", "v1", []byte("layer"))
	ctx := context.Background()
	found := get(r.GetRepositoryProperties(ctx, "go/properties", nil))
	same(fmt.Sprintln(*found.Name, *found.ManifestCount, *found.TagCount), "go/properties 1 1\n", "counts")
	for _, allowed := range []bool{false, true} {
		value := azcontainerregistry.RepositoryWriteableProperties{CanWrite: &allowed}
		changed := get(r.UpdateRepositoryProperties(ctx, "go/properties", &azcontainerregistry.ClientUpdateRepositoryPropertiesOptions{Value: &value}))
		same(*changed.ChangeableAttributes.CanWrite, allowed, "flag")
		same(*changed.ChangeableAttributes.CanDelete, true, "flag")
	}
}

func tagProperties(r registry) {
	digest, _ := r.push("go/properties", "v1", []byte("layer"))
	ctx := context.Background()
	found := get(r.GetTagProperties(ctx, "go/properties", "v1", nil)).Tag
	same(*found.Name+" "+*found.Digest, "v1 "+digest, "tag")
	lock := func(allowed bool) {
		value := azcontainerregistry.TagWriteableProperties{CanDelete: &allowed}
		changed := get(r.UpdateTagProperties(ctx, "go/properties", "v1", &azcontainerregistry.ClientUpdateTagPropertiesOptions{Value: &value}))
		same(*changed.Tag.ChangeableAttributes.CanDelete, allowed, "flag")
	}
	lock(false)
	_, err := r.DeleteTag(ctx, "go/properties", "v1", nil)
	refused(err, 405)
	lock(true)
	_, err = r.GetTagProperties(ctx, "go/properties", "absent", nil)
	refused(err, 404)
}

func manifestProperties(r registry) {
	digest, _ := r.push("go/properties", "v2", []byte("another layer"))
	ctx := context.Background()
	found := get(r.GetManifestProperties(ctx, "go/properties", digest, nil)).Manifest
	same(fmt.Sprint(*found.Digest, *found.Tags[0], *found.Architecture), fmt.Sprint(digest, "v2", "amd64"), "manifest")
	for _, allowed := range []bool{false, true} {
		value := azcontainerregistry.ManifestWriteableProperties{CanRead: &allowed}
		changed := get(r.UpdateManifestProperties(ctx, "go/properties", digest, &azcontainerregistry.ClientUpdateManifestPropertiesOptions{Value: &value}))
		same(*changed.Manifest.ChangeableAttributes.CanRead, allowed, "flag")
	}
}

func deleteTag(r registry) {
	digest, _ := r.push("go/deleted", "gone", []byte("layer"))
	ctx := context.Background()
	get(r.DeleteTag(ctx, "go/deleted", "gone", nil))
	_, err := r.GetTagProperties(ctx, "go/deleted", "gone", nil)
	refused(err, 404)
	get(r.GetManifestProperties(ctx, "go/deleted", digest, nil))
	// The SDK takes a 404 for success.
	get(r.DeleteTag(ctx, "go/deleted", "gone", nil))
}

func deleteManifest(r registry) {
	digest, _ := r.push("go/deleted", "", []byte("gone"))
	r.push("go/deleted", "stays", []byte("stays"))
	ctx := context.Background()
	get(r.DeleteManifest(ctx, "go/deleted", digest, nil))
	_, err := r.GetManifestProperties(ctx, "go/deleted", digest, nil)
	refused(err, 404)
	get(r.DeleteManifest(ctx, "go/deleted", digest, nil))
}

func deleteLockedManifest(r registry) {
	digest, _ := r.push("go/locked", "v1", []byte("layer"))
	ctx := context.Background()
	lock := func(allowed bool) {
		value := azcontainerregistry.ManifestWriteableProperties{CanDelete: &allowed, CanWrite: &allowed}
		get(r.UpdateManifestProperties(ctx, "go/locked", digest, &azcontainerregistry.ClientUpdateManifestPropertiesOptions{Value: &value}))
	}
	lock(false)
	_, err := r.DeleteManifest(ctx, "go/locked", digest, nil)
	refused(err, 405)
	lock(true)
	get(r.DeleteManifest(ctx, "go/locked", digest, nil))
}

func deleteRepository(r registry) {
	r.push("go/whole", "v1", []byte("layer"))
	ctx := context.Background()
	get(r.DeleteRepository(ctx, "go/whole", nil))
	_, err := r.GetRepositoryProperties(ctx, "go/whole", nil)
	refused(err, 404)
	get(r.DeleteRepository(ctx, "go/whole", nil))
}
