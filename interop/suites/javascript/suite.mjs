// Every operation of @azure/container-registry against acr-emulator.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";

import { connect, missing } from "./clients.mjs";
import { attempt, failed } from "./rows.mjs";

const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
const OCI_INDEX = "application/vnd.oci.image.index.v1+json";
const CHUNK = 4 * 1024 * 1024; // what the SDK sends in one request

const { registry, content } = connect(process.env.ACR_ENTRA_TOKEN);
const nobody = connect(undefined);
const impostor = connect("somebody else's token");

const digestOf = (bytes) => "sha256:" + createHash("sha256").update(bytes).digest("hex");

/** Content that repeats nowhere and is the same in every run. */
function noise(length) {
  const blocks = [];
  for (let block = 0; block * 32 < length; block += 1) {
    blocks.push(createHash("sha256").update(String(block)).digest());
  }
  return Buffer.concat(blocks).subarray(0, length);
}

async function refused(promise, status) {
  const error = await promise.then(
    () => assert.fail(`no error, though ${status} was expected`),
    (error) => error,
  );
  assert.equal(error.statusCode, status, error.message);
  return error;
}

async function pages(list, size) {
  const found = [];
  for await (const page of list.byPage({ maxPageSize: size })) found.push([...page]);
  return found;
}

async function bytesOf(stream) {
  const pieces = [];
  for await (const piece of stream) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** An image with one layer; gives its digest and document. */
async function push(name, tag, layer = "layer") {
  const client = content(name);
  const descriptor = async (mediaType, text) => {
    const bytes = Buffer.from(text);
    const blob = await client.uploadBlob(bytes);
    assert.deepEqual([blob.digest, blob.sizeInBytes], [digestOf(bytes), bytes.length]);
    return { mediaType, digest: blob.digest, size: bytes.length };
  };
  const config = JSON.stringify({ architecture: "amd64", os: "linux" });
  const document = {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: await descriptor("application/vnd.oci.image.config.v1+json", config),
    layers: [await descriptor("application/vnd.oci.image.layer.v1.tar", layer)],
  };
  const { digest } = await client.setManifest(Buffer.from(JSON.stringify(document)), { tag });
  assert.equal(digest, digestOf(JSON.stringify(document)));
  return { digest, document };
}

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

await attempt("get and update repository properties", async () => {
  await push("js/properties", "v1");
  const repository = registry.getRepository("js/properties");
  const found = await repository.getProperties();
  assert.deepEqual(
    [found.name, found.manifestCount, found.tagCount, found.canWrite],
    ["js/properties", 1, 1, true],
  );
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
  const locked = await artifact.updateTagProperties("v1", { canDelete: false });
  assert.deepEqual([locked.canDelete, locked.canWrite], [false, true]);
  await refused(artifact.deleteTag("v1"), 405);
  await artifact.updateTagProperties("v1", { canDelete: true });
  await refused(artifact.getTagProperties("absent"), 404);
});

await attempt("get and update manifest properties", async () => {
  const { digest } = await push("js/properties", "v2", "another layer");
  for (const reference of ["v2", digest]) {
    const artifact = registry.getArtifact("js/properties", reference);
    const found = await artifact.getManifestProperties();
    assert.deepEqual([found.digest, found.tags, found.architecture], [digest, ["v2"], "amd64"]);
    for (const canRead of [false, true]) {
      const changed = await artifact.updateManifestProperties({ canRead });
      assert.deepEqual([changed.canRead, changed.canList], [canRead, true]);
    }
  }
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

await attempt("upload and download a blob in chunks", async () => {
  const bytes = noise(2 * CHUNK + 17);
  const client = content("js/content");
  const blob = await client.uploadBlob(bytes);
  assert.deepEqual([blob.digest, blob.sizeInBytes], [digestOf(bytes), bytes.length]);
  const found = await client.downloadBlob(blob.digest);
  assert.equal(found.digest, blob.digest);
  assert.ok((await bytesOf(found.content)).equals(bytes), "other bytes came back");
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

await attempt("read anonymously", async () => {
  const { digest } = await push("js/public", "v1");
  const found = await pages(nobody.registry.getArtifact("js/public", "v1").listTagProperties(), 9);
  assert.deepEqual(found.flat().map((tag) => [tag.name, tag.digest]), [["v1", digest]]);
});

await attempt("write anonymously: 401", async () => {
  const artifact = nobody.registry.getArtifact("js/public", "v1");
  await refused(artifact.deleteTag("v1"), 401);
  await refused(artifact.updateTagProperties("v1", { canDelete: false }), 401);
  const found = await registry.getArtifact("js/public", "v1").getTagProperties("v1");
  assert.equal(found.canDelete, true);
});

await attempt("sign in with a wrong token: 401", async () => {
  await refused(impostor.registry.getRepository("js/public").getProperties(), 401);
});

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
