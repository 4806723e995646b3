// What must hold, and how lists and streams are read.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

export const digestOf = (bytes) => "sha256:" + createHash("sha256").update(bytes).digest("hex");

/** Content that repeats nowhere and is the same in every run. */
export function noise(length) {
  const blocks = [];
  for (let block = 0; block * 32 < length; block += 1) {
    blocks.push(createHash("sha256").update(String(block)).digest());
  }
  return Buffer.concat(blocks).subarray(0, length);
}

export async function refused(promise, status) {
  const error = await promise.then(
    () => assert.fail(`no error, though ${status} was expected`),
    (error) => error,
  );
  assert.equal(error.statusCode, status, error.message);
  return error;
}

export async function pages(list, size) {
  const found = [];
  for await (const page of list.byPage({ maxPageSize: size })) found.push([...page]);
  return found;
}

export async function bytesOf(stream) {
  const pieces = [];
  for await (const piece of stream) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** The requests of an operation that the emulator answered so, with `part` in their path. */
export function answered(operation, status, part) {
  const lines = readFileSync(process.env.ACR_JOURNAL, "utf8").trim().split("\n");
  return lines
    .map((line) => JSON.parse(line))
    .filter((entry) => entry.operation === operation && entry.status === status)
    .filter((entry) => decodeURIComponent(entry.path).includes(part));
}
