package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/containers/azcontainerregistry"
)

const (
	ociManifest    = "application/vnd.oci.image.manifest.v1+json"
	ociIndex       = "application/vnd.oci.image.index.v1+json"
	ociConfig      = "application/vnd.oci.image.config.v1+json"
	ociLayer       = "application/vnd.oci.image.layer.v1.tar"
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
	dockerConfig   = "application/vnd.docker.container.image.v1+json"
	dockerLayer    = "application/vnd.docker.image.rootfs.diff.tar"
	config         = `{"architecture":"amd64","os":"linux"}`
)

func digestOf(content []byte) string {
	return fmt.Sprintf("sha256:%x", sha256.Sum256(content))
}

func accepting(mediaTypes string) *azcontainerregistry.ClientGetManifestOptions {
	return &azcontainerregistry.ClientGetManifestOptions{Accept: &mediaTypes}
}

type object map[string]any

func encode(value any) []byte { return get(json.Marshal(value)) }

func descriptor(mediaType string, content []byte) object {
	return object{"mediaType": mediaType, "digest": digestOf(content), "size": len(content)}
}

// image uploads the parts of an image with one layer; gives its manifest.
func (r registry) image(repository, mediaType, configType, layerType string, layer []byte) []byte {
	r.upload(repository, []byte(config))
	r.upload(repository, layer)
	return encode(object{
		"schemaVersion": 2,
		"mediaType":     mediaType,
		"config":        descriptor(configType, []byte(config)),
		"layers":        []any{descriptor(layerType, layer)},
	})
}

// push stores an image with one layer; gives its digest and manifest.
func (r registry) push(repository, reference string, layer []byte) (string, []byte) {
	manifest := r.image(repository, ociManifest, ociConfig, ociLayer, layer)
	if reference == "" {
		reference = digestOf(manifest)
	}
	return r.put(repository, reference, ociManifest, manifest), manifest
}

func (r registry) tryPut(repository, reference, mediaType string, manifest []byte) (azcontainerregistry.ClientUploadManifestResponse, error) {
	body := streaming.NopCloser(bytes.NewReader(manifest))
	return r.UploadManifest(context.Background(), repository, reference, azcontainerregistry.ContentType(mediaType), body, nil)
}

func (r registry) put(repository, reference, mediaType string, manifest []byte) string {
	stored, digest := get(r.tryPut(repository, reference, mediaType, manifest)), digestOf(manifest)
	same(*stored.DockerContentDigest, digest, "digest")
	same(*stored.Location, "/v2/"+repository+"/manifests/"+digest, "location")
	same(*stored.ContentLength, int64(0), "length")
	return digest
}

// read gives a manifest and the digest that the registry tells.
func (r registry) read(repository, reference string, accept *azcontainerregistry.ClientGetManifestOptions) (string, string) {
	found := get(r.GetManifest(context.Background(), repository, reference, accept))
	content := get(io.ReadAll(found.ManifestData))
	must(found.ManifestData.Close())
	return string(content), *found.DockerContentDigest
}

// digest gives the digest of an image.
func (r registry) digest(repository, reference string) string {
	_, digest := r.read(repository, reference, accepting(ociManifest))
	return digest
}

func manifests(r registry) {
	digest, manifest := r.push("go/content", "v1", []byte("content"))
	ctx := context.Background()
	for _, reference := range []string{"v1", digest} {
		found := get(r.GetManifest(ctx, "go/content", reference, accepting(ociManifest)))
		same(*found.DockerContentDigest, digest, "digest")
		reader := get(azcontainerregistry.NewDigestValidationReader(digest, found.ManifestData))
		same(string(get(io.ReadAll(reader))), string(manifest), "manifest")
	}
	moved, _ := r.push("go/content", "v1", []byte("moved"))
	same(r.digest("go/content", "v1"), moved, "digest of the tag that was moved")
	same(r.digest("go/content", digest), digest, "digest of what it pointed to")
}

func absentManifests(r registry) {
	ctx, digest := context.Background(), digestOf([]byte("absent"))
	for _, repository := range []string{"go/content", "go/absent"} {
		answer := refused(failure(r.GetManifest(ctx, repository, "absent", nil)), 404, "MANIFEST_UNKNOWN")
		says(answer, `manifest tagged by \"absent\" is not found`)
		answer = refused(failure(r.GetManifest(ctx, repository, digest, nil)), 404, "MANIFEST_UNKNOWN")
		says(answer, "manifest "+digest+" is not found")
	}
}

// index pushes two images and what lists them; gives the digests of the images, and the index.
func (r registry) index(repository, tag, mediaType, child string, parts ...string) ([]string, []byte) {
	var digests []string
	var children []any
	for _, architecture := range []string{"arm64", "amd64"} {
		manifest := r.image(repository, child, parts[0], parts[1], []byte(architecture))
		digests = append(digests, r.put(repository, digestOf(manifest), child, manifest))
		entry := descriptor(child, manifest)
		entry["platform"] = object{"architecture": architecture, "os": "linux"}
		children = append(children, entry)
	}
	index := encode(object{"schemaVersion": 2, "mediaType": mediaType, "manifests": children})
	r.put(repository, tag, mediaType, index)
	return digests, index
}

func index(r registry) {
	children, index := r.index("go/index", "multi", ociIndex, ociManifest, ociConfig, ociLayer)
	content, digest := r.read("go/index", "multi", accepting(ociManifest+", "+ociIndex))
	same(content, string(index), "index")
	same(digest, digestOf(index), "digest")
	found := get(r.GetManifestProperties(context.Background(), "go/index", digest, nil)).Manifest
	same(*found.MediaType, ociIndex, "media type")
	same(fmt.Sprint(found.Architecture, found.OperatingSystem, found.ConfigMediaType), "<nil> <nil> <nil>", "what only images have")
	related := ""
	for _, child := range found.RelatedArtifacts {
		related += fmt.Sprintln(*child.Digest, *child.Architecture, *child.OperatingSystem)
	}
	same(related, children[0]+" arm64 linux\n"+children[1]+" amd64 linux\n", "related artifacts")
	get(r.DeleteManifest(context.Background(), "go/index", children[0], nil))
	_, digest = r.read("go/index", "multi", accepting(ociIndex))
	same(digest, digestOf(index), "digest of an index that lost a child")
}

func dockerImages(r registry) {
	children, list := r.index("go/docker", "multi", dockerList, dockerManifest, dockerConfig, dockerLayer)
	content, digest := r.read("go/docker", "multi", accepting(dockerList))
	same(content+digest, string(list)+digestOf(list), "list")
	found := get(r.GetManifestProperties(context.Background(), "go/docker", children[1], nil)).Manifest
	same(*found.MediaType+" "+*found.ConfigMediaType, dockerManifest+" "+dockerConfig, "media types")
	// Without a type the SDK asks for JSON, and gets an image of the list.
	_, digest = r.read("go/docker", "multi", nil)
	same(digest, children[1], "digest of the image for amd64")
	_, digest = r.read("go/docker", digestOf(list), nil)
	same(digest, digestOf(list), "digest of the list by its digest")
}

func artifact(r registry) {
	subject, image := r.push("go/artifact", "v1", []byte("layer"))
	const kind, part = "application/vnd.example.report.v1", "application/vnd.example.report.part.v1+json"
	r.upload("go/artifact", []byte("{}"))
	r.upload("go/artifact", []byte(`{"found":0}`))
	manifest := encode(object{
		"schemaVersion": 2,
		"mediaType":     ociManifest,
		"artifactType":  kind,
		"config":        descriptor(kind, []byte("{}")),
		"layers":        []any{descriptor(part, []byte(`{"found":0}`))},
		"subject":       object{"mediaType": ociManifest, "digest": subject, "size": len(image)},
		"annotations":   object{"org.example.note": "ünïcode / <&>"},
	})
	digest := r.put("go/artifact", digestOf(manifest), ociManifest, manifest)
	content, told := r.read("go/artifact", digest, accepting(ociManifest))
	same(content, string(manifest), "manifest")
	same(told, digest, "digest")
	found := get(r.GetManifestProperties(context.Background(), "go/artifact", digest, nil)).Manifest
	same(*found.ConfigMediaType, kind, "config's media type")
	same(fmt.Sprint(found.Architecture, found.OperatingSystem, found.Tags), "<nil> <nil> []", "what it lacks")
	same(*found.Size, int64(len("{}")+len(`{"found":0}`)), "size")
}

func typeNotAccepted(r registry) {
	ctx := context.Background()
	r.push("go/content", "v1", []byte("content"))
	answer := refused(failure(r.GetManifest(ctx, "go/content", "v1", nil)), 404, "MANIFEST_UNKNOWN")
	says(answer, "OCI manifest found, but accept header does not support OCI manifests")
	answer = refused(failure(r.GetManifest(ctx, "go/index", "multi", accepting(ociManifest))), 404, "MANIFEST_UNKNOWN")
	says(answer, "OCI index found, but accept header does not support OCI indexes")
	_, digest := r.read("go/content", "v1", accepting("*/*"))
	same(digest, r.digest("go/content", "v1"), "digest")
}

func missingLayer(r registry) {
	r.upload("go/content", []byte(config))
	manifest := encode(object{
		"schemaVersion": 2,
		"mediaType":     ociManifest,
		"config":        descriptor(ociConfig, []byte(config)),
		"layers":        []any{descriptor(ociLayer, []byte("never pushed"))},
	})
	_, err := r.tryPut("go/content", "bad", ociManifest, manifest)
	answer := refused(err, 400, "MANIFEST_BLOB_UNKNOWN")
	says(answer, digestOf([]byte("never pushed")))
	refused(failure(r.GetTagProperties(context.Background(), "go/content", "bad", nil)), 404, "TAG_UNKNOWN")
}

func badManifests(r registry) {
	_, manifest := r.push("go/content", "v1", []byte("content"))
	_, err := r.tryPut("go/content", digestOf([]byte("another")), ociManifest, manifest)
	refused(err, 400, "DIGEST_INVALID")
	_, err = r.tryPut("go/content", "bad", dockerList, manifest)
	refused(err, 400, "MANIFEST_INVALID")
	_, err = r.tryPut("go/content", "bad", ociManifest, []byte("no JSON"))
	refused(err, 400, "MANIFEST_INVALID")
	refused(failure(r.GetTagProperties(context.Background(), "go/content", "bad", nil)), 404, "TAG_UNKNOWN")
}

func readOurs(r registry) {
	ctx, repository := context.Background(), os.Getenv("OURS_REPOSITORY")
	content, digest := r.read(repository, "v1", accepting(ociManifest))
	same(digest, os.Getenv("OURS_DIGEST"), "digest")
	type part struct {
		Digest string
		Size   int64
	}
	var manifest struct {
		Config part
		Layers []part
	}
	must(json.Unmarshal([]byte(content), &manifest))
	for _, part := range append(manifest.Layers, manifest.Config) {
		blob := get(r.blobs.GetBlob(ctx, repository, part.Digest, nil))
		same(*blob.ContentLength, part.Size, "length")
		same(digestOf(get(io.ReadAll(blob.BlobData))), part.Digest, "digest")
	}
}
