package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/containers/azcontainerregistry"
)

const (
	ociManifest = "application/vnd.oci.image.manifest.v1+json"
	chunk       = 4 << 20
)

func digestOf(content []byte) string {
	return fmt.Sprintf("sha256:%x", sha256.Sum256(content))
}

func noise(length int) []byte {
	content := make([]byte, length)
	get(rand.New(rand.NewSource(1)).Read(content))
	return content
}

// upload sends content in one session, in chunks.
func (r registry) upload(repository string, content []byte) string {
	ctx := context.Background()
	started := get(r.blobs.StartUpload(ctx, repository, nil))
	location, calculator := *started.Location, azcontainerregistry.NewBlobDigestCalculator()
	for start := 0; start < len(content); start += chunk {
		end := min(start+chunk, len(content))
		options := azcontainerregistry.BlobClientUploadChunkOptions{
			RangeStart: to.Ptr(int32(start)), RangeEnd: to.Ptr(int32(end - 1)),
		}
		sent := get(r.blobs.UploadChunk(ctx, location, bytes.NewReader(content[start:end]), calculator, &options))
		same(*sent.Range, fmt.Sprintf("0-%d", end-1), "range")
		location = *sent.Location
	}
	stored := get(r.blobs.CompleteUpload(ctx, location, calculator, nil))
	same(*stored.DockerContentDigest, digestOf(content), "digest")
	return *stored.DockerContentDigest
}

// push stores an image with one layer; gives its digest and manifest.
func (r registry) push(repository, reference string, layer []byte) (string, []byte) {
	config := []byte(`{"architecture":"amd64","os":"linux"}`)
	descriptor := func(mediaType string, content []byte) map[string]any {
		return map[string]any{"mediaType": mediaType, "digest": r.upload(repository, content), "size": len(content)}
	}
	manifest := get(json.Marshal(map[string]any{
		"schemaVersion": 2,
		"mediaType":     ociManifest,
		"config":        descriptor("application/vnd.oci.image.config.v1+json", config),
		"layers":        []any{descriptor("application/vnd.oci.image.layer.v1.tar", layer)},
	}))
	if reference == "" {
		reference = digestOf(manifest)
	}
	body := streaming.NopCloser(bytes.NewReader(manifest))
	stored := get(r.UploadManifest(context.Background(), repository, reference, ociManifest, body, nil))
	same(*stored.DockerContentDigest, digestOf(manifest), "digest")
	return *stored.DockerContentDigest, manifest
}

func manifests(r registry) {
	digest, manifest := r.push("go/content", "v1", []byte("content"))
	ctx := context.Background()
	for _, reference := range []string{"v1", digest} {
		accept := azcontainerregistry.ClientGetManifestOptions{Accept: to.Ptr(ociManifest)}
		found := get(r.GetManifest(ctx, "go/content", reference, &accept))
		same(*found.DockerContentDigest, digest, "digest")
		reader := get(azcontainerregistry.NewDigestValidationReader(digest, found.ManifestData))
		same(string(get(io.ReadAll(reader))), string(manifest), "manifest")
	}
	_, err := r.GetManifest(ctx, "go/content", "absent", nil)
	refused(err, 404)
}

func blobs(r registry) {
	content, ctx := noise(2*chunk+17), context.Background()
	digest := r.upload("go/content", content)
	found := get(r.blobs.CheckBlobExists(ctx, "go/content", digest, nil))
	same(*found.ContentLength, int64(len(content)), "length")
	whole := get(r.blobs.GetBlob(ctx, "go/content", digest, nil))
	reader := get(azcontainerregistry.NewDigestValidationReader(digest, whole.BlobData))
	if !bytes.Equal(get(io.ReadAll(reader)), content) {
		panic("other bytes came back")
	}
	get(r.blobs.CheckChunkExists(ctx, "go/content", digest, "bytes=0-16", nil))
	part := get(r.blobs.GetChunk(ctx, "go/content", digest, "bytes=8388608-8388624", nil))
	same(*part.ContentRange, fmt.Sprintf("bytes 8388608-8388624/%d", len(content)), "range")
	if !bytes.Equal(get(io.ReadAll(part.ChunkData)), content[2*chunk:]) {
		panic("other bytes came back")
	}
	_, err := r.blobs.GetBlob(ctx, "go/content", digestOf([]byte("absent")), nil)
	refused(err, 404)
}

func session(r registry) {
	ctx := context.Background()
	started := get(r.blobs.StartUpload(ctx, "go/content", nil))
	calculator := azcontainerregistry.NewBlobDigestCalculator()
	sent := get(r.blobs.UploadChunk(ctx, *started.Location, bytes.NewReader(noise(100)), calculator, nil))
	status := get(r.blobs.GetUploadStatus(ctx, *sent.Location, nil))
	same(*status.Range, "0-99", "range")
	get(r.blobs.CancelUpload(ctx, *sent.Location, nil))
	_, err := r.blobs.GetUploadStatus(ctx, *sent.Location, nil)
	refused(err, 404)
}

func mount(r registry) {
	digest, ctx := r.upload("go/mounted-from", noise(1000)), context.Background()
	mounted := get(r.blobs.MountBlob(ctx, "go/mounted-to", "go/mounted-from", digest, nil))
	same(*mounted.DockerContentDigest, digest, "digest")
	get(r.blobs.CheckBlobExists(ctx, "go/mounted-to", digest, nil))
}

func deleteBlob(r registry) {
	digest, ctx := r.upload("go/content", []byte("to be deleted")), context.Background()
	get(r.blobs.DeleteBlob(ctx, "go/content", digest, nil))
	_, err := r.blobs.CheckBlobExists(ctx, "go/content", digest, nil)
	refused(err, 404)
	// Unlike the other SDKs this one tells of a blob that was not there.
	_, err = r.blobs.DeleteBlob(ctx, "go/content", digest, nil)
	refused(err, 404)
}

func emptyBlob(r registry) {
	ctx := context.Background()
	started := get(r.blobs.StartUpload(ctx, "go/content", nil))
	calculator := azcontainerregistry.NewBlobDigestCalculator()
	stored := get(r.blobs.CompleteUpload(ctx, *started.Location, calculator, nil))
	same(*stored.DockerContentDigest, digestOf(nil), "digest")
	whole := get(r.blobs.GetBlob(ctx, "go/content", digestOf(nil), nil))
	same(len(get(io.ReadAll(whole.BlobData))), 0, "length")
}

func wrongDigest(registry) {
	reader := get(azcontainerregistry.NewDigestValidationReader(digestOf([]byte("this")), bytes.NewReader([]byte("that"))))
	_, err := io.ReadAll(reader)
	if !errors.Is(err, azcontainerregistry.ErrMismatchedHash) {
		panic(fmt.Sprintf("%v instead of a mismatch", err))
	}
}
