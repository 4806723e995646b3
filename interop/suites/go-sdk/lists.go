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
	_, err := pager.NextPage(context.Background())
	says(err, "no more pages")
	return all
}

func sizes[T any](pages [][]T) string {
	var found []int
	for _, page := range pages {
		found = append(found, len(page))
	}
	return fmt.Sprint(found)
}

// repositories gives the names that start so, and the sizes of the pages.
func (r registry) repositories(prefix string, options *azcontainerregistry.ClientListRepositoriesOptions) ([]string, string) {
	found := pages(r.NewListRepositoriesPager(options),
		func(page azcontainerregistry.ClientListRepositoriesResponse) []*string { return page.Names })
	var names []string
	for _, name := range slices.Concat(found...) {
		if strings.HasPrefix(*name, prefix) {
			names = append(names, *name)
		}
	}
	return names, sizes(found)
}

// tags gives the names of a repository's tags, and the sizes of the pages.
func (r registry) tags(repository string, options *azcontainerregistry.ClientListTagsOptions) (string, string) {
	found := pages(r.NewListTagsPager(repository, options),
		func(page azcontainerregistry.ClientListTagsResponse) []*azcontainerregistry.TagAttributes {
			same(*page.Repository, repository, "repository")
			same(*page.RegistryLoginServer, ours.host(), "registry")
			return page.Tags
		})
	var names []string
	for _, tag := range slices.Concat(found...) {
		names = append(names, *tag.Name)
	}
	return fmt.Sprint(names), sizes(found)
}

// manifests gives the digests of a repository's manifests, and the sizes of the pages.
func (r registry) manifests(repository string, options *azcontainerregistry.ClientListManifestsOptions) ([]string, string) {
	found := pages(r.NewListManifestsPager(repository, options),
		func(page azcontainerregistry.ClientListManifestsResponse) []*azcontainerregistry.ManifestAttributes {
			same(*page.Repository, repository, "repository")
			same(*page.RegistryLoginServer, ours.host(), "registry")
			return page.Attributes
		})
	var digests []string
	for _, manifest := range slices.Concat(found...) {
		digests = append(digests, *manifest.Digest)
	}
	return digests, sizes(found)
}

func listRepositories(r registry) {
	for _, name := range []string{"a", "b", "c"} {
		r.push("go/listed-"+name, "v1", []byte("layer"))
	}
	found, sizes := r.repositories("go/listed-", &azcontainerregistry.ClientListRepositoriesOptions{MaxNum: to.Ptr(int32(2))})
	same(fmt.Sprint(found), "[go/listed-a go/listed-b go/listed-c]", "repositories")
	if len(sizes) < len("[2 1]") || strings.Trim(sizes, "[12 ]") != "" {
		panic("pages of " + sizes)
	}
	all, _ := r.repositories("", nil)
	distinct := slices.Compact(slices.Sorted(slices.Values(all)))
	same(fmt.Sprint(all), fmt.Sprint(distinct), "all repositories, in their order, once")
}

func listTags(r registry) {
	for _, tag := range []string{"one", "two", "three", "four", "five"} {
		r.push("go/tags", tag, []byte(tag))
	}
	names, sizes := r.tags("go/tags", &azcontainerregistry.ClientListTagsOptions{MaxNum: to.Ptr(int32(2))})
	same(sizes, "[2 2 1]", "pages")
	same(names, "[five four one three two]", "tags by name")
	names, sizes = r.tags("go/tags", nil)
	same(names+sizes, "[five four one three two][5]", "all tags")
	for order, expected := range map[azcontainerregistry.ArtifactTagOrderBy]string{
		azcontainerregistry.ArtifactTagOrderByNone:                    "[five four one three two]",
		azcontainerregistry.ArtifactTagOrderByLastUpdatedOnAscending:  "[one two three four five]",
		azcontainerregistry.ArtifactTagOrderByLastUpdatedOnDescending: "[five four three two one]",
	} {
		names, sizes = r.tags("go/tags", &azcontainerregistry.ClientListTagsOptions{MaxNum: to.Ptr(int32(2)), OrderBy: &order})
		same(names+sizes, expected+"[2 2 1]", "tags by "+string(order))
	}
	_, sizes = r.tags("go/tags", &azcontainerregistry.ClientListTagsOptions{MaxNum: to.Ptr(int32(5))})
	same(sizes, "[5]", "a page that holds all")
}

func listManifests(r registry) {
	var digests []string
	for _, layer := range []string{"1", "2", "3", "4", "5"} {
		digest, _ := r.push("go/manifests", "", []byte(layer))
		digests = append(digests, digest)
	}
	latest := slices.Clone(digests)
	slices.Reverse(latest)
	for order, expected := range map[azcontainerregistry.ArtifactManifestOrderBy][]string{
		azcontainerregistry.ArtifactManifestOrderByNone:                    slices.Sorted(slices.Values(digests)),
		azcontainerregistry.ArtifactManifestOrderByLastUpdatedOnAscending:  digests,
		azcontainerregistry.ArtifactManifestOrderByLastUpdatedOnDescending: latest,
	} {
		found, sizes := r.manifests("go/manifests", &azcontainerregistry.ClientListManifestsOptions{MaxNum: to.Ptr(int32(2)), OrderBy: &order})
		same(fmt.Sprint(found), fmt.Sprint(expected), "manifests by "+string(order))
		same(sizes, "[2 2 1]", "pages")
	}
	found, sizes := r.manifests("go/manifests", nil)
	same(fmt.Sprint(found)+sizes, fmt.Sprint(slices.Sorted(slices.Values(digests)))+"[5]", "all manifests")
}

func listsGoOn(r registry) {
	for _, name := range []string{"a", "b", "c"} {
		r.push("go/resumed-"+name, "v1", []byte("layer"))
	}
	names, _ := r.repositories("go/resumed-", &azcontainerregistry.ClientListRepositoriesOptions{Last: to.Ptr("go/resumed-a")})
	same(fmt.Sprint(names), "[go/resumed-b go/resumed-c]", "repositories")
	var digests []string
	for _, tag := range []string{"one", "two", "three"} {
		digest, _ := r.push("go/resumed", tag, []byte(tag))
		digests = append(digests, digest)
	}
	tags, sizes := r.tags("go/resumed", &azcontainerregistry.ClientListTagsOptions{Last: to.Ptr("one"), MaxNum: to.Ptr(int32(1))})
	same(tags+sizes, "[three two][1 1]", "tags")
	slices.Sort(digests)
	found, sizes := r.manifests("go/resumed", &azcontainerregistry.ClientListManifestsOptions{Last: &digests[0], MaxNum: to.Ptr(int32(1))})
	same(fmt.Sprint(found)+sizes, fmt.Sprint(digests[1:])+"[1 1]", "manifests")
}

func listTagsOfManifest(r registry) {
	digest, manifest := r.push("go/filtered", "a1", []byte("a"))
	for _, tag := range []string{"a2", "a3"} {
		r.put("go/filtered", tag, ociManifest, manifest)
	}
	for _, tag := range []string{"b1", "b2"} {
		r.push("go/filtered", tag, []byte("b"))
	}
	names, sizes := r.tags("go/filtered", &azcontainerregistry.ClientListTagsOptions{Digest: &digest})
	same(names+sizes, "[a1 a2 a3][3]", "tags")
	names, _ = r.tags("go/filtered", &azcontainerregistry.ClientListTagsOptions{
		Digest: to.Ptr(digestOf([]byte("absent"))),
	})
	same(names, "[]", "tags of an absent manifest")
}

// listTagsOfManifestByPages should give three tags.
func listTagsOfManifestByPages(r registry) {
	digest := *get(r.GetTagProperties(context.Background(), "go/filtered", "a1", nil)).Tag.Digest
	names, _ := r.tags("go/filtered", &azcontainerregistry.ClientListTagsOptions{Digest: &digest, MaxNum: to.Ptr(int32(2))})
	same(names, "[a1 a2 a3 b1 b2]", "tags")
}

// listsOfNothing asks for what is not there, and for what is empty.
func listsOfNothing(r registry) {
	ctx := context.Background()
	_, err := r.NewListTagsPager("go/absent", nil).NextPage(ctx)
	refused(err, 404, "NAME_UNKNOWN")
	_, err = r.NewListManifestsPager("go/absent", nil).NextPage(ctx)
	refused(err, 404, "NAME_UNKNOWN")
	r.push("go/emptied", "v1", []byte("layer"))
	get(r.DeleteTag(ctx, "go/emptied", "v1", nil))
	names, sizes := r.tags("go/emptied", nil)
	same(names+sizes, "[][0]", "tags")
	names, sizes = r.tags("go/tags", &azcontainerregistry.ClientListTagsOptions{Last: to.Ptr("zzz")})
	same(names+sizes, "[][0]", "tags after the last")
	found, _ := r.repositories("go/", &azcontainerregistry.ClientListRepositoriesOptions{Last: to.Ptr("zzz")})
	same(len(found), 0, "repositories after the last")
}

// unlisted takes a tag, a manifest and a repository out of the lists, and back.
func unlisted(r registry) {
	digest, _ := r.push("go/unlisted", "hidden", []byte("hidden"))
	other, _ := r.push("go/unlisted", "shown", []byte("shown"))
	list := func(allowed bool) {
		r.lockTag("go/unlisted", "hidden", azcontainerregistry.TagWriteableProperties{CanList: &allowed})
		r.lockManifest("go/unlisted", digest, azcontainerregistry.ManifestWriteableProperties{CanList: &allowed})
		r.lockRepository("go/unlisted", azcontainerregistry.RepositoryWriteableProperties{CanList: &allowed})
	}
	list(false)
	names, _ := r.tags("go/unlisted", nil)
	same(names, "[shown]", "tags")
	found, _ := r.manifests("go/unlisted", nil)
	same(fmt.Sprint(found), fmt.Sprint([]string{other}), "manifests")
	repositories, _ := r.repositories("go/unlisted", nil)
	same(len(repositories), 0, "repositories")
	same(*get(r.GetTagProperties(context.Background(), "go/unlisted", "hidden", nil)).Tag.Digest, digest, "tag by its name")
	list(true)
	names, _ = r.tags("go/unlisted", nil)
	same(names, "[hidden shown]", "tags")
}
