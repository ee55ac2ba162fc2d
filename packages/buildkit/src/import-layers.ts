import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LktError } from '@lkt/core';
import {
  decompressLayer,
  gzip,
  type Layer,
  layersOf,
  loadImage,
  MediaType,
  openStore,
  parseIndex,
  type Platform,
  readTar,
  type Store,
  verifyDiffId,
} from '@lkt/oci';
import { findLeak, type SecretFinder } from '@lkt/builder';

/**
 * Imports the layers of an image that BuildKit wrote as an OCI layout into the store, compressed as
 * lkt does. Verifies each against the diff id in the config.
 *
 * The layers of the base image come from the store. BuildKit may have changed their times, and so
 * their digests (moby/buildkit, docs/build-repro.md); the layers above them are unaffected.
 * @throws IMAGE_INVALID if the layout does not have one image with all layers
 * @throws DIGEST_MISMATCH if a layer does not match the config
 * @throws BUILD_FAILED if a layer contains a secret
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
    /** Finds secrets, which no layer may contain. */
    readonly finder: SecretFinder;
    readonly signal: AbortSignal | undefined;
  },
): Promise<readonly Layer[]> {
  const { manifests } = parseIndex(await readFile(join(result, 'index.json')));
  const [root] = manifests;
  if (root === undefined || manifests.length > 1)
    throw new LktError('IMAGE_INVALID', 'BuildKit did not write exactly one image');
  const from = await openStore(result, { create: false });
  const built = layersOf(await loadImage(from, root.digest, platform));
  if (built.length < base.length)
    throw new LktError('IMAGE_INVALID', 'the image from BuildKit lacks layers');
  const layers = [...base];
  for (const layer of built.slice(base.length)) {
    const { descriptor, diffId } = layer;
    if (!finder.isEmpty) {
      const entries = readTar(decompressLayer(descriptor, from.read(descriptor)));
      const leak = await findLeak(entries, finder, signal);
      if (leak !== undefined)
        throw new LktError(
          'BUILD_FAILED',
          `the secret "${leak.id}" would be in the image, in ${leak.where}`,
          { fix: 'keep it out of files that remain after its RUN' },
        );
    }
    const archive = verifyDiffId(decompressLayer(descriptor, from.read(descriptor)), layer);
    const blob = await store.write(gzip(archive), {}, signal);
    layers.push({ diffId, descriptor: { mediaType: MediaType.layerGzip, ...blob } });
  }
  return layers;
}
