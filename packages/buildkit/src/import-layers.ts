import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Digest, Digester, LktError } from '@lkt/core';
import {
  decompressLayer,
  type Descriptor,
  gzip,
  type Layer,
  loadImage,
  MediaType,
  openStore,
  parseIndex,
  type Platform,
  readTar,
  type Store,
} from '@lkt/oci';
import { findLeak, type SecretFinder } from '@lkt/builder';

/**
 * Takes the layers of an image that BuildKit wrote as an OCI layout into the store, compressed as lkt compresses. Each
 * is what the config says it is, or nothing is made of it.
 *
 * The layers of the base are the store's own. BuildKit may have changed the times in them, and says so with other
 * digests (moby/buildkit, docs/build-repro.md): the changes above them are the same.
 * @throws LktError IMAGE_INVALID, DIGEST_MISMATCH, BUILD_FAILED (a secret in a layer), and what the store throws
 */
export async function importLayers(
  store: Store,
  result: string,
  {
    base,
    platform,
    finder,
    signal,
  }: {
    readonly base: readonly Layer[];
    readonly platform: Platform;
    /** Of secrets, which no layer may hold. */
    readonly finder: SecretFinder;
    readonly signal: AbortSignal | undefined;
  },
): Promise<readonly Layer[]> {
  const { manifests } = parseIndex(await readFile(join(result, 'index.json')));
  const [root] = manifests;
  if (root === undefined || manifests.length > 1)
    throw new LktError('IMAGE_INVALID', 'BuildKit did not write one image, as it was asked to');
  const from = await openStore(result, { create: false });
  const { manifest, config } = await loadImage(from, root.digest, platform);
  const { diff_ids: diffIds } = config.rootfs;
  if (manifest.layers.length !== diffIds.length || diffIds.length < base.length)
    throw new LktError('IMAGE_INVALID', 'the image BuildKit wrote lacks layers');
  const layers = [...base];
  for (const [index, descriptor] of manifest.layers.entries()) {
    const diffId = diffIds[index];
    if (diffId === undefined || index < base.length) continue;
    if (!finder.isEmpty) {
      const entries = readTar(decompressLayer(descriptor, from.read(descriptor)));
      const leak = await findLeak(entries, finder, signal);
      if (leak !== undefined)
        throw new LktError(
          'BUILD_FAILED',
          `the secret "${leak.id}" would be in the image, in ${leak.where}`,
          { fix: 'do not write it where it stays after its RUN' },
        );
    }
    const archive = checked(decompressLayer(descriptor, from.read(descriptor)), diffId);
    const blob = await store.write(gzip(archive), {}, signal);
    layers.push({ diffId, descriptor: layerDescriptor(blob) });
  }
  return layers;
}

function layerDescriptor(blob: { readonly digest: Digest; readonly size: number }): Descriptor {
  return { mediaType: MediaType.layerGzip, digest: blob.digest, size: blob.size };
}

async function* checked(
  archive: AsyncIterable<Uint8Array>,
  diffId: Digest,
): AsyncGenerator<Uint8Array> {
  const digester = new Digester();
  for await (const chunk of archive) {
    digester.update(chunk);
    yield chunk;
  }
  const found = digester.digest();
  if (found !== diffId)
    throw new LktError(
      'DIGEST_MISMATCH',
      `a layer BuildKit wrote is ${found}, and not ${diffId} as its config says`,
    );
}
