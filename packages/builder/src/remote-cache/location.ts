import { undefinedIf } from '@lkt/core';
import {
  type Descriptor,
  MediaType,
  openStore,
  parseManifest,
  type Reference,
  type Store,
} from '@lkt/oci';
import type { Registry } from '@lkt/registry';

/** The location of a cache: a registry tag or an OCI layout. */
export interface CacheLocation {
  /** As the user wrote it. */
  readonly name: string;
  /** Returns the manifest of the cache; undefined if it does not exist. */
  manifest(signal?: AbortSignal): Promise<Buffer | undefined>;
  /** Returns a verified blob of at most `limit` bytes. */
  blob(blob: Descriptor, limit: number, signal?: AbortSignal): Promise<Buffer>;
  /** Downloads a verified blob into a store. */
  pull(store: Store, blob: Descriptor, signal?: AbortSignal): Promise<void>;
  /** Uploads a manifest of a store and the blobs that the location lacks. */
  push(store: Store, manifest: Descriptor, signal?: AbortSignal): Promise<void>;
}

/** Returns the location of a remote cache at a tag of a registry; default: `latest`. */
export function registryLocation(
  name: string,
  registry: Registry,
  reference: Reference,
): CacheLocation {
  const { tag = 'latest' } = reference;
  const tagged = { ...reference, tag };
  return {
    name,
    manifest: async (signal) =>
      registry
        .fetchManifest(tagged, signal)
        .then(({ bytes }) => Buffer.from(bytes), undefinedIf('NOT_FOUND')),
    blob: async (blob, limit, signal) => registry.fetchBlob(tagged, blob, { limit, signal }),
    pull: async (store, blob, signal) => registry.pullBlob(store, tagged, blob, signal),
    push: async (store, manifest, signal) => {
      await registry.pushImage(store, manifest, tagged, signal === undefined ? {} : { signal });
    },
  };
}

/** The tag of a cache in a layout. */
const TAG = 'lkt.invalid/steps:latest';

/** Returns the location of an OCI layout in a directory, such as one that CI keeps between runs. */
export function layoutLocation(name: string, directory: string): CacheLocation {
  const existing = async (): Promise<Store | undefined> =>
    openStore(directory, { create: false }).catch(undefinedIf('NOT_FOUND'));
  const required = async (): Promise<Store> => openStore(directory, { create: false });
  return {
    name,
    manifest: async () => {
      const layout = await existing();
      const found = await layout?.resolve(TAG);
      return found === undefined ? undefined : layout?.readBytes(found);
    },
    blob: async (blob, limit) => (await required()).readBytes(blob, limit),
    pull: async (store, blob, signal) => {
      await store.write((await required()).read(blob), blob, signal);
    },
    push: async (store, manifest, signal) => {
      const layout = await openStore(directory);
      const bytes = await store.readBytes(manifest);
      const { config, layers } = parseManifest(bytes);
      for (const blob of [config, ...layers])
        if ((await layout.size(blob.digest)) !== blob.size)
          await layout.write(store.read(blob), blob, signal);
      await layout.writeBytes(bytes);
      await layout.tag(TAG, {
        mediaType: MediaType.ociManifest,
        digest: manifest.digest,
        size: manifest.size,
      });
    },
  };
}
