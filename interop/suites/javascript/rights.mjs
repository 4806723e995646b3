// What those may do who have no credential, or a wrong one.

import assert from "node:assert/strict";

import { bytesOf, digestOf, pages, refused } from "./checks.mjs";
import { impostor, nobody, push, registry } from "./parties.mjs";
import { attempt } from "./rows.mjs";

const NAME = "js/public";

export async function rights() {
  const { digest, document } = await push(NAME, "v1");
  const repository = nobody.registry.getRepository(NAME);
  const artifact = repository.getArtifact("v1");
  const content = nobody.content(NAME);

  await attempt("list anonymously", async () => {
    const names = (await pages(nobody.registry.listRepositoryNames(), 100)).flat();
    assert.equal(names.filter((name) => name === NAME).length, 1);
    const tags = (await pages(artifact.listTagProperties(), 100)).flat();
    assert.deepEqual(tags.map((tag) => [tag.name, tag.digest]), [["v1", digest]]);
    const manifests = (await pages(repository.listManifestProperties(), 100)).flat();
    assert.deepEqual(manifests.map((manifest) => manifest.digest), [digest]);
  });

  await attempt("read anonymously", async () => {
    assert.equal((await repository.getProperties()).tagCount, 1);
    assert.equal((await artifact.getTagProperties("v1")).digest, digest);
    assert.deepEqual((await artifact.getManifestProperties()).tags, ["v1"]);
    const found = await content.getManifest("v1");
    assert.deepEqual([found.digest, found.manifest], [digest, document]);
    const layer = await content.downloadBlob(digestOf("layer"));
    assert.equal((await bytesOf(layer.content)).toString(), "layer");
  });

  await attempt("write anonymously: 401", async () => {
    const flags = { canDelete: false };
    for (const write of [
      () => artifact.deleteTag("v1"),
      () => artifact.delete(),
      () => repository.delete(),
      () => nobody.registry.deleteRepository(NAME),
      () => content.deleteManifest(digest),
      () => content.deleteBlob(digestOf("layer")),
      () => artifact.updateTagProperties("v1", flags),
      () => artifact.updateManifestProperties(flags),
      () => repository.updateProperties(flags),
      () => content.uploadBlob(Buffer.from("from nobody")),
      () => content.setManifest(document, { tag: "v2" }),
    ]) {
      await refused(write(), 401);
    }
    const found = await registry.getRepository(NAME).getProperties();
    assert.deepEqual([found.canDelete, found.tagCount], [true, 1]);
    const tag = await registry.getArtifact(NAME, "v1").getTagProperties("v1");
    assert.deepEqual([tag.canDelete, tag.digest], [true, digest]);
  });

  await attempt("sign in with a wrong token: 401", async () => {
    const wrong = impostor.content(NAME);
    await refused(impostor.registry.getRepository(NAME).getProperties(), 401);
    await refused(wrong.getManifest("v1"), 401);
    await refused(wrong.uploadBlob(Buffer.from("from an impostor")), 401);
  });
}
