// Every operation of azcontainerregistry against acr-emulator.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"
)

func main() {
	seen, rows := &called{methods: map[string]bool{}}, newRows()
	r := ours.connect(ours.token(), seen)
	anonymous := ours.connect(nil, seen)
	impostor := ours.connect(token("somebody else's token"), seen)
	with := func(attempt func(registry)) func() { return func() { attempt(r) } }
	alone := func(attempt func(*called)) func() { return func() { attempt(seen) } }

	rows.pass("list repositories by pages of 2", with(listRepositories))
	rows.pass("list tags by pages of 2, and by time", with(listTags))
	rows.pass("list manifests by pages of 2, by time", with(listManifests))
	rows.pass("go on with a list after an item", with(listsGoOn))
	rows.pass("list the tags of one manifest", with(listTagsOfManifest))
	rows.defect("list the tags of one manifest by pages of 2",
		"gives tags of other manifests from the second page on: the registry's link forgets `digest`, and NewListTagsPager (client.go) follows it as it is",
		with(listTagsOfManifestByPages))
	rows.pass("list what is empty, and what is absent: 404", with(listsOfNothing))
	rows.pass("leave out of lists what is not to be listed", with(unlisted))

	rows.pass("get and update repository properties", with(repositoryProperties))
	rows.pass("get and update tag properties, locked tag", with(tagProperties))
	rows.pass("get and update manifest properties", with(manifestProperties))
	rows.pass("update nothing", with(nothingToChange))
	rows.pass("get and update what is absent: 404", with(absentProperties))
	rows.pass("ask for malformed names: 404", with(malformed))
	rows.pass("refuse empty names without asking", with(emptyArguments))

	rows.pass("push over a locked tag: 405", with(pushOverLockedTag))
	rows.pass("delete a locked manifest: 405", with(deleteLockedManifest))
	rows.pass("read what is locked for reading: 405", with(readLocked))
	rows.pass("push to and delete a locked repository: 405", with(lockedRepository))

	rows.pass("delete a tag, also an absent one", with(deleteTag))
	rows.pass("delete a manifest, also an absent one", with(deleteManifest))
	rows.pass("delete a manifest by its tag: 405", with(deleteManifestByTag))
	rows.pass("delete a repository, also an absent one", with(deleteRepository))
	rows.pass("delete a blob, also an absent one", with(deleteBlob))

	rows.pass("put a manifest, get it by tag and digest", with(manifests))
	rows.pass("get an absent manifest: 404", with(absentManifests))
	rows.pass("put and get an index", with(index))
	rows.pass("put and get Docker's images, one of a list", with(dockerImages))
	rows.pass("put and get an artifact with types of its own", with(artifact))
	rows.pass("get a manifest whose type is not accepted: 404", with(typeNotAccepted))
	rows.pass("put a manifest without its layers: 400", with(missingLayer))
	rows.pass("put a manifest of another digest or type: 400", with(badManifests))

	rows.pass("upload and download a blob in chunks", with(blobs))
	rows.pass("upload chunks without their ranges", with(uploadWithoutRanges))
	rows.pass("upload and download an empty blob", with(emptyBlob))
	rows.pass("upload eight blobs at once", alone(uploadsAtOnce))
	rows.pass("ask how far an upload got, cancel it", with(session))
	rows.pass("go on with an upload that has ended: 404", with(endedSession))
	rows.pass("upload from a wrong offset: 416, then the right one", with(wrongOffset))
	rows.pass("complete an upload with another digest: 400", with(wrongDigest))
	rows.defect("go on with an upload whose answer was lost",
		"GetUploadStatus leaves out the `Location` of the answer (getUploadStatusHandleResponse in blob_client.go), which alone has the new state",
		with(lostAnswer))
	rows.pass("mount a blob", with(mount))
	rows.pass("mount an absent blob: upload it instead", with(mountAbsent))
	rows.pass("download parts of a blob, past its end: 416", with(parts))
	rows.pass("check and download an absent blob: 404", with(absentBlobs))
	rows.defect("tell the digest of a blob that is read",
		"BlobClientGetBlobResponse.DockerContentDigest is always nil: the registry tells it in the redirect, storage does not, and getBlobHandleResponse (blob_client.go) looks there",
		with(blobDigest))

	rows.pass("notice another digest of a manifest that is read", with(otherManifestRead))
	rows.pass("notice other bytes of a blob that is read", with(otherBlobRead))
	rows.pass("notice a blob that ends early", with(shortBlobRead))
	rows.defect("notice another digest of a manifest that was put",
		"UploadManifest (client.go) gives the digest that the registry tells and does not compare it",
		with(otherManifestPut))
	rows.defect("notice another digest of a blob that was uploaded",
		"CompleteUpload (blob_custom_client.go) gives the digest that the registry tells and does not compare it with the calculator's",
		with(otherBlobUploaded))
	rows.pass("validate what is read, in pieces, by sha256 only", with(validation))
	rows.defect("tell the registry's error code",
		"azcore reads `error.code` and `x-ms-error-code` (azcore/internal/exported/response_error.go); the registry sends `errors[].code`",
		with(errorCode))

	rows.pass("exchange tokens", with(exchange))
	rows.pass("exchange for an anonymous token", with(anonymousToken))
	rows.pass("exchange wrong tokens: 401, for another registry: 400", with(refuseExchange))
	rows.pass("ask the credential for the cloud's audience", alone(audience))
	rows.pass("tell the credential's error", alone(credentialFails))
	rows.pass("list anonymously", func() { anonymousLists(r, anonymous) })
	rows.pass("read anonymously", func() { anonymousReads(r, anonymous) })
	rows.pass("write anonymously: 401", func() { writes(r, anonymous) })
	rows.pass("read a private registry anonymously: 401", func() { privately(private.connect(nil, seen)) })
	rows.pass("sign in with a wrong token: 401", func() { wrongToken(r, impostor) })
	rows.pass("keep tokens from call to call", alone(keepTokens))
	rows.pass("go on when the access token ends in mid-upload", alone(tokenEnds))
	rows.pass("exchange anew when the refresh token has ended", alone(refreshTokenEnds))
	rows.defect("exchange anew when the refresh token is refused",
		"getAccessToken (authentication_policy.go) keeps a refresh token that `/oauth2/token` answers with 401: every call fails until it ends, hours later",
		alone(refreshTokenRefused))
	rows.defect("read a refresh token with `_` in it",
		"getJWTExpireTime (authentication_policy.go) reads tokens, which are base64url, with base64.StdEncoding: every call fails",
		alone(oddToken))

	rows.pass("wait and try again when throttled: 429", with(throttled))
	rows.pass("give up when throttled for good: 429", with(throttledForGood))
	rows.pass("wait and exchange again when throttled: 429", alone(throttledExchange))
	rows.pass("send a chunk again after 503", with(chunkAgain))
	rows.defect("send a chunk again that was half sent",
		"what was sent before the answer is hashed again when azcore's retry sends it again (wrapReader in digest_helper.go; the state is restored for the caller's retries only): the upload ends in 400",
		with(chunkTwice))
	rows.pass("notice an answer that is no JSON", with(noJSON))
	rows.pass("stop when the context ends, or its time", with(contextEnds))
	rows.pass("go on with an upload that the context stopped", with(uploadContextEnds))

	rows.pass("read an image that we pushed", with(readOurs))
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
	err := failure(r.GetTagProperties(context.Background(), "go/absent", "absent", nil))
	same(refused(err, 404, "TAG_UNKNOWN").ErrorCode, "", "code")
}
