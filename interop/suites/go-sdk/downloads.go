package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/containers/azcontainerregistry"
)

// download reads a whole blob and lets the SDK check it.
func (r registry) download(repository, digest string) []byte {
	found := get(r.blobs.GetBlob(context.Background(), repository, digest, nil))
	defer found.BlobData.Close()
	reader := get(azcontainerregistry.NewDigestValidationReader(digest, found.BlobData))
	content := get(io.ReadAll(reader))
	same(*found.ContentLength, int64(len(content)), "length")
	return content
}

func (r registry) part(repository, digest, asked string) ([]byte, string) {
	found := get(r.blobs.GetChunk(context.Background(), repository, digest, asked, nil))
	defer found.ChunkData.Close()
	content := get(io.ReadAll(found.ChunkData))
	same(*found.ContentLength, int64(len(content)), "length")
	return content, *found.ContentRange
}

func blobs(r registry) {
	content, ctx := noise(2*chunk+17), context.Background()
	digest := r.upload("go/chunks", content)
	found := get(r.blobs.CheckBlobExists(ctx, "go/chunks", digest, nil))
	same(*found.ContentLength, int64(len(content)), "length")
	same(*found.DockerContentDigest, digest, "digest")
	if !bytes.Equal(r.download("go/chunks", digest), content) {
		panic("other bytes came back")
	}
	var pieces []byte
	for start := 0; start < len(content); start += chunk {
		piece, told := r.part("go/chunks", digest, fmt.Sprintf("bytes=%d-%d", start, start+chunk-1))
		end := min(start+chunk, len(content)) - 1
		same(told, fmt.Sprintf("bytes %d-%d/%d", start, end, len(content)), "range")
		pieces = append(pieces, piece...)
	}
	if !bytes.Equal(pieces, content) {
		panic("other bytes came back in chunks")
	}
	var sent []int
	for _, request := range ours.asked("upload_chunk", "go/chunks") {
		if request.Status == 202 {
			sent = append(sent, request.BodyBytes)
		}
	}
	same(fmt.Sprint(sent), fmt.Sprint([]int{chunk, chunk, 17}), "chunks that were sent")
	stored := func() []entry { return ours.asked("get_storage", strings.TrimPrefix(digest, "sha256:")) }
	same(statuses(stored, 4), "[200 206 206 206]", "what storage answered")
	for _, request := range stored() {
		same(request.Authorized, false, "whether storage got the registry's token")
	}
}

func parts(r registry) {
	content, ctx := noise(1000), context.Background()
	digest := r.upload("go/parts", content)
	for asked, expected := range map[string][2]int{
		"bytes=0-0": {0, 0}, "bytes=10-19": {10, 19}, "bytes=990-": {990, 999}, "bytes=900-5000": {900, 999},
	} {
		piece, told := r.part("go/parts", digest, asked)
		same(told, fmt.Sprintf("bytes %d-%d/1000", expected[0], expected[1]), "range")
		same(string(piece), string(content[expected[0]:expected[1]+1]), asked)
	}
	says(refused(failure(r.blobs.GetChunk(ctx, "go/parts", digest, "bytes=1000-1001", nil)), 416, ""), "InvalidRange")
	// Azure's storage passes over a range that counts from the end and answers with everything.
	refused(failure(r.blobs.GetChunk(ctx, "go/parts", digest, "bytes=-10", nil)), 200, "")
	// The registry answers this itself and knows no ranges.
	checked := get(r.blobs.CheckChunkExists(ctx, "go/parts", digest, "bytes=0-16", nil))
	same(*checked.ContentLength, int64(1000), "length")
	same(checked.ContentRange, nil, "range")
}

func absentBlobs(r registry) {
	ctx, digest := context.Background(), digestOf([]byte("absent"))
	for _, repository := range []string{"go/content", "go/absent"} {
		refused(failure(r.blobs.GetBlob(ctx, repository, digest, nil)), 404, "BLOB_UNKNOWN")
		refused(failure(r.blobs.GetChunk(ctx, repository, digest, "bytes=0-9", nil)), 404, "BLOB_UNKNOWN")
		refused(failure(r.blobs.CheckBlobExists(ctx, repository, digest, nil)), 404, "")
		refused(failure(r.blobs.CheckChunkExists(ctx, repository, digest, "bytes=0-9", nil)), 404, "")
		refused(failure(r.blobs.DeleteBlob(ctx, repository, digest, nil)), 404, "BLOB_UNKNOWN")
	}
}

// blobDigest should be that of the blob.
func blobDigest(r registry) {
	digest := r.upload("go/content", []byte("with a digest"))
	found := get(r.blobs.GetBlob(context.Background(), "go/content", digest, nil))
	same(found.DockerContentDigest, nil, "digest")
	must(found.BlobData.Close())
}
