package main

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing/iotest"

	"github.com/Azure/azure-sdk-for-go/sdk/containers/azcontainerregistry"
)

// What the registry tells in place of the digest: `changed_answers` in common.sh.
var otherDigest = "sha256:" + strings.Repeat("0", 64)

func otherManifestRead(r registry) {
	digest, _ := r.push("go/read", "v1", []byte("layer"))
	for _, reference := range []string{"v1", digest} {
		found := get(r.GetManifest(context.Background(), "go/read", reference, accepting(ociManifest)))
		same(*found.DockerContentDigest, otherDigest, "digest")
		reader := get(azcontainerregistry.NewDigestValidationReader(*found.DockerContentDigest, found.ManifestData))
		is(failure(io.ReadAll(reader)), azcontainerregistry.ErrMismatchedHash)
	}
}

func otherBlobRead(r registry) {
	digest := r.upload("go/changed", []byte("changed on the way"))
	found := get(r.blobs.GetBlob(context.Background(), "go/changed", digest, nil))
	reader := get(azcontainerregistry.NewDigestValidationReader(digest, found.BlobData))
	is(failure(io.ReadAll(reader)), azcontainerregistry.ErrMismatchedHash)
}

func shortBlobRead(r registry) {
	digest := r.upload("go/short", []byte("cut short on the way"))
	found := get(r.blobs.GetBlob(context.Background(), "go/short", digest, nil))
	reader := get(azcontainerregistry.NewDigestValidationReader(digest, found.BlobData))
	content, err := io.ReadAll(reader)
	is(err, io.ErrUnexpectedEOF)
	same(string(content), "cut sho", "what arrived")
}

// otherManifestPut should be an error.
func otherManifestPut(r registry) {
	index := encode(object{"schemaVersion": 2, "mediaType": ociIndex, "manifests": []any{}})
	stored := get(r.tryPut("go/stored", "v1", ociIndex, index))
	same(*stored.DockerContentDigest, otherDigest, "digest")
}

// otherBlobUploaded should be an error.
func otherBlobUploaded(r registry) {
	u := r.start("go/stored")
	u.send([]byte("layer"), 0, 5)
	stored := get(r.blobs.CompleteUpload(u.ctx, u.location, u.calculator, nil))
	same(*stored.DockerContentDigest, otherDigest, "digest")
}

func validation(registry) {
	content := noise(100_000)
	for _, source := range []io.Reader{
		bytes.NewReader(content), iotest.OneByteReader(bytes.NewReader(content)), iotest.DataErrReader(bytes.NewReader(content)),
	} {
		reader := get(azcontainerregistry.NewDigestValidationReader(digestOf(content), source))
		same(string(get(io.ReadAll(reader))), string(content), "content")
	}
	reader := get(azcontainerregistry.NewDigestValidationReader(digestOf([]byte("this")), strings.NewReader("that")))
	is(failure(io.ReadAll(reader)), azcontainerregistry.ErrMismatchedHash)
	reader = get(azcontainerregistry.NewDigestValidationReader(digestOf(nil), iotest.ErrReader(io.ErrClosedPipe)))
	is(failure(io.ReadAll(reader)), io.ErrClosedPipe)
	for _, digest := range []string{"sha512:" + strings.Repeat("0", 128), "", "no digest"} {
		is(failure(azcontainerregistry.NewDigestValidationReader(digest, nil)), azcontainerregistry.ErrDigestAlgNotSupported)
	}
}
