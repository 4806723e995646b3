package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand"
	"net/http"
	"reflect"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/containers/azcontainerregistry"
)

const chunk = 4 << 20

func noise(length int) []byte {
	content := make([]byte, length)
	get(rand.New(rand.NewSource(1)).Read(content))
	return content
}

// upload is a session with what the SDK needs for its next step.
type upload struct {
	registry
	ctx        context.Context
	location   string
	id         string
	calculator *azcontainerregistry.BlobDigestCalculator
}

func (r registry) start(repository string) *upload {
	ctx := context.Background()
	started := get(r.blobs.StartUpload(ctx, repository, nil))
	same(*started.Range, "0-0", "range")
	return &upload{r, ctx, *started.Location, *started.DockerUploadUUID, azcontainerregistry.NewBlobDigestCalculator()}
}

// try sends a chunk that starts there, or wherever the session is if that is negative.
func (u *upload) try(content []byte, start int) (azcontainerregistry.BlobClientUploadChunkResponse, error) {
	var options *azcontainerregistry.BlobClientUploadChunkOptions
	if start >= 0 {
		options = &azcontainerregistry.BlobClientUploadChunkOptions{
			RangeStart: to.Ptr(int32(start)), RangeEnd: to.Ptr(int32(start + len(content) - 1)),
		}
	}
	return u.blobs.UploadChunk(u.ctx, u.location, bytes.NewReader(content), u.calculator, options)
}

// send sends a chunk, after which the session has so many bytes.
func (u *upload) send(content []byte, start, received int) {
	sent := get(u.try(content, start))
	same(*sent.Range, fmt.Sprintf("0-%d", received-1), "range")
	same(*sent.DockerUploadUUID, u.id, "session")
	u.location = *sent.Location
}

func (u *upload) complete(repository string, content []byte) string {
	stored, digest := get(u.blobs.CompleteUpload(u.ctx, u.location, u.calculator, nil)), digestOf(content)
	same(*stored.DockerContentDigest, digest, "digest")
	same(*stored.Location, "/v2/"+repository+"/blobs/"+digest, "location")
	return digest
}

// upload sends content in one session, in chunks.
func (r registry) upload(repository string, content []byte) string {
	u := r.start(repository)
	for start := 0; start < len(content); start += chunk {
		end := min(start+chunk, len(content))
		u.send(content[start:end], start, end)
	}
	return u.complete(repository, content)
}

func uploadWithoutRanges(r registry) {
	u, content := r.start("go/unranged"), noise(3000)
	for end := 1000; end <= 3000; end += 1000 {
		u.send(content[end-1000:end], -1, end)
	}
	digest := u.complete("go/unranged", content)
	same(*get(r.blobs.CheckBlobExists(u.ctx, "go/unranged", digest, nil)).ContentLength, int64(3000), "length")
	sent := ours.asked("upload_chunk", "go/unranged")
	same(fmt.Sprint(sent[0].BodyBytes, sent[1].BodyBytes, sent[2].BodyBytes, len(sent)), "1000 1000 1000 3", "chunks that were sent")
}

func session(r registry) {
	u := r.start("go/content")
	same(*get(r.blobs.GetUploadStatus(u.ctx, u.location, nil)).Range, "0-0", "range")
	u.send(noise(100), -1, 100)
	status := get(r.blobs.GetUploadStatus(u.ctx, u.location, nil))
	same(*status.Range+" "+*status.DockerUploadUUID, "0-99 "+u.id, "status")
	get(r.blobs.CancelUpload(u.ctx, u.location, nil))
	refused(failure(r.blobs.GetUploadStatus(u.ctx, u.location, nil)), 404, "BLOB_UPLOAD_UNKNOWN")
}

// endedSession tries everything on a session that is no more.
func endedSession(r registry) {
	cancelled, completed := r.start("go/content"), r.start("go/content")
	get(r.blobs.CancelUpload(cancelled.ctx, cancelled.location, nil))
	completed.send([]byte("completed"), 0, 9)
	completed.complete("go/content", []byte("completed"))
	for _, u := range []*upload{cancelled, completed} {
		refused(failure(u.try([]byte("more"), -1)), 404, "BLOB_UPLOAD_UNKNOWN")
		refused(failure(r.blobs.GetUploadStatus(u.ctx, u.location, nil)), 404, "BLOB_UPLOAD_UNKNOWN")
		refused(failure(r.blobs.CompleteUpload(u.ctx, u.location, u.calculator, nil)), 404, "BLOB_UPLOAD_UNKNOWN")
		refused(failure(r.blobs.CancelUpload(u.ctx, u.location, nil)), 404, "BLOB_UPLOAD_UNKNOWN")
	}
}

// wrongOffset leaves the session, and what the SDK counted so far, as they were.
func wrongOffset(r registry) {
	u, content := r.start("go/content"), noise(2000)
	refused(failure(u.try(content[:1000], 500)), 416, "BLOB_UPLOAD_RANGE_INVALID")
	u.send(content[:1000], 0, 1000)
	for _, start := range []int{0, 999, 1001} {
		answer := refused(failure(u.try(content[1000:], start)), 416, "")
		same(answer.RawResponse.Header.Get("Range"), "0-999", "range")
	}
	u.send(content[1000:], 1000, 2000)
	u.complete("go/content", content)
}

func wrongDigest(r registry) {
	u := r.start("go/content")
	u.send([]byte("this"), 0, 4)
	other := azcontainerregistry.NewBlobDigestCalculator()
	refused(failure(r.blobs.CompleteUpload(u.ctx, u.location, other, nil)), 400, "DIGEST_INVALID")
	refused(failure(r.blobs.CheckBlobExists(u.ctx, "go/content", digestOf([]byte("this")), nil)), 404, "")
}

func emptyBlob(r registry) {
	u := r.start("go/empty")
	digest := u.complete("go/empty", nil)
	same(*get(r.blobs.CheckBlobExists(u.ctx, "go/empty", digest, nil)).ContentLength, int64(0), "length")
	same(len(r.download("go/empty", digest)), 0, "length")
	answer := refused(failure(r.blobs.GetChunk(u.ctx, "go/empty", digest, "bytes=0-9", nil)), 416, "")
	says(answer, "InvalidRange")
}

func mount(r registry) {
	content := noise(1000)
	digest, ctx := r.upload("go/mounted-from", content), context.Background()
	mounted := get(r.blobs.MountBlob(ctx, "go/mounted-to", "go/mounted-from", digest, nil))
	same(*mounted.DockerContentDigest, digest, "digest")
	same(*mounted.Location, "/v2/go/mounted-to/blobs/"+digest, "location")
	same(mounted.DockerUploadUUID, nil, "session")
	same(string(r.download("go/mounted-to", digest)), string(content), "content")
	answer := refused(failure(r.blobs.MountBlob(ctx, "go/mounted-to", "go/mounted-from", "no-digest", nil)), 404, "")
	same(payload(answer), notFound, "body")
}

// mountAbsent gets a session instead, in which the blob can be sent.
func mountAbsent(r registry) {
	ctx, content := context.Background(), []byte("not there to be mounted")
	begun := get(r.blobs.MountBlob(ctx, "go/mounted-to", "go/mounted-from", digestOf(content), nil))
	same(begun.DockerContentDigest, nil, "digest")
	u := &upload{r, ctx, *begun.Location, *begun.DockerUploadUUID, azcontainerregistry.NewBlobDigestCalculator()}
	u.send(content, 0, len(content))
	u.complete("go/mounted-to", content)
}

// uploadsAtOnce shares one client between eight uploads, which sign in once.
func uploadsAtOnce(seen *called) {
	const client mark = "x-row-at-once"
	r := ours.connect(ours.token(), seen, client)
	atOnce(8, func(index int) {
		content := noise(50_000 + index)
		repository := fmt.Sprintf("go/at-once-%d", index)
		same(string(r.download(repository, r.upload(repository, content))), string(content), "content")
	})
	same(statuses(func() []entry { return ours.marked("exchange_entra_token", client) }, 1), "[200]", "exchanges")
	same(len(ours.marked("complete_upload", client)) >= 8, true, "uploads that were completed")
}

// lostAnswer should be able to go on where the registry is.
func lostAnswer(r registry) {
	u, content := r.start("go/lost"), noise(200)
	if _, err := u.try(content[:100], -1); err == nil {
		panic("the answer was not lost")
	}
	var answer *http.Response
	status := get(r.blobs.GetUploadStatus(policy.WithCaptureResponse(u.ctx, &answer), u.location, nil))
	same(*status.Range, "0-99", "range")
	told := answer.Header.Get("Location")
	same(told != "" && told != u.location, true, "a location of its own in the answer")
	_, known := reflect.TypeOf(status).FieldByName("Location")
	same(known, false, "whether the SDK gives it")
	refused(failure(u.try(content[100:], 100)), 416, "")
	u.location = told
	u.send(content[100:], 100, 200)
}
