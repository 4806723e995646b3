// What the SDK says to answers that are not what they should be: `changed_answers` in common.sh.

import assert from "node:assert/strict";
import { once } from "node:events";

import { bytesOf, digestOf } from "./checks.mjs";
import { OCI_INDEX, content, push } from "./parties.mjs";
import { attempt } from "./rows.mjs";

const mismatch = { name: "DigestMismatchError" };

export async function changedAnswers() {
  await attempt("notice another digest of a manifest that is read", async () => {
    const { digest } = await push("js/read", "v1");
    for (const reference of ["v1", digest]) {
      await assert.rejects(content("js/read").getManifest(reference), mismatch);
    }
  });

  await attempt(
    "notice other bytes of a blob that is read",
    async () => {
      const layer = "changed on the way";
      await push("js/changed", "v1", layer);
      const found = await content("js/changed").downloadBlob(digestOf(layer));
      const uncaught = once(process, "uncaughtException");
      // Not a failure that the reader could catch.
      const read = bytesOf(found.content).then(() => "read", () => "failed");
      const outcome = await Promise.race([read, uncaught.then(([error]) => error.name)]);
      assert.equal(outcome, mismatch.name);
      found.content.destroy();
      await read;
    },
    "defect",
    "throws DigestMismatchError in a listener of the source (onEnd in" +
      " content/containerRegistryContentClient.js, called in utils/retriableReadableStream.js): an uncaught" +
      " exception, which ends the process, and no error of the stream",
  );

  await attempt(
    "notice another digest of a manifest that was put",
    async () => {
      const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [] };
      const options = { tag: "v1", mediaType: OCI_INDEX };
      const { digest } = await content("js/stored").setManifest(index, options);
      assert.equal(digest, `sha256:${"0".repeat(64)}`);
    },
    "defect",
    "setManifest in content/containerRegistryContentClient.js gives the digest that the registry tells" +
      " and does not compare it",
  );

  await attempt("notice another digest of a blob that was uploaded", async () => {
    await assert.rejects(content("js/stored").uploadBlob(Buffer.from("layer")), mismatch);
  });
}
