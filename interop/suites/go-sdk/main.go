// Every operation of azcontainerregistry against acr-emulator.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/containers/azcontainerregistry"
)

func main() {
	seen, rows := called{}, newRows()
	r := connect(seen, token(os.Getenv("ACR_ENTRA_TOKEN")))
	anonymous := connect(seen, nil)
	impostor := connect(seen, token("somebody else's token"))

	rows.pass("list repositories by pages of 2", func() { listRepositories(r) })
	rows.pass("list tags by pages of 2, and by time", func() { listTags(r) })
	rows.pass("list manifests by pages of 2, by time", func() { listManifests(r) })
	rows.pass("get and update repository properties", func() { repositoryProperties(r) })
	rows.pass("get and update tag properties, locked tag", func() { tagProperties(r) })
	rows.pass("get and update manifest properties", func() { manifestProperties(r) })
	rows.pass("delete a tag, also an absent one", func() { deleteTag(r) })
	rows.pass("delete a manifest, also an absent one", func() { deleteManifest(r) })
	rows.pass("delete a locked manifest: 405", func() { deleteLockedManifest(r) })
	rows.pass("delete a repository, also an absent one", func() { deleteRepository(r) })
	rows.pass("put a manifest, get it by tag and digest", func() { manifests(r) })
	rows.pass("upload and download a blob in chunks", func() { blobs(r) })
	rows.pass("ask how far an upload got, cancel it", func() { session(r) })
	rows.pass("mount a blob", func() { mount(r) })
	rows.pass("delete a blob, also an absent one", func() { deleteBlob(r) })
	rows.pass("upload and download an empty blob", func() { emptyBlob(r) })
	rows.pass("notice another digest", func() { wrongDigest(r) })
	rows.defect("tell the registry's error code",
		"azcore reads `error.code` and `x-ms-error-code` (azcore/internal/exported/response_error.go); the registry sends `errors[].code`",
		func() { errorCode(r) })
	rows.pass("exchange tokens", func() { exchange(r) })
	rows.pass("read anonymously", func() { anonymousReads(r, anonymous) })
	rows.pass("write anonymously: 401", func() { anonymousWrites(anonymous) })
	rows.pass("sign in with a wrong token: 401", func() {
		_, err := impostor.GetRepositoryProperties(context.Background(), "go/public", nil)
		refused(err, 401)
	})
	rows.pass("read an image that we pushed", func() { readOurs(r) })
	theirs, _ := r.push("go/theirs", "v1", []byte("theirs"))
	must(os.WriteFile(os.Getenv("THEIRS_DIGEST"), []byte(theirs), 0o644))
	rows.pass("every public operation was called", func() {
		missing := seen.missing(r.Client, r.blobs, r.auth)
		same(strings.Join(missing, " "), "", "operations that were not called")
	})
	if len(rows.failed) > 0 {
		fmt.Println(strings.Join(rows.failed, "\n"))
		os.Exit(1)
	}
	fmt.Println("all as expected")
}

func errorCode(r registry) {
	_, err := r.GetTagProperties(context.Background(), "go/absent", "absent", nil)
	same(refused(err, 404).ErrorCode, "", "code")
}

func exchange(r registry) {
	ctx := context.Background()
	service := strings.TrimPrefix(os.Getenv("ACR_ENDPOINT"), "https://")
	refresh := get(r.auth.ExchangeAADAccessTokenForACRRefreshToken(ctx,
		azcontainerregistry.PostContentSchemaGrantTypeAccessToken, service,
		&azcontainerregistry.AuthenticationClientExchangeAADAccessTokenForACRRefreshTokenOptions{
			AccessToken: to.Ptr(os.Getenv("ACR_ENTRA_TOKEN")),
		}))
	options := azcontainerregistry.AuthenticationClientExchangeACRRefreshTokenForACRAccessTokenOptions{
		GrantType: to.Ptr(azcontainerregistry.TokenGrantTypeRefreshToken),
	}
	access := get(r.auth.ExchangeACRRefreshTokenForACRAccessToken(ctx, service, "registry:catalog:*", *refresh.ACRRefreshToken.RefreshToken, &options))
	same(strings.Count(*access.ACRAccessToken.AccessToken, "."), 2, "dots of the token")
	_, err := r.auth.ExchangeACRRefreshTokenForACRAccessToken(ctx, service, "registry:catalog:*", "no token", &options)
	refused(err, 401)
}

func anonymousReads(r, anonymous registry) {
	digest, manifest := r.push("go/public", "v1", []byte("for everybody"))
	ctx := context.Background()
	found := get(anonymous.GetManifest(ctx, "go/public", "v1", &azcontainerregistry.ClientGetManifestOptions{Accept: to.Ptr(ociManifest)}))
	same(*found.DockerContentDigest, digest, "digest")
	same(string(get(io.ReadAll(found.ManifestData))), string(manifest), "manifest")
	blob := get(anonymous.blobs.GetBlob(ctx, "go/public", digestOf([]byte("for everybody")), nil))
	if !bytes.Equal(get(io.ReadAll(blob.BlobData)), []byte("for everybody")) {
		panic("other bytes came back")
	}
}

func anonymousWrites(anonymous registry) {
	ctx := context.Background()
	_, err := anonymous.DeleteTag(ctx, "go/public", "v1", nil)
	refused(err, 401)
	_, err = anonymous.blobs.StartUpload(ctx, "go/public", nil)
	refused(err, 401)
}

func readOurs(r registry) {
	ctx, repository := context.Background(), os.Getenv("OURS_REPOSITORY")
	found := get(r.GetManifest(ctx, repository, "v1", &azcontainerregistry.ClientGetManifestOptions{Accept: to.Ptr(ociManifest)}))
	same(*found.DockerContentDigest, os.Getenv("OURS_DIGEST"), "digest")
	type descriptor struct{ Digest string }
	var manifest struct {
		Config descriptor
		Layers []descriptor
	}
	must(json.Unmarshal(get(io.ReadAll(found.ManifestData)), &manifest))
	for _, part := range append(manifest.Layers, manifest.Config) {
		blob := get(r.blobs.GetBlob(ctx, repository, part.Digest, nil))
		same(digestOf(get(io.ReadAll(blob.BlobData))), part.Digest, "digest")
	}
}
