package main

import (
	"context"
	"time"
)

func throttled(r registry) {
	ctx := context.Background()
	digest, _ := r.push("go/throttled", "v1", []byte("layer"))
	started := time.Now()
	found := get(r.GetTagProperties(persistent(ctx), "go/throttled", "v1", nil))
	same(*found.Tag.Digest, digest, "digest")
	same(time.Since(started) >= 2*time.Second, true, "waited as long as `Retry-After` says")
	same(statuses(func() []entry {
		return ours.find(func(found entry) bool {
			return found.Operation == "tag_properties" && found.Authorized && isOf(found, "go/throttled")
		})
	}, 4), "[429 429 401 200]", "answers, one of them to a token for another scope")
}

func throttledForGood(r registry) {
	ctx := context.Background()
	r.push("go/throttled", "v1", []byte("layer"))
	asked := func() int { return len(ours.asked("repository_properties", "go/throttled")) }
	refused(failure(r.GetRepositoryProperties(ctx, "go/throttled", nil)), 429, "TOOMANYREQUESTS")
	before := asked()
	refused(failure(r.GetRepositoryProperties(persistent(ctx), "go/throttled", nil)), 429, "TOOMANYREQUESTS")
	same(asked()-before, 4, "tries")
}

func throttledExchange(seen *called) {
	const client mark = "x-row-throttled-exchange"
	r := ours.connect(ours.token(), seen, client)
	get(r.GetRepositoryProperties(persistent(context.Background()), public, nil))
	same(statuses(func() []entry { return ours.marked("exchange_entra_token", client) }, 2), "[429 200]", "exchanges")
}

// chunkAgain has one chunk refused after all of it arrived, which is then sent again.
func chunkAgain(r registry) {
	u, content := r.start("go/again"), noise(2*chunk)
	u.ctx = persistent(u.ctx)
	u.send(content[:chunk], 0, chunk)
	u.send(content[chunk:], chunk, 2*chunk)
	u.complete("go/again", content)
	same(statuses(func() []entry { return ours.asked("upload_chunk", "go/again") }, 3), "[503 202 202]", "chunks")
}

// chunkTwice should count what it sent before the answer once. The registry has the right bytes:
// the calculator of an upload without trouble completes it, this one's completes neither.
func chunkTwice(r registry) {
	content := noise(32 << 20)
	u, other := r.start("go/twice"), r.start("go/once")
	u.ctx = persistent(u.ctx)
	u.send(content, 0, len(content))
	other.send(content, 0, len(content))
	refused(failure(r.blobs.CompleteUpload(u.ctx, other.location, u.calculator, nil)), 400, "DIGEST_INVALID")
	u.calculator = other.calculator
	u.complete("go/twice", content)
}

func noJSON(r registry) {
	r.push("go/garbled", "v1", []byte("layer"))
	err := failure(r.GetTagProperties(context.Background(), "go/garbled", "v1", nil))
	says(err, "invalid character '<'")
}

func contextEnds(r registry) {
	r.push("go/slow", "v1", []byte("layer"))
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	for _, err := range []error{
		failure(r.GetRepositoryProperties(ended, public, nil)),
		failure(r.NewListRepositoriesPager(nil).NextPage(ended)),
		failure(r.blobs.StartUpload(ended, public, nil)),
		failure(r.blobs.GetBlob(ended, public, digestOf(publicLayer), nil)),
	} {
		is(err, context.Canceled)
	}
	started := time.Now()
	short, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	is(failure(r.GetRepositoryProperties(persistent(short), "go/slow", nil)), context.DeadlineExceeded)
	same(time.Since(started) < 2*time.Second, true, "ended in time")
}

// uploadContextEnds leaves a session that can be gone on with.
func uploadContextEnds(r registry) {
	u, content := r.start("go/content"), []byte("sent in two goes")
	u.send(content[:7], 0, 7)
	ctx := u.ctx
	ended, cancel := context.WithCancel(ctx)
	cancel()
	u.ctx = ended
	is(failure(u.try(content[7:], 7)), context.Canceled)
	u.ctx = ctx
	u.send(content[7:], 7, len(content))
	u.complete("go/content", content)
}
