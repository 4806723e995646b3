// The SDK's clients, and which of their public methods were called.

import { ContainerRegistryClient, ContainerRegistryContentClient } from "@azure/container-registry";

const called = new Set();
const known = new Set();

// Private in the SDK's types, which JavaScript does not know.
const inner = new Set(["getDigest"]);
for (const name of ["Repository", "Repositories", "Manifests", "Tags"]) {
  inner.add(`list${name}Items`).add(`list${name}Page`);
}

/** Notes what is called on an object of the SDK, and on those that it gives. */
function watched(target) {
  const kind = target.constructor.name;
  for (const name of Object.getOwnPropertyNames(Object.getPrototypeOf(target))) {
    if (name !== "constructor" && !inner.has(name)) known.add(`${kind}.${name}`);
  }
  return new Proxy(target, {
    get(object, name) {
      const value = object[name];
      if (typeof value !== "function") return value;
      return (...given) => {
        called.add(`${kind}.${String(name)}`);
        const found = value.apply(object, given);
        return ["getArtifact", "getRepository"].includes(name) ? watched(found) : found;
      };
    },
  });
}

/** The public methods that were not called. */
export const missing = () => [...known].filter((name) => !called.has(name)).sort();

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
  return {
    registry: watched(client),
    content: (name) =>
      watched(new ContainerRegistryContentClient(endpoint, name, given, options)),
  };
}
