// The SDK's clients, and which of their public methods were called.

import * as sdk from "@azure/container-registry";

const { ContainerRegistryClient, ContainerRegistryContentClient } = sdk;

// Classes that have no operations.
const errors = ["DigestMismatchError"];
const classes = Object.keys(sdk).filter((name) => typeof sdk[name] === "function");

const called = new Set();
const known = new Set();

// Private in the SDK's types, which JavaScript does not know.
const inner = new Set(["getDigest"]);
for (const name of ["Repository", "Repositories", "Manifests", "Tags"]) {
  inner.add(`list${name}Items`).add(`list${name}Page`);
}

/** Notes in `calls` what is called on an object of the SDK, and on those that it gives. */
function watched(target, calls) {
  const kind = target.constructor.name;
  for (const name of Object.getOwnPropertyNames(Object.getPrototypeOf(target))) {
    if (name !== "constructor" && !inner.has(name)) known.add(`${kind}.${name}`);
  }
  return new Proxy(target, {
    get(object, name) {
      const value = object[name];
      if (typeof value !== "function") return value;
      return (...given) => {
        calls.add(`${kind}.${String(name)}`);
        const found = value.apply(object, given);
        return ["getArtifact", "getRepository"].includes(name) ? watched(found, calls) : found;
      };
    },
  });
}

/** The public methods that were not called, and the classes of which none was. */
export function missing() {
  const unseen = classes.filter(
    (kind) => !errors.includes(kind) && ![...called].some((name) => name.startsWith(`${kind}.`)),
  );
  return [...known].filter((name) => !called.has(name)).concat(unseen).sort();
}

const credential = (token) => ({
  getToken: async () => ({ token, expiresOnTimestamp: Date.now() + 3_600_000 }),
});

const options = { retryOptions: { maxRetries: 0 } };

/** The metadata client and content clients; without a token they are nobody. */
export function connect(token) {
  const endpoint = process.env.ACR_ENDPOINT;
  const client =
    token === undefined
      ? new ContainerRegistryClient(endpoint, options)
      : new ContainerRegistryClient(endpoint, credential(token), options);
  const given = token === undefined ? undefined : credential(token);
  // What others are refused has not been tried.
  const calls = token === process.env.ACR_ENTRA_TOKEN ? called : new Set();
  return {
    registry: watched(client, calls),
    content: (name) =>
      watched(new ContainerRegistryContentClient(endpoint, name, given, options), calls),
  };
}
