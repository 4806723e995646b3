// Rows of the matrix, one line of JSON each, in the file that INTEROP_ROWS names.

import { appendFileSync, readFileSync } from "node:fs";

const manifest = new URL("./package.json", import.meta.url);
const version = JSON.parse(readFileSync(manifest)).dependencies["@azure/container-registry"];

export const failed = [];

/** Tries an operation, which ends as `result` says if the function ends well. */
export async function attempt(operation, attempted, result = "pass", evidence = "") {
  try {
    await attempted();
  } catch (error) {
    console.log(operation, error.stack);
    failed.push(operation);
    [result, evidence] = ["fail", String(error.message)];
  }
  const peer = "@azure/container-registry";
  const row = { suite: "javascript", peer, version, operation, result, evidence };
  appendFileSync(process.env.INTEROP_ROWS, JSON.stringify(row) + "\n");
}
