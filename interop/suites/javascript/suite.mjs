// Every operation of @azure/container-registry against acr-emulator.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { Readable } from "node:stream";

import { answered, bytesOf, digestOf, noise, pages, refused } from "./checks.mjs";
import { missing } from "./clients.mjs";
import { changedAnswers } from "./integrity.mjs";
import { OCI_INDEX, OCI_MANIFEST, content, push, registry } from "./parties.mjs";
import { rights } from "./rights.mjs";
import { attempt, failed } from "./rows.mjs";

const CHUNK = 4 * 1024 * 1024; // what the SDK sends in one request

await attempt("list repositories by pages of 2", async () => {
  for (const name of ["a", "b", "c"]) await push(`js/listed-${name}`, "v1");
  const found = await pages(registry.listRepositoryNames(), 2);
  assert.ok(found.length >= 2 && found.every((page) => page.length <= 2));
  const mine = found.flat().filter((name) => name.startsWith("js/listed-"));
  assert.deepEqual(mine, ["js/listed-a", "js/listed-b", "js/listed-c"]);
});

await attempt("list tags by pages of 2, and by time", async () => {
  for (const tag of ["one", "two", "three", "four", "five"]) await push("js/tags", tag, tag);
  const artifact = registry.getArtifact("js/tags", "one");
  const found = await pages(artifact.listTagProperties(), 2);
  assert.deepEqual(found.map((page) => page.length), [2, 2, 1]);
  const names = found.flat().map((tag) => tag.name);
  assert.deepEqual(names, ["five", "four", "one", "three", "two"]);
  const byTime = await pages(artifact.listTagProperties({ order: "LastUpdatedOnAscending" }), 100);
  const ordered = byTime.flat().map((tag) => tag.name);
  assert.deepEqual(ordered, ["one", "two", "three", "four", "five"]);
  const back = await pages(artifact.listTagProperties({ order: "LastUpdatedOnDescending" }), 100);
  assert.deepEqual(back.flat().map((tag) => tag.name), ordered.reverse());
});

await attempt("list manifests by pages of 2, by time", async () => {
  const digests = [];
  for (const layer of ["1", "2", "3", "4", "5"]) {
    digests.push((await push("js/manifests", undefined, layer)).digest);
  }
  const repository = registry.getRepository("js/manifests");
  const list = repository.listManifestProperties({ order: "LastUpdatedOnAscending" });
  const found = await pages(list, 2);
  assert.deepEqual(found.map((page) => page.length), [2, 2, 1]);
  assert.deepEqual(found.flat().map((manifest) => manifest.digest), digests);
});

await attempt("go on with a list by its token", async () => {
  for (const tag of ["one", "two", "three"]) await push("js/resumed", tag, tag);
  const list = registry.getArtifact("js/resumed", "one").listTagProperties();
  const { value: first } = await list.byPage({ maxPageSize: 2 }).next();
  assert.deepEqual(first.map((tag) => tag.name), ["one", "three"]);
  const left = [];
  for await (const page of list.byPage({ continuationToken: first.continuationToken })) {
    left.push(...page.map((tag) => tag.name));
  }
  assert.deepEqual(left, ["two"]);
});

/** Times in their order, of today. */
function recent({ createdOn, lastUpdatedOn }) {
  assert.ok(createdOn > Date.now() - 86_400_000 && createdOn <= lastUpdatedOn);
  assert.ok(lastUpdatedOn < Date.now() + 60_000);
}

await attempt("get and update repository properties", async () => {
  await push("js/properties", "v1");
  const repository = registry.getRepository("js/properties");
  const found = await repository.getProperties();
  assert.deepEqual(
    [found.name, found.manifestCount, found.tagCount, found.canWrite],
    ["js/properties", 1, 1, true],
  );
  recent(found);
  for (const canWrite of [false, true]) {
    const changed = await repository.updateProperties({ canWrite });
    assert.deepEqual([changed.canWrite, changed.canDelete], [canWrite, true]);
  }
});

await attempt("get and update tag properties, locked tag", async () => {
  const { digest } = await push("js/properties", "v1");
  const artifact = registry.getRepository("js/properties").getArtifact("v1");
  const found = await artifact.getTagProperties("v1");
  assert.deepEqual([found.name, found.digest], ["v1", digest]);
  recent(found);
  const locked = await artifact.updateTagProperties("v1", { canDelete: false });
  assert.deepEqual([locked.canDelete, locked.canWrite], [false, true]);
  await refused(artifact.deleteTag("v1"), 405);
  await artifact.updateTagProperties("v1", { canDelete: true });
  await refused(artifact.getTagProperties("absent"), 404);
});

await attempt("get and update manifest properties", async () => {
  const { digest, document } = await push("js/properties", "v2", "another layer");
  const size = document.config.size + document.layers[0].size;
  for (const reference of ["v2", digest]) {
    const artifact = registry.getArtifact("js/properties", reference);
    const found = await artifact.getManifestProperties();
    assert.deepEqual([found.digest, found.tags, found.architecture], [digest, ["v2"], "amd64"]);
    assert.deepEqual([found.operatingSystem, found.sizeInBytes], ["linux", size]);
    recent(found);
    for (const canRead of [false, true]) {
      const changed = await artifact.updateManifestProperties({ canRead });
      assert.deepEqual([changed.canRead, changed.canList], [canRead, true]);
    }
  }
});

await attempt("tell the full name of a manifest", async () => {
  const { digest } = await push("js/properties", "v2", "another layer");
  const host = new URL(process.env.ACR_ENDPOINT).hostname;
  for (const [reference, end] of [["v2", ":v2"], [digest, `@${digest}`]]) {
    const artifact = registry.getArtifact("js/properties", reference);
    assert.equal(artifact.fullyQualifiedReference, `${host}/js/properties${end}`);
  }
});

await attempt("push over a locked tag: 405", async () => {
  const { digest } = await push("js/locked", "kept");
  const artifact = registry.getArtifact("js/locked", "kept");
  await artifact.updateTagProperties("kept", { canWrite: false });
  await refused(push("js/locked", "kept", "another"), 405);
  assert.equal((await content("js/locked").getManifest("kept")).digest, digest);
  await artifact.updateTagProperties("kept", { canWrite: true });
  const changed = await push("js/locked", "kept", "another");
  assert.equal((await content("js/locked").getManifest("kept")).digest, changed.digest);
});

await attempt("delete a tag, also an absent one", async () => {
  const { digest } = await push("js/deleted", "gone");
  const artifact = registry.getArtifact("js/deleted", digest);
  await artifact.deleteTag("gone");
  await refused(artifact.getTagProperties("gone"), 404);
  assert.equal((await artifact.getManifestProperties()).digest, digest);
  // The SDK takes a 404 for success.
  await artifact.deleteTag("gone");
});

await attempt("delete a manifest, also an absent one", async () => {
  const one = (await push("js/deleted", undefined, "one")).digest;
  const two = (await push("js/deleted", "by-tag", "two")).digest;
  await push("js/deleted", "stays", "stays");
  await content("js/deleted").deleteManifest(one);
  await registry.getArtifact("js/deleted", "by-tag").delete();
  for (const digest of [one, two]) {
    await refused(registry.getArtifact("js/deleted", digest).getManifestProperties(), 404);
  }
  await content("js/deleted").deleteManifest(one);
  await registry.getArtifact("js/deleted", two).delete();
});

await attempt("delete the manifest of an absent tag: 404", async () => {
  await push("js/deleted", "stays", "stays");
  await refused(registry.getArtifact("js/deleted", "absent").delete(), 404);
});

await attempt("delete a locked manifest: 405", async () => {
  const { digest } = await push("js/locked", "v1");
  const artifact = registry.getArtifact("js/locked", digest);
  await artifact.updateManifestProperties({ canDelete: false, canWrite: false });
  await refused(content("js/locked").deleteManifest(digest), 405);
  await artifact.updateManifestProperties({ canDelete: true, canWrite: true });
  await content("js/locked").deleteManifest(digest);
});

await attempt("delete a repository, also an absent one", async () => {
  await push("js/whole", "v1");
  await registry.getRepository("js/whole").delete();
  await refused(registry.getRepository("js/whole").getProperties(), 404);
  await registry.deleteRepository("js/whole");
});

await attempt("put a manifest, get it by tag and digest", async () => {
  const { digest, document } = await push("js/content", "v1", "content");
  for (const reference of ["v1", digest]) {
    const found = await content("js/content").getManifest(reference);
    assert.deepEqual([found.digest, found.mediaType], [digest, OCI_MANIFEST]);
    assert.equal(found.content.toString(), JSON.stringify(document));
  }
  await refused(content("js/content").getManifest("absent"), 404);
});

await attempt("put and get an index", async () => {
  const { digest, document } = await push("js/content", undefined, "content");
  const platform = { architecture: "amd64", os: "linux" };
  const size = JSON.stringify(document).length;
  const child = { mediaType: OCI_MANIFEST, digest, size, platform };
  const index = JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [child] });
  const client = content("js/content");
  await client.setManifest(Buffer.from(index), { tag: "multi", mediaType: OCI_INDEX });
  const found = await client.getManifest("multi");
  assert.deepEqual([found.mediaType, found.content.toString()], [OCI_INDEX, index]);
});

await attempt("put a manifest without its layers: 400", async () => {
  const { document } = await push("js/content", "v1", "content");
  document.layers[0].digest = digestOf("never pushed");
  const bad = content("js/content").setManifest(document, { tag: "bad" });
  const { response } = await refused(bad, 400);
  assert.equal(JSON.parse(response.bodyAsText).errors[0].code, "MANIFEST_BLOB_UNKNOWN");
});

await attempt("upload and download a blob in chunks", async () => {
  const bytes = noise(2 * CHUNK + 17);
  const client = content("js/chunks");
  const blob = await client.uploadBlob(bytes);
  assert.deepEqual([blob.digest, blob.sizeInBytes], [digestOf(bytes), bytes.length]);
  const found = await client.downloadBlob(blob.digest);
  assert.equal(found.digest, blob.digest);
  assert.ok((await bytesOf(found.content)).equals(bytes), "other bytes came back");
  const sent = () => answered("upload_chunk", 202, "js/chunks").map((entry) => entry.body_bytes);
  assert.deepEqual(sent(), [CHUNK, CHUNK, 17]);
  // A stream of other pieces is sent in the same chunks.
  const pieces = Readable.from([bytes.subarray(0, 5), bytes.subarray(5)]);
  assert.deepEqual(await client.uploadBlob(pieces), blob);
  assert.deepEqual(sent(), [CHUNK, CHUNK, 17, CHUNK, CHUNK, 17]);
});

await attempt("delete a blob, also an absent one", async () => {
  const client = content("js/content");
  const { digest } = await client.uploadBlob(Buffer.from("to be deleted"));
  await client.deleteBlob(digest);
  await refused(client.downloadBlob(digest), 404);
  await client.deleteBlob(digest);
});

await attempt("upload and download an empty blob", async () => {
  const client = content("js/content");
  const blob = await client.uploadBlob(Buffer.alloc(0));
  assert.deepEqual([blob.digest, blob.sizeInBytes], [digestOf(""), 0]);
  const found = await client.downloadBlob(blob.digest);
  assert.equal((await bytesOf(found.content)).length, 0);
});

await changedAnswers();
await rights();

await attempt("read an image that we pushed", async () => {
  const client = content(process.env.OURS_REPOSITORY);
  const { digest, manifest } = await client.getManifest("v1");
  assert.equal(digest, process.env.OURS_DIGEST);
  for (const part of [manifest.config, ...manifest.layers]) {
    const bytes = await bytesOf((await client.downloadBlob(part.digest)).content);
    assert.deepEqual([digestOf(bytes), bytes.length], [part.digest, part.size]);
  }
});

writeFileSync(process.env.THEIRS_DIGEST, (await push("js/theirs", "v1")).digest);

await attempt("every public operation was called", async () => {
  assert.deepEqual(missing(), []);
});

console.log(failed.join("\n") || "all as expected");
process.exitCode = failed.length > 0 ? 1 : 0;
