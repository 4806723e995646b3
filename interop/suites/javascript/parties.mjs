// Who talks to the registry, and the images they push.

import assert from "node:assert/strict";

import { connect } from "./clients.mjs";
import { digestOf } from "./checks.mjs";

export const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
export const OCI_INDEX = "application/vnd.oci.image.index.v1+json";

export const { registry, content } = connect(process.env.ACR_ENTRA_TOKEN);
export const nobody = connect(undefined);
export const impostor = connect("somebody else's token");

/** An image with one layer; gives its digest and document. */
export async function push(name, tag, layer = "layer") {
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
